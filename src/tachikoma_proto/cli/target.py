"""The server that a subcommand connects to: its URL, token, TLS and headers, and what goes wrong.

Rules:

* A token comes from the environment or from a file, never from an argument: every user of a
  machine can see the arguments of its processes.
* A file that can be read only once, such as a pipe, is read once; any other is read again for each
  connection, since the token may change.
* What is shown of a URL is its host and path; the rest of it may be secret.
* asyncio, ssl and websockets are imported when a connection is wanted, and not before.
"""

import logging
import os
import re
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click
from attrs import frozen

from tachikoma_proto.cli.options import STDIN, TOKEN_VARIABLE, CliError, standard_input, verbosity
from tachikoma_proto.cli.output import printable
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.wire.paths import is_text

if TYPE_CHECKING:
    import ssl

    from tachikoma_proto.client import Client
    from tachikoma_proto.codec.codec import Codec
    from tachikoma_proto.dashboard import OpenServer
    from tachikoma_proto.session import ClientConfig

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.-]*://[!-~]+(?<!/)", re.IGNORECASE)
_CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})

_CLIENT: Final = "tachikoma_proto.client"
"""The logger of the client, which also raises what it logs as an error."""


@frozen(kw_only=True)
class Target:
    """A server, and how to connect to it.

    Attributes:
        url: Its URL.
        token_file: Where the token is, unless it is in the environment.
        cafile: The certificates that its own is verified with, unless they are the system's.
        headers: Added to the request that opens the connection.
        origin: What that request says of where it comes from.
    """

    url: str
    token_file: str | None = None
    cafile: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    origin: str | None = None

    @property
    def place(self) -> str:
        """The part of the URL that may be shown."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return printable(f"{parts.scheme}://{host}{parts.path}")

    def _credentials(self) -> Iterator[str]:
        """Go through the arguments that hold credentials."""
        if urlsplit(self.url).password:
            yield "the password in the URL"
        for name, _ in self.headers:
            if name.lower() in _CREDENTIALS:
                yield f"the header {name}"

    @asynccontextmanager
    async def connected(
        self, codec: "Codec", config: "ClientConfig", notify: Callable[[str], object]
    ) -> "AsyncIterator[Client]":
        """Be connected to the server while the block runs.

        Args:
            codec: Reads and writes the frames.
            config: How the client behaves.
            notify: Shows a line to the person.

        Raises:
            CliError: The server cannot be reached, or refuses the token.
        """
        need_websockets()
        from websockets.exceptions import WebSocketException

        from tachikoma_proto.client import connect

        token = _token(self.token_file)
        given = self._options(notify)
        async with AsyncExitStack() as stack:
            stack.enter_context(showing_log(notify))
            client = connect(self.url, token=token, codec=codec, config=config, **given)
            try:
                await stack.enter_async_context(client)
            except RemoteError as error:
                raise CliError(f"{self.place}: {printable(error.message)}") from None
            except (OSError, EOFError, ProtocolError, WebSocketException) as error:
                why = failure_reason(error, self.url)
                raise CliError(f"cannot connect to {self.place}: {why}") from None
            yield client

    def opener(self, codec: "Codec", notify: Callable[[str], object]) -> "OpenServer":
        """Return what opens an authenticated connection that carries frames unread.

        Args:
            codec: Reads and writes the frames of the authentication; says how large frames may be.
            notify: Shows a line to the person.

        Raises:
            CliError: There is a token, and it cannot be read.
        """
        need_websockets()
        from websockets.asyncio.client import ClientConnection, connect
        from websockets.exceptions import WebSocketException

        from tachikoma_proto.client.client import is_local_url
        from tachikoma_proto.dashboard import (
            CLOSE_TIMEOUT,
            OPEN_TIMEOUT,
            UnreachableError,
            authenticate,
        )
        from tachikoma_proto.transports.transport import quiet_logger

        token = _token(self.token_file)
        options: dict[str, Any] = {
            "close_timeout": CLOSE_TIMEOUT,
            "logger": quiet_logger("websockets"),
            "max_size": codec.max_size,
            "open_timeout": OPEN_TIMEOUT,
            "ping_interval": None,
            "proxy": None if is_local_url(self.url) else True,
            **self._options(notify),
        }

        async def open_server() -> ClientConnection:
            try:
                chosen = token() if callable(token) else token
                server = await connect(self.url, **options)
            except (OSError, EOFError, WebSocketException) as error:
                why = failure_reason(error, self.url)
                raise UnreachableError(f"cannot connect to {self.place}: {why}") from None
            except CliError as error:
                raise UnreachableError(str(error)) from None
            if chosen is not None:
                try:
                    await authenticate(server, chosen, codec)
                except BaseException:
                    await server.close()
                    raise
            return server

        return open_server

    def _options(self, notify: Callable[[str], object]) -> dict[str, Any]:
        """Return the options for ``websockets``, and warn of credentials among the arguments."""
        for what in self._credentials():
            notify(f"other users can see the arguments of a process, and so {what}")
        options: dict[str, Any] = {
            "additional_headers": self.headers or None,
            "origin": self.origin,
            "ssl": None if self.cafile is None else _trusting(self.cafile),
        }
        return {name: value for name, value in options.items() if value is not None}


def target_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add ``URL`` and the options of a connection; the function gets them as ``target``."""

    @wraps(function)
    def with_target(
        *args: Any,
        url: str,
        token_file: str | None,
        cafile: str | None,
        headers: Sequence[tuple[str, str]],
        origin: str | None,
        **options: Any,
    ) -> int:
        if cafile is not None and urlsplit(url).scheme != "wss":
            raise click.UsageError(
                "--cafile is for wss:// URLs", ctx=click.get_current_context(silent=True)
            )
        target = Target(
            url=url, token_file=token_file, cafile=cafile, headers=tuple(headers), origin=origin
        )
        return function(*args, target=target, **options)

    for option in reversed(_OPTIONS):
        with_target = option(with_target)
    return with_target


