"""What the subcommands have in common: how they are made, their options, and how values are read.

Rules:

* Values are read by functions of ours: the types of click show a value that they refuse.
* Every subcommand knows ``--verbose``, refuses ``--token``, and says in its help how it is used
  and how it ends.
"""

import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeAlias, TypeVar

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from tachikoma_proto.registry.registry import Registry

PLUGINS_HINT: Final = "--plugins knows the messages of installed extensions"

TOKEN_VARIABLE: Final = "TACHIKOMA_TOKEN"

TOKEN_HINT: Final = f"a token goes into the variable {TOKEN_VARIABLE}, or a file and --token-file"

COMMON_STATUSES: Final[Mapping[int, str]] = {
    0: "all went well",
    1: "a frame was bad, or the server refused",
    2: "the command could not be carried out",
    130: "interrupted",
}

REFUSED: Final = "--token"
"""An option that is known so that it can be refused, and its value not be shown."""

STDIN: Final = "-"
"""The name of standard input among files."""

_VERBOSITY: Final = f"{__name__}.verbosity"

F = TypeVar("F", bound=Callable[..., Any])


class CliError(click.ClickException):
    """The command could not be carried out; the text says why, and holds no secret."""

    exit_code = 2


def standard_input() -> BinaryIO:
    """Return standard input.

    Raises:
        CliError: It is closed.
    """
    if sys.stdin is None:
        raise CliError("standard input is closed")
    return sys.stdin.buffer


class Subcommand(click.Command):
    """A subcommand.

    Args:
        examples: How it is called, after the command's name.
        statuses: How it may end; what is not said is as for all.
        options: As for ``click.Command``.
    """

    def __init__(
        self, *, examples: Sequence[str] = (), statuses: Mapping[int, str] = {}, **options: Any
    ) -> None:
        super().__init__(**options)
        self.params += [verbose_option(), no_token_option()]
        self.context_settings["allow_extra_args"] = True  # to be refused without being shown
        self._examples = examples
        self._statuses = {**COMMON_STATUSES, **statuses}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, and refuse those that are too many."""
        rest = super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            ctx.fail(_unexpected(ctx.args))
        return rest

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples and exit statuses."""
        if self._examples:
            with formatter.section("Examples"):
                for example in self._examples:
                    formatter.write(f"{'':>{formatter.current_indent}}tachikoma-proto {example}\n")
        write_statuses(formatter, self._statuses)


def subcommand(**options: Any) -> Callable[[Callable[..., int]], click.Command]:
    """Return a decorator that makes a :class:`Subcommand` of a function.

    Args:
        options: As for :class:`Subcommand`, such as ``help`` and ``examples``.
    """
    return click.command(cls=Subcommand, **options)


def write_statuses(formatter: click.HelpFormatter, statuses: Mapping[int, str]) -> None:
    """Write exit statuses into the help.

    Args:
        formatter: The help's.
        statuses: What each says; nothing for one that is not used.
    """
    with formatter.section("Exit status"):
        formatter.write_dl([(str(status), text) for status, text in statuses.items() if text])


def verbose_option() -> click.Option:
    """Return ``--verbose``, which may stand before the subcommand and after it."""

    def raise_verbosity(ctx: click.Context, _: click.Parameter, count: int) -> None:
        ctx.meta[_VERBOSITY] = ctx.meta.get(_VERBOSITY, 0) + count

    return click.Option(
        ["-v", "--verbose"],
        count=True,
        expose_value=False,
        callback=raise_verbosity,
        help="Show the library's log on standard error; twice for more of it.",
    )


def verbosity() -> int:
    """Return how often ``--verbose`` was given to the command that runs."""
    count: int = click.get_current_context().meta.get(_VERBOSITY, 0)
    return count


def no_token_option() -> click.Option:
    """Return ``--token``, which is refused, with or without a value after it."""

    def refuse(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is not None and not ctx.resilient_parsing:
            ctx.fail(
                "a token is never an argument: other users can see the arguments of a process; "
                f"{TOKEN_HINT}"
            )

    return click.Option(
        [REFUSED],
        is_flag=False,
        flag_value="",
        hidden=True,
        is_eager=True,
        expose_value=False,
        callback=refuse,
    )


def plugins_option(function: F) -> F:
    """Add ``--plugins``."""
    return click.option(
        "--plugins", is_flag=True, help="Know the messages of installed extensions, too."
    )(function)


def chosen_registry(plugins: bool) -> "Registry":
    """Return the registry that the command line asks for.

    Raises:
        PluginError: An installed extension cannot be used.
    """
    from tachikoma_proto.registry.registry import Registry

    return Registry.discover() if plugins else Registry()


def plugins_hint(plugins: bool) -> str:
    """Return what to add where a message is not known: nothing if ``--plugins`` was given."""
    return "" if plugins else f"; {PLUGINS_HINT}"


def number(text: str) -> float:
    """Read a number above zero, such as one of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise click.BadParameter("expected a number above 0")
    return value


def count(text: str) -> int:
    """Read a number of things, at least one."""
    digits = str(text)
    if not (digits.isascii() and digits.isdigit() and len(digits) < 19 and int(digits) > 0):
        raise click.BadParameter("expected a whole number above 0")
    return int(digits)


def _read_port(text: str) -> int:
    digits = str(text)
    if not (digits.isascii() and digits.isdigit() and len(digits) < 6 and int(digits) < 65536):
        raise click.BadParameter("expected a number from 0 to 65535")
    return int(digits)


def port_option(function: F) -> F:
    """Add ``--port``, of the page."""
    return click.option(
        "--port",
        type=_read_port,
        default=0,
        metavar="PORT",
        help="The port of the page; without it, a free one.",
    )(function)


def one_of(words: Sequence[str]) -> dict[str, Any]:
    """Return what makes a parameter take one of a few words.

    Args:
        words: The words.
    """

    def read(text: str) -> str:
        if text not in words:
            raise click.BadParameter(f"expected {' or '.join(words)}")
        return text

    return {
        "type": read,
        "metavar": "|".join(words),
        "shell_complete": completing(lambda _: ((word, "") for word in words)),
    }


Complete: TypeAlias = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def completing(words: Callable[[click.Context], Iterator[tuple[str, str]]]) -> Complete:
    """Return the completion of a parameter.

    Args:
        words: Gives what there is to choose from, each with a word of help.
    """

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [
            CompletionItem(word, help=text)
            for word, text in words(ctx)
            if word.startswith(incomplete)
        ]

    return complete


def _unexpected(arguments: Sequence[str]) -> str:
    """Say which arguments are too many: the names of fields, but no value."""
    pairs = [argument.partition("=") for argument in arguments]
    names = [name for name, _, value in pairs if value.strip("=")]  # base64 may end with '='
    others = len(arguments) - len(names)
    shown = [*names, f"{others} not shown"] if others else names
    return f"unexpected arguments: {', '.join(shown)}"
