"""The command ``tachikoma-proto``.

Rules:

* Results go to standard output, all else to standard error.
* Exit status: 0 all is well, 1 a frame was bad or a server said no, 2 the command could not be
  carried out, 130 interrupted, 141 the reader of the output went away.
* Options are written out, and what is not known is not shown: it may be a token.
* A subcommand is a module with ``configure(parser)``; it sets ``run`` to what carries it out.
  What only one of them needs, such as asyncio, is loaded when it runs.
"""

import argparse
import io
import os
import sys
from collections.abc import Sequence

from tachikoma_proto.cli import demo, inspect, send, types, watch
from tachikoma_proto.cli.failure import CommandError
from tachikoma_proto.cli.options import VersionAsked
from tachikoma_proto.cli.peer import refuse_token
from tachikoma_proto.errors import PluginError, RegistryError

BAD_USAGE = 2
INTERRUPTED = 130
OUTPUT_GONE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What stands behind the command's name; ``sys.argv`` if left out.

    Returns:
        The exit status.
    """
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(_unrecognized(unknown))
    if sys.stdout is None:  # closed before the command began
        return BAD_USAGE
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered has no reader: without this, Python reports it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_GONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except (CommandError, OSError, PluginError, RegistryError) as error:
        print(f"tachikoma-proto: {error}", file=sys.stderr)
        return BAD_USAGE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tachikoma-proto",
        description="Speak the Tachikoma protocol, and read what others said.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=VersionAsked, nargs=0, help="print the version, and do no more"
    )
    refuse_token(parser)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in (demo, inspect, types, watch, send):
        name = module.__name__.rpartition(".")[2]
        summary = (module.__doc__ or "").partition("\n")[0].partition(": ")[2]
        module.configure(
            commands.add_parser(name, help=summary, description=summary, allow_abbrev=False)
        )
    return parser


def _unrecognized(arguments: Sequence[str]) -> str:
    """Say which arguments are not known: the names of options and fields, but no value."""
    pairs = [one.partition("=") for one in arguments]
    names = [
        name
        for name, _, value in pairs
        if name.startswith("--") or value.strip("=")  # base64 may end with '='
    ]
    others = len(arguments) - len(names)
    shown = [*names, f"{others} not shown"] if others else names
    return f"unrecognized arguments: {', '.join(shown)}"