def _read_url(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.fragment:
        raise click.BadParameter("a URL begins with ws:// or wss://, and names a host")
    try:
        is_port = parts.port != 0
    except ValueError:
        is_port = False
    if not is_port:
        raise click.BadParameter("the port of a URL is a number from 1 to 65535")
    return text


def _read_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    is_header = colon and _HEADER_NAME.fullmatch(name) and value.isprintable() and value.isascii()
    if not is_header:
        raise click.BadParameter("a header is given as 'NAME: VALUE', in printable ASCII")
    return name, value.strip()


def _read_origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise click.BadParameter("an origin is a scheme and a host, such as https://host")
    return text


_OPTIONS: Final = (
    click.argument("url", metavar="URL", type=_read_url),
    click.option(
        "--token-file",
        type=click.Path(allow_dash=True),
        metavar="PATH",
        help=f"A file with the token, or - for standard input; without it the token is in the "
        f"variable {TOKEN_VARIABLE}. (There is no option for the token itself: other users can "
        "see the arguments of a process.)",
    ),
    click.option(
        "--cafile",
        type=click.Path(),
        metavar="PATH",
        help="The certificates (PEM) that may sign the server's; without it, the system's.",
    ),
    click.option(
        "--header",
        "headers",
        type=_read_header,
        multiple=True,
        metavar="'NAME: VALUE'",
        help="A header of the request that opens the connection; may be given several times.",
    ),
    click.option(
        "--origin",
        type=_read_origin,
        metavar="ORIGIN",
        help="The origin that the request says it comes from, such as https://host.",
    ),
)


def need_websockets() -> None:
    """Make sure that websockets is there.

    Raises:
        CliError: It is not; the text says how to get it.
    """
    try:
        import websockets.asyncio.client  # noqa: F401
    except ImportError:
        raise CliError("this needs websockets: pip install 'tachikoma-proto[cli]'") from None


def notify_on_stderr(text: str) -> None:
    """Show a line on standard error."""
    print(f"tachikoma-proto: {text}", file=sys.stderr, flush=True)


@contextmanager
def showing_log(notify: Callable[[str], object]) -> Iterator[None]:
    """Show what the library logs while the block runs: warnings, and more if ``-v`` was given.

    Args:
        notify: Shows a line to the person.
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbosity(), logging.DEBUG)
    handler = _LogHandler(level, notify)
    if not verbosity():
        handler.addFilter(_is_not_raised)
    log = logging.getLogger("tachikoma_proto")
    old_level = log.level
    log.addHandler(handler)
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(old_level)
        log.removeHandler(handler)


def _is_not_raised(record: logging.LogRecord) -> bool:
    """Return whether a record says something else than the error that ends the client."""
    return record.name != _CLIENT or record.levelno < logging.ERROR


class _LogHandler(logging.Handler):
    def __init__(self, level: int, notify: Callable[[str], object]) -> None:
        super().__init__(level)
        self._notify = notify

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record."""
        self._notify(printable(record.getMessage()))


def _token(path: str | None) -> Callable[[], str] | str | None:
    """Return the token, or what reads it again for each connection."""
    if path is None:
        return _token_in(os.environ.get(TOKEN_VARIABLE, ""), f"the variable {TOKEN_VARIABLE}")
    token = _read_token(path)
    is_readable_again = path != STDIN and stat.S_ISREG(os.stat(path).st_mode)
    return (lambda: _read_token(path)) if is_readable_again else token


def _read_token(path: str) -> str:
    data = standard_input().read() if path == STDIN else Path(path).read_bytes()
    place = "standard input" if path == STDIN else path
    token = _token_in(data.decode("utf-8-sig", errors="surrogateescape"), place)
    if token is None:
        raise CliError(f"there is no token in {place}")
    return token


def _token_in(text: str, place: str) -> str | None:
    """Return the token in a text, without the end of its line; None if there is none."""
    if not is_text(text):
        raise CliError(f"{place} is not UTF-8 text")
    token = text.strip()
    if len(token.splitlines()) > 1:
        raise CliError(f"{place} holds more than one line, and so more than a token")
    return token or None


def _trusting(cafile: str) -> "ssl.SSLContext":
    import ssl

    try:
        return ssl.create_default_context(cafile=cafile)
    except ssl.SSLError:
        raise CliError(f"{cafile} holds no certificates in PEM") from None


def failure_reason(error: Exception, url: str) -> str:
    """Say why a server cannot be connected to, in words for a person.

    No address is shown, since it is known what was asked for; an error without a text is put into
    words, since the name of its class says nothing.

    Args:
        error: What opening the connection raised.
        url: The server's; if the server may be one of the other scheme, that is said, too.
    """
    scheme = urlsplit(url).scheme
    doubt = f"; is it a {scheme}:// server?" if _may_be_of_other_scheme(error, scheme) else ""
    return f"{_error_text(error)}{doubt}"


def _may_be_of_other_scheme(error: Exception, scheme: str) -> bool:
    import ssl

    from websockets.exceptions import InvalidMessage

    if scheme == "ws":
        return isinstance(error, InvalidMessage)
    if isinstance(error, ssl.SSLCertVerificationError):  # it does speak TLS
        return False
    return isinstance(error, ssl.SSLError | ConnectionResetError | ConnectionAbortedError)


def _error_text(error: Exception) -> str:
    import ssl

    match error:
        case ssl.SSLCertVerificationError():
            why = getattr(error, "verify_message", "") or "it cannot be verified"
            return f"the server's certificate is not trusted: {printable(why)}"
        case ssl.SSLError():  # its number is none of the system's
            what = getattr(error, "reason", "") or "it failed"  # such as WRONG_VERSION_NUMBER
            return f"no TLS: {printable(what).replace('_', ' ').lower()}"
        case OSError(errno=int(number)):
            # asyncio's own texts name addresses; names of hosts have errors of their own, below 0.
            return os.strerror(number) if number > 0 else printable(str(error.strerror))
        case _ if text := str(error):
            return printable(text)
        case ConnectionResetError():
            return "the connection was reset"
        case ConnectionError() | EOFError():
            return "the connection ended before it was open"
        case TimeoutError():
            return "it took too long"
        case _:
            return f"unknown reason ({type(error).__qualname__})"
