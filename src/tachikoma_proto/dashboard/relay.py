"""The relay: a connection to the server for each of the page's, authenticated on its behalf.

Rules:

* The token goes to the server alone. Neither it nor the reply to it passes to the page.
* A frame is read from one side when the other has taken the one before: a page that does not read
  holds up its server, which then closes the connection as it does for any slow consumer.
* Both sides end together, with the code and reason of the one that ended first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.errors import ProtocolError
from tachikoma_proto.messages.commands import Authenticate
from tachikoma_proto.messages.responses import AuthResponse, ErrorResponse

OpenServer: TypeAlias = Callable[[], Awaitable[ClientConnection]]
"""Opens a connection to the server, authenticated; raises :exc:`UnreachableError`."""

Side: TypeAlias = ClientConnection | ServerConnection
"""An end of the relay."""

OPEN_TIMEOUT: Final = 4.0
"""How many seconds connecting to the server may take, and authenticating as many again: less than
the page waits, so that it learns why it cannot connect."""

CLOSE_TIMEOUT: Final = 1.0
"""How many seconds a side has to answer that the other has ended: one that does not read never
does."""

_UNSENDABLE: Final = frozenset({1004, 1005, 1006, 1015})
"""Codes that say how a connection ended, and that no close frame may hold."""


class UnreachableError(Exception):
    """The server cannot be reached, or refuses the token; the text may be shown."""


async def authenticate(server: ClientConnection, token: str, codec: Codec) -> None:
    """Authenticate on a connection that was just opened.

    Args:
        server: The connection.
        token: The token.
        codec: Reads and writes the frames.

    Raises:
        UnreachableError: The server refuses the token, or does not answer.
    """
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            await server.send(codec.encode(Authenticate(token=token)))
            while True:
                answer = codec.decode_server_message(await server.recv()).payload
                if isinstance(answer, AuthResponse | ErrorResponse):
                    break
    except (TimeoutError, ConnectionClosed, ProtocolError):
        raise UnreachableError("the server did not answer the token") from None
    if isinstance(answer, ErrorResponse):
        raise UnreachableError(f"the server refuses the token: {answer.message}")
    if not answer.authenticated:
        raise UnreachableError("the server refuses the token")


async def relay(page: ServerConnection, server: ClientConnection) -> None:
    """Pass frames on in both directions, until one side ends; then end the other.

    Args:
        page: The page's connection.
        server: The server's.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_pass_on(page, server, CloseCode.GOING_AWAY))
        group.create_task(_pass_on(server, page, CloseCode.BAD_GATEWAY))


async def _pass_on(source: Side, target: Side, code_if_lost: int) -> None:
    """Pass frames on, until the source ends; then end the target.

    Where the target ends, the task of the other direction sees to the source.
    """
    while True:
        try:
            frame = await source.recv()
        except ConnectionClosed:
            code, reason = source.close_code, source.close_reason
            if code is None or code in _UNSENDABLE:
                code, reason = code_if_lost, "the connection was lost"
            await target.close(code, reason or "")
            return
        try:
            await target.send(frame)
        except ConnectionClosed:
            return
