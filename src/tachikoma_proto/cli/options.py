"""Options of the command and of several subcommands, and how their values are read."""

import argparse
import math
from collections.abc import Sequence
from typing import Any, Final

from tachikoma_proto.registry.registry import Registry

PLUGINS_HINT: Final = "--plugins knows the messages of installed extensions"


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """Add ``--plugins``."""
    parser.add_argument(
        "--plugins", action="store_true", help="know the messages of installed extensions too"
    )


def chosen_registry(options: argparse.Namespace) -> Registry:
    """Build the registry that the command line asks for.

    Raises:
        PluginError: With ``--plugins``, an installed extension cannot be used.
    """
    return Registry.discover() if options.plugins else Registry()


def plugins_hint(options: argparse.Namespace) -> str:
    """Give what to add where a message is not known: nothing if ``--plugins`` was given."""
    return "" if options.plugins else f"; {PLUGINS_HINT}"


class VersionAsked(argparse.Action):
    """``--version``: print the version of the distribution, and exit."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Print it."""
        from importlib.metadata import PackageNotFoundError, version  # slow to load

        try:
            print(f"tachikoma-proto {version('tachikoma-proto')}")
        except PackageNotFoundError:
            parser.error("there is no version: it is not installed")
        parser.exit()


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
