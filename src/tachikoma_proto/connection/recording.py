"""Recording: frames as they pass over a connection, written to a capture.

It wraps transports, so that what is recorded is what a transport really carried, on either side,
and so that a connection that is not recorded pays nothing.

Rules:

* Secrets are masked before anything is written; see ``connection/captures.py``.
* Recording never breaks a connection: what cannot be written is logged once, and no more of it
  is tried.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TextIO, TypeAlias, cast
from uuid import uuid4

from tachikoma_proto.connection.captures import CapturedFrame, capture_frame
from tachikoma_proto.connection.driver import AnyTransport
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.session.logs import Logger
from tachikoma_proto.transports.transport import CallbackTransport, FrameReceiver, Transport
from tachikoma_proto.wire.formats import utc_now
from tachikoma_proto.wire.json_reader import Frame

RecordTarget: TypeAlias = str | os.PathLike[str] | Callable[[CapturedFrame], object]
"""A file to append to, or what is called with each frame."""


class Recorder:
    """Records the frames of the transports that it wraps.

    Args:
        target: The file that records are appended to, or what is called with each.
        registry: Which fields are secret.
        max_size: How many bytes of a frame are read.
        log: Where it is said that recording failed.
    """

    def __init__(
        self, target: RecordTarget, registry: Registry, max_size: int, log: Logger
    ) -> None:
        self._target = target
        self._registry = registry
        self._max_size = max_size
        self._log = log
        self._file: TextIO | None = None
        self._has_failed = False

    def wrap(
        self, transport: AnyTransport, side: Sender, session: str | None = None
    ) -> AnyTransport:
        """Return a transport that records what another one carries.

        Args:
            transport: The transport.
            side: Which side it belongs to.
            session: The session's name in the records; a random one if left out.
        """
        tape = _Tape(self, side, session or str(uuid4()))
        if isinstance(transport, CallbackTransport):
            return _RecordedCallbackTransport(transport, tape)
        return _RecordedTransport(transport, tape)

    def record(self, frame: Frame, sender: Sender, session: str) -> None:
        """Write a frame.

        Args:
            frame: The frame.
            sender: Who sent it.
            session: Which session it belongs to.
        """
        if self._has_failed:
            return
        try:
            captured = capture_frame(
                self._registry,
                frame,
                time=utc_now(),
                sender=sender,
                session=session,
                max_size=self._max_size,
            )
            if callable(self._target):
                self._target(captured)
            else:
                if self._file is None:
                    self._file = _open(self._target)
                self._file.write(captured.to_line() + "\n")
        except Exception:  # noqa: BLE001 - logged; the target may be a function of the user
            self._has_failed = True
            self._log.exception("recording failed, and has stopped")

    def close(self) -> None:
        """Close the file; a later frame opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None


class _Tape:
    """The records of one connection."""

    def __init__(self, recorder: Recorder, side: Sender, session: str) -> None:
        self._recorder = recorder
        self._session = session
        self._own = side
        self._other = Sender.SERVER if side is Sender.CLIENT else Sender.CLIENT

    def sent(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._recorder.record(text, self._own, self._session)

    def received(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            self._recorder.record(frame, self._other, self._session)


class _Recorded:
    """What both kinds of recorded transports hand on as it is."""

    def __init__(self, transport: Any, tape: _Tape) -> None:
        self._transport = transport
        self._tape = tape

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        await self._transport.close(code, reason)


class _RecordedTransport(_Recorded):
    """Records a transport."""

    async def send(self, text: str, /) -> None:
        self._tape.sent((text,))
        await cast(Transport, self._transport).send(text)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        async for frame in cast(Transport, self._transport):
            self._tape.received((frame,))
            yield frame


class _RecordedCallbackTransport(_Recorded):
    """Records a callback transport, between it and its receiver."""

    _receiver: FrameReceiver

    def start(self, receiver: FrameReceiver, /) -> None:
        self._receiver = receiver
        self._transport.start(self)

    def frames_received(self, frames: Sequence[str | bytes]) -> None:
        self._tape.received(frames)
        self._receiver.frames_received(frames)

    def can_write(self) -> None:
        self._receiver.can_write()

    def transport_lost(self) -> None:
        self._receiver.transport_lost()

    def write(self, texts: Sequence[str], /) -> bool:
        self._tape.sent(texts)
        return cast(CallbackTransport, self._transport).write(texts)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def abort(self) -> None:
        self._transport.abort()


def _open(path: "str | os.PathLike[str]") -> TextIO:
    """Open a file for appending that only its owner may read: what users say is theirs."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, 0o600)

    return open(path, "a", buffering=1, encoding="utf-8", opener=opener)
