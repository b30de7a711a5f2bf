"""Transport over ``picows``, a WebSocket library in Cython: the fastest backend.

Rules:

* ``picows`` delivers fragments as they are; they are put together here, within the limit.
* Pings are answered here, and the closing handshake is done.
* It logs a peer's faults as errors; so its logger is silent, and exceptions are caught here.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Sequence
from typing import Any, Final, cast

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)

from tachikoma_proto.transports.transport import (
    ConnectionRequest,
    FrameReceiver,
    HandleTransport,
    RefuseRequest,
    encode_frames,
    make_request,
    quiet_logger,
)

log = logging.getLogger("tachikoma_proto.server")

_TEXT: Final = WSMsgType.TEXT
_DATA: Final = (WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION)

_MAX_EARLY = 16
"""How many frames may arrive before somebody wants them."""


class PicowsTransport(WSListener):  # type: ignore[misc, unused-ignore]  # untyped where compiled
    """A connection of ``picows``.

    Args:
        listener: What it came through.
        max_size: How many bytes a frame may have.

    Attributes:
        request: The handshake; set when the connection is open.
        close_code: The code with which the peer closed the connection, if it did.
        close_reason: Its reason.
    """

    def __init__(self, listener: "PicowsListener", max_size: int) -> None:
        self.request: ConnectionRequest | None = None
        self.close_code: int | None = None
        self.close_reason = ""
        self._listener = listener
        self._max_size = max_size
        self._receiver: FrameReceiver | None = None
        self._arrived: list[str | bytes] = []
        self._fragments: bytearray | None = None
        self._can_write = True
        self._is_lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, receiver: FrameReceiver, /) -> None:
        """Deliver frames to a receiver from now on."""
        self._receiver = receiver
        if self._arrived:
            frames, self._arrived = self._arrived, []
            receiver.frames_received(frames)
            self.resume_reading()
        if self._is_lost.done():
            receiver.transport_lost()

    def write(self, texts: Sequence[str], /) -> bool:
        """Send text frames together."""
        transport = self._transport
        if transport.is_disconnected or transport.is_close_frame_sent:
            raise ConnectionResetError("the connection is closed")
        if len(texts) == 1:
            transport.send(_TEXT, texts[0])
        else:
            transport.underlying_transport.write(encode_frames(texts))
        return self._can_write

    def pause_reading(self) -> None:
        """Deliver no more frames for now."""
        self._transport.underlying_transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver frames again."""
        if not self._is_lost.done():
            self._transport.underlying_transport.resume_reading()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection, and wait until the peer has."""
        if self._is_lost.done():
            return
        self._transport.send_close(cast(WSCloseCode, code), reason.encode())
        self.resume_reading()  # the peer's close frame
        await asyncio.shield(self._is_lost)

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.disconnect(False)

    # What the library calls.

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Serve the connection."""
        self._transport = transport
        underlying = transport.underlying_transport
        underlying.set_write_buffer_limits(high=2**16)
        self._listener.connected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Take a frame, and deliver it with those that arrived together with it."""
        try:
            self._take_frame(transport, frame)
        except WSProtocolError:  # the library closes the connection
            raise
        except Exception:
            log.exception("taking a frame failed")
            raise

    def _take_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind is _TEXT and frame.fin and self._fragments is None and not frame.rsv1:
            payload = frame.get_payload_as_bytes()
            if frame.last_in_buffer and not self._arrived and self._receiver is not None:
                self._receiver.frames_received((payload,))
                return
            self._arrived.append(payload)
        elif kind in _DATA:
            self._take_fragment(frame)
        elif kind is WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind is WSMsgType.CLOSE:
            self._take_close(transport, frame)
        if frame.last_in_buffer and self._arrived:
            if self._receiver is not None:
                frames, self._arrived = self._arrived, []
                self._receiver.frames_received(frames)
            elif len(self._arrived) >= _MAX_EARLY:
                self.pause_reading()

    def _take_fragment(self, frame: WSFrame) -> None:
        is_first = frame.msg_type is not WSMsgType.CONTINUATION
        if is_first is (self._fragments is not None) or frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "the fragments do not fit together")
        if self._fragments is None:
            self._fragments = bytearray()
        self._fragments += frame.get_payload_as_bytes()
        if len(self._fragments) > self._max_size:
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, "the frame is too large")
        if frame.fin:
            self._arrived.append(bytes(self._fragments))
            self._fragments = None

    def _take_close(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        self.close_code = int.from_bytes(payload[:2]) if payload else 1005
        self.close_reason = payload[2:].decode(errors="replace")
        if not transport.is_close_frame_sent:
            transport.send_close(cast(WSCloseCode, self.close_code if payload else 1000))
        transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """Tell the receiver that the connection has ended."""
        if not self._is_lost.done():
            self._is_lost.set_result(None)
        if self._receiver is not None:
            self._receiver.transport_lost()

    def pause_writing(self) -> None:
        """Take no more frames for now."""
        self._can_write = False

    def resume_writing(self) -> None:
        """Tell the receiver that frames are taken again."""
        self._can_write = True
        if self._receiver is not None:
            self._receiver.can_write()


class PicowsListener:
    """A listening server of ``picows``.

    Args:
        handle: Serves a connection.
        refuse: Returns what answers a handshake instead of a connection.
        max_size: How many bytes a frame may have.
    """

    def __init__(self, handle: HandleTransport, refuse: RefuseRequest, max_size: int) -> None:
        self._handle = handle
        self._refuse = refuse
        self._max_size = max_size
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """The listening sockets."""
        return self._server.sockets if self._server is not None else ()

    async def start(self, **options: Any) -> None:
        """Listen.

        Args:
            options: For ``ws_create_server``.
        """
        self._server = await ws_create_server(self._accept, **options)

    async def close(self) -> None:
        """Stop listening, and wait until the connections have ended."""
        if self._server is not None:
            self._server.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def connected(self, transport: PicowsTransport) -> None:
        """Serve a connection that is open now."""
        request = transport._transport.request
        peername = transport._transport.underlying_transport.get_extra_info("peername")
        transport.request = _request(request, peername)
        task = asyncio.get_running_loop().create_task(self._serve(transport))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, transport: PicowsTransport) -> None:
        try:
            await self._handle(transport)
        except Exception:
            log.exception("serving a connection failed")
        finally:
            transport.abort()

    def _accept(self, request: WSUpgradeRequest) -> PicowsTransport | WSUpgradeResponseWithListener:
        refusal = self._refuse(_request(request, None))
        if refusal is None:
            return PicowsTransport(self, self._max_size)
        status, text = refusal
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        make: Any = WSUpgradeResponse
        if status < 400:
            response = make.create_ok_response(text.encode(), headers)
        else:
            response = make.create_error_response(status, text.encode(), headers)
        return WSUpgradeResponseWithListener(response, None)


def _request(request: WSUpgradeRequest, peername: object) -> ConnectionRequest:
    return make_request(request.path.decode("latin-1"), list(request.headers.items()), peername)


class _UnixSocket(socket.socket):
    """A Unix socket that takes the TCP options which ``picows`` sets on every connection."""

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        return _UnixSocket(fileno=connection.detach()), address

    def setsockopt(self, level: int, *args: Any) -> None:
        if level != socket.IPPROTO_TCP:
            super().setsockopt(level, *args)

    def getsockopt(self, level: int, *args: Any) -> Any:
        return 0 if level == socket.IPPROTO_TCP else super().getsockopt(level, *args)


async def listen(
    handle: HandleTransport,
    refuse: RefuseRequest,
    *,
    max_size: int,
    open_timeout: float,
    close_timeout: float,
    **options: Any,
) -> PicowsListener:
    """Listen with ``picows``.

    Args:
        handle: Serves a connection.
        refuse: Returns what answers a handshake instead of a connection.
        max_size: How many bytes a frame may have.
        open_timeout: How many seconds a handshake may take.
        close_timeout: How many seconds the closing of a connection may take; the driver sees to
            that.
        options: For the event loop's ``create_server``.
    """
    sock = options.get("sock")
    if sock is not None and sock.family == getattr(socket, "AF_UNIX", None):
        options["sock"] = _UnixSocket(sock.family, sock.type, fileno=os.dup(sock.fileno()))
        options["use_aiofastnet"] = False  # which is for TCP alone
    listener = PicowsListener(handle, refuse, max_size)
    await listener.start(
        max_frame_size=max_size,
        websocket_handshake_timeout=open_timeout,
        enable_auto_pong=False,  # it would hide that a ping is the last frame of its buffer
        logger_name=quiet_logger("picows", logging.CRITICAL),
        **options,
    )
    return listener
