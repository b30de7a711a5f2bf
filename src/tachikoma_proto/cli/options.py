"""Options that several subcommands have, and how their values are read."""

import argparse
import math

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


def positive(text: str) -> float:
    """Read a number above zero, such as one of seconds.

    Raises:
        ArgumentTypeError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError("expected a number above 0")
    return number


def count(text: str) -> int:
    """Read a number of things, at least one.

    Raises:
        ArgumentTypeError: It is none.
    """
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError("expected a whole number above 0")
    return int(text)
