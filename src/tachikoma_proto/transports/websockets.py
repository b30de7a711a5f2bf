"""Transport over ``websockets``: its sockets and handshake, without its queues and tasks.

A connection of ``websockets`` can be given to ``server.handle`` as it is. The one here delivers
frames where the library would queue them, and writes several of them at once; the library still
does the handshake, the framing of what arrives, pings, and closing.

Rules:

* Frames are written to the socket directly: a server's frames have no mask, and there is no
  compression, so that a frame is a header and the text.
"""

import socket
from collections.abc import Sequence
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import Event, State

from tachikoma_proto.transports.transport import (
    FrameReceiver,
    HandleTransport,
    RefuseRequest,
    encode_frames,
    make_request,
    quiet_logger,
)

_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

_MAX_EARLY = 16
"""How many frames may arrive before somebody wants them."""


class WebsocketsTransport(ServerConnection):
    """A connection of ``websockets`` that delivers frames by callback."""

    _receiver: FrameReceiver | None = None
    _fragments: bytearray | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arrived: list[str | bytes] = []

    def start(self, receiver: FrameReceiver, /) -> None:
        """Deliver frames to a receiver from now on."""
        self._receiver = receiver
        self.transport.resume_reading()
        self._deliver()
        if self.protocol.state is State.CLOSED:
            receiver.transport_lost()

    def write(self, texts: Sequence[str], /) -> bool:
        """Send text frames together."""
        if self.protocol.state is not State.OPEN:
            raise ConnectionResetError("the connection is closed")
        self.transport.write(encode_frames(texts))
        return not self.paused

    def pause_reading(self) -> None:
        """Deliver no more frames for now."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver frames again."""
        self.transport.resume_reading()

    def abort(self) -> None:
        """Close the connection at once."""
        self.transport.abort()

    # What the library calls.

    def process_event(self, event: Event) -> None:
        """Keep a frame of data until all that arrived together is there."""
        if not isinstance(event, Frame) or event.opcode not in _DATA:
            super().process_event(event)
        elif event.fin and self._fragments is None:
            self._arrived.append(bytes(event.data))
        else:
            if self._fragments is None:
                self._fragments = bytearray()
            self._fragments += event.data  # whose size the library limits
            if event.fin:
                self._arrived.append(bytes(self._fragments))
                self._fragments = None

    def data_received(self, data: bytes) -> None:
        """Read data, and deliver the frames in it."""
        super().data_received(data)
        if self._arrived:
            self._deliver()

    def _deliver(self) -> None:
        if self._receiver is None:
            if len(self._arrived) >= _MAX_EARLY:
                self.transport.pause_reading()
        elif self._arrived:
            frames, self._arrived = self._arrived, []
            self._receiver.frames_received(frames)

    def resume_writing(self) -> None:
        """Tell the receiver that frames are taken again."""
        super().resume_writing()
        if self._receiver is not None:
            self._receiver.can_write()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the receiver that the connection has ended."""
        super().connection_lost(exc)
        if self._receiver is not None:
            self._receiver.transport_lost()


class WebsocketsListener:
    """A listening server of ``websockets``."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The listening sockets."""
        return self._server.sockets

    async def close(self) -> None:
        """Stop listening, and wait until the connections have ended."""
        self._server.close()
        await self._server.wait_closed()


async def listen(
    handle: HandleTransport,
    refuse: RefuseRequest,
    *,
    max_size: int,
    open_timeout: float,
    close_timeout: float,
    **options: Any,
) -> WebsocketsListener:
    """Listen with ``websockets``.

    Args:
        handle: Serves a connection.
        refuse: Returns what answers a handshake instead of a connection.
        max_size: How many bytes a frame may have.
        open_timeout: How many seconds a handshake may take.
        close_timeout: How many seconds the closing of a connection may take.
        options: For the event loop's ``create_server``.
    """

    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        headers = list(request.headers.raw_items())
        refusal = refuse(make_request(request.path, headers, connection.remote_address))
        return None if refusal is None else connection.respond(*refusal)

    async def handle_connection(connection: ServerConnection) -> None:
        assert isinstance(connection, WebsocketsTransport)
        await handle(connection)

    server = await serve(
        handle_connection,
        create_connection=WebsocketsTransport,
        process_request=process_request,
        compression=None,
        max_size=max_size,
        open_timeout=open_timeout,
        close_timeout=close_timeout,
        ping_interval=None,  # the session's own keepalive is seen by the client, too
        logger=quiet_logger("websockets"),
        server_header=None,
        **options,
    )
    return WebsocketsListener(server)


__all__ = ["WebsocketsListener", "WebsocketsTransport", "listen"]
