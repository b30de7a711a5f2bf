"""The command and its subcommands: parsing, help, shell completion, and errors, with click.

click, since its classes for parameters and errors are public and structured: no message of its own
that holds an argument's value is ever shown.

Rules:

* A subcommand is a module of this package with a ``command``, made by
  :func:`~tachikoma_proto.cli.options.subcommand`, and is listed in ``COMMANDS``. It is imported
  when it is run, completed or listed; what only some runs need, such as asyncio, when they need it.
* The callback of a subcommand returns the exit status.
"""

import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

import click
from click.exceptions import Exit, NoSuchOption
from click.shell_completion import shell_complete

from tachikoma_proto.cli.options import (
    COMMON_STATUSES,
    REFUSED,
    CliError,
    no_token_option,
    verbose_option,
    write_statuses,
)
from tachikoma_proto.cli.terminal import terminal_width
from tachikoma_proto.errors import PluginError, RegistryError

PROGRAM: Final = "tachikoma-proto"
COMPLETION_VARIABLE: Final = "_TACHIKOMA_PROTO_COMPLETE"

COMMANDS: Final = ("demo", "inspect", "types", "schema", "watch", "send", "dashboard", "completion")
"""The subcommands, in the order of the help."""

MAX_HELP_WIDTH: Final = 80

INTERRUPTED: Final = 130
OUTPUT_GONE: Final = 141


class _Commands(click.Group):
    """The subcommands, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a subcommand."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"tachikoma_proto.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand that the arguments begin with."""
        if not ctx.resilient_parsing and args[0] not in COMMANDS:
            ctx.fail(f"there is no such command; there are {', '.join(COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit statuses."""
        write_statuses(formatter, COMMON_STATUSES)


def _codec() -> str:
    """Return how frames are read and written here."""
    try:
        import tachikoma_proto.codec._engine  # noqa: F401
    except ImportError:
        return "converter alone"
    return "compiled engine"


def _print_version(ctx: click.Context, _: click.Parameter, is_asked: bool) -> None:
    if not is_asked or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError  # slow to import

    import tachikoma_proto

    try:
        print(f"{PROGRAM} {tachikoma_proto.__version__} ({_codec()})")
    except PackageNotFoundError:
        raise CliError("there is no version: the package is not installed") from None
    ctx.exit()


commands: Final = _Commands(
    name=PROGRAM,
    help="Speak the Tachikoma protocol, and read what others said.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    params=[
        click.Option(
            ["--version", "-V"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version, and exit.",
        ),
        verbose_option(),
        no_token_option(),
    ],
)


def run(arguments: Sequence[str]) -> int:
    """Run the command.

    Args:
        arguments: What follows the command's name.

    Returns:
        The exit status.
    """
    instruction = os.environ.get(COMPLETION_VARIABLE)
    if instruction:
        return shell_complete(commands, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    if sys.stdout is None:  # closed before the command began
        return CliError.exit_code
    if sys.stderr is None:  # what is printed to it would go to standard output
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _run(list(arguments))
        sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered has no reader: without this, Python reports it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_GONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except click.UsageError as error:
        print(_usage_text(error), file=sys.stderr)
        return CliError.exit_code
    except (CliError, OSError, PluginError, RegistryError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return CliError.exit_code
    return status


def _run(arguments: list[str]) -> int:
    # click takes no terminal to be narrower than 50 columns.
    width = min(terminal_width(sys.stdout), MAX_HELP_WIDTH)
    try:
        with commands.make_context(PROGRAM, arguments, terminal_width=width) as context:
            status: Any = commands.invoke(context)
    except Exit as error:  # of --help and --version
        return error.exit_code
    assert isinstance(status, int), "a subcommand returns the exit status"
    return status


def _usage_text(error: click.UsageError) -> str:
    context = error.ctx
    if context is None:
        return f"{PROGRAM}: error: {_words(error)}"
    return f"{context.get_usage()}\n{context.command_path}: error: {_words(error)}"


def _words(error: click.UsageError) -> str:
    """Say what is wrong with the arguments, without the value of any."""
    match error:
        case NoSuchOption(option_name=name, ctx=context) if (
            context is not None
            and context.command is commands
            and (owners := [command for command in COMMANDS if _has_option(command, name)])
        ):
            return f"{name} goes after the command: {PROGRAM} {owners[0]} {name}"
        case NoSuchOption(option_name=name, possibilities=possibilities):
            close = [option for option in possibilities or () if option != REFUSED]
            close = [option for option in close if option.startswith(name)] or close
            return f"no such option: {name}" + (f"; is it {' or '.join(close)}?" if close else "")
        case _:
            text = error.format_message()
            return text[:1].lower() + text[1:].removesuffix(".")


def _has_option(command: str, option: str) -> bool:
    found = commands.get_command(click.Context(commands), command)
    return found is not None and any(option in parameter.opts for parameter in found.params)
