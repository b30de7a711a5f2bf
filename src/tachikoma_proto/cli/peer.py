"""The server that a subcommand talks to: its URL, the token for it, and how that can fail.

Rules:

* A token comes from the environment or from a file, never from an argument: every user of a
  machine can see the arguments of its processes. One that is given nevertheless is not shown.
* What is said of a URL is its host and path; the rest of it may be secret.
* asyncio and websockets are loaded when a connection is wanted, and not before.
"""

import argparse
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tachikoma_proto.cli.brief import printable
from tachikoma_proto.cli.failure import CommandError
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.wire.paths import is_text

if TYPE_CHECKING:
    from tachikoma_proto.client import Client
    from tachikoma_proto.codec.codec import Codec
    from tachikoma_proto.session import ClientConfig

TOKEN_VARIABLE: Final = "TACHIKOMA_TOKEN"

TOKEN_HINT: Final = f"a token goes into the variable {TOKEN_VARIABLE}, or a file and --token-file"


def add_peer(parser: argparse.ArgumentParser) -> None:
    """Add the URL, and ``--token-file``; refuse ``--token``."""
    refuse_token(parser)
    parser.add_argument("url", metavar="URL", type=_url, help="ws://… or wss://…")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="PATH",
        help=f"a file with the token; without it the token is in the variable {TOKEN_VARIABLE} "
        "(there is no option for the token itself: other users can see a process's arguments)",
    )


def refuse_token(parser: argparse.ArgumentParser) -> None:
    """Refuse ``--token``, with or without something behind it."""
    parser.add_argument("--token", action=_TokenGiven, nargs="?", help=argparse.SUPPRESS)


def need_websockets() -> None:
    """Make sure that websockets is there.

    Raises:
        CommandError: It is not; the text says how to get it.
    """
    try:
        import websockets.asyncio.client  # noqa: F401
    except ImportError:
        raise CommandError("this needs websockets: pip install 'tachikoma-proto[cli]'") from None


@asynccontextmanager
async def connected(
    options: argparse.Namespace,
    codec: "Codec",
    config: "ClientConfig",
    notice: Callable[[str], object],
) -> "AsyncIterator[Client]":
    """Talk to the command line's server while the block runs.

    Args:
        options: The command line's.
        codec: Reads and writes the frames.
        config: How the client behaves.
        notice: Shows a line to the person.

    Raises:
        CommandError: The server cannot be reached, or refuses the token.
    """
    need_websockets()
    from websockets.exceptions import WebSocketException

    from tachikoma_proto.cli.notices import noticing
    from tachikoma_proto.cli.reason import reason
    from tachikoma_proto.client import connect

    token = _token(options.token_file)
    server = _place(options.url)
    async with AsyncExitStack() as stack:
        stack.enter_context(noticing(notice))
        client = connect(options.url, token=token, codec=codec, config=config)
        try:
            await stack.enter_async_context(client)
        except RemoteError as error:
            raise CommandError(f"{server}: {printable(error.message)}") from None
        except (OSError, EOFError, ProtocolError, WebSocketException) as error:
            raise CommandError(f"cannot talk to {server}: {reason(error, options.url)}") from None
        yield client


class _TokenGiven(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Refuse it, and do not show it: it may stay on the screen or in a log."""
        parser.error(
            "a token is never an argument: other users can see the arguments of a process; "
            f"{TOKEN_HINT}"
        )


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.fragment:
        raise argparse.ArgumentTypeError("a URL begins with ws:// or wss://, and names a host")
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise argparse.ArgumentTypeError("the port of a URL is a number from 1 to 65535")
    return text


def _place(url: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return printable(f"{parts.scheme}://{host}{parts.path}")


def _token(path: Path | None) -> Callable[[], str] | str | None:
    """Give the token; that of a file is read again for each connection, since it may change."""
    if path is None:
        return _token_in(os.environ.get(TOKEN_VARIABLE, ""), f"the variable {TOKEN_VARIABLE}")
    _read_token(path)
    return lambda: _read_token(path)


def _read_token(path: Path) -> str:
    token = _token_in(path.read_text(encoding="utf-8", errors="surrogateescape"), str(path))
    if token is None:
        raise CommandError(f"there is no token in {path}")
    return token


def _token_in(text: str, place: str) -> str | None:
    """Give the token that stands in a text, without the end of its line; None if none does."""
    if not is_text(text):
        raise CommandError(f"{place} is not UTF-8 text")
    return text.strip() or None
