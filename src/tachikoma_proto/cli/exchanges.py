"""Requests and the replies to them, as they are found in a capture.

Rules:

* A reply names its request by ``reply_to``. Ids are a session's own: where records say which
  session a frame belongs to, both must be of the same.
* How long a reply took is told by the times of records, which one clock gave. The frames' own
  timestamps are of two clocks, and tell nothing.
* Memory holds a limited number of requests that wait for a reply; the oldest are forgotten.
"""

from typing import Any, Final
from uuid import UUID

from attrs import frozen

from tachikoma_proto.cli.capture import ReadFrame
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.messages.envelope import OutgoingMessage

MAX_WAITING: Final = 10_000
"""How many requests wait for a reply."""


@frozen(kw_only=True)
class Request:
    """A command, or what was meant to be one, that is to be answered.

    Attributes:
        source: The capture that it is in.
        line: The line that it is in.
        frame: What the line says.
        is_selected: Whether it was asked for.
    """

    source: str
    line: int
    frame: ReadFrame
    is_selected: bool


@frozen(kw_only=True)
class Exchange:
    """A request and its reply.

    Attributes:
        request: The request.
        latency: How many seconds it took; None where records do not tell.
    """

    request: Request
    latency: float | None


class Exchanges:
    """Finds the request to each reply."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str | None, UUID], Request] = {}

    def add(self, request: Request) -> bool:
        """Remember a request; return whether it is one that a reply could name."""
        message, error = request.frame.message, request.frame.error
        request_id = message.id if message else error.message_id if error else None
        if request.frame.sender is not Sender.CLIENT or request_id is None:
            return False
        self._waiting[_session(request.frame), request_id] = request
        if len(self._waiting) > MAX_WAITING:
            del self._waiting[next(iter(self._waiting))]
        return True

    def exchange_of(self, reply: ReadFrame) -> Exchange | None:
        """Return the exchange that a frame ends; None if it is no reply to a known request."""
        message: Any = reply.message
        if not isinstance(message, OutgoingMessage) or message.reply_to is None:
            return None
        request = self._waiting.pop((_session(reply), message.reply_to), None)
        if request is None:
            return None
        begun, ended = request.frame.record, reply.record
        latency = (ended.time - begun.time).total_seconds() if begun and ended else None
        return Exchange(request=request, latency=latency)


def _session(frame: ReadFrame) -> str | None:
    return None if frame.record is None else frame.record.session
