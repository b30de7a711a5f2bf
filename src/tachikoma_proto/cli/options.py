"""Options that several subcommands have."""

import argparse

from tachikoma_proto.registry import Registry


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """Add ``--plugins``."""
    parser.add_argument(
        "--plugins", action="store_true", help="know the messages of installed extensions too"
    )


def chosen_registry(options: argparse.Namespace) -> Registry:
    """Build the registry that the command line asks for.

    Raises:
        RegistryError: With ``--plugins``, an installed extension cannot be used.
    """
    return Registry.discover() if options.plugins else Registry()
