"""The send queue of a session, and the judgement of who reads too slowly.

A burst of events in one turn of the event loop says nothing about the peer: nothing could be
written in between. So what counts is not how many events wait, but how many have waited for
longer than a grace period.

Rules:

* Frames leave in the order in which they were queued; only a ping goes before the others.
* Responses are not judged: while too many wait, the session reads no further commands.
* The queue knows no clock. Its owner marks a time, and asks later what of it still waits.
"""

from collections import deque

from tachikoma_proto.wire.json_reader import Frame


class SendQueue:
    """The frames that wait to be sent.

    Attributes:
        events: How many of them are events.
        size: How many bytes they have in all.
    """

    def __init__(self) -> None:
        self.events = 0
        self.size = 0
        self._frames: deque[tuple[str, int, bool]] = deque()
        self._events_sent = 0
        self._mark = 0

    def __len__(self) -> int:
        """Return how many frames wait."""
        return len(self._frames)

    def put(self, text: str, size: int, *, is_event: bool = False) -> None:
        """Add a frame behind the others."""
        self._frames.append((text, size, is_event))
        self.size += size
        self.events += is_event

    def put_first(self, text: str, size: int) -> None:
        """Add a frame before the others."""
        self._frames.appendleft((text, size, False))
        self.size += size

    def next(self) -> tuple[str, int] | None:
        """Remove and return the next frame and its size; None if there is none."""
        if not self._frames:
            return None
        text, size, is_event = self._frames.popleft()
        self.size -= size
        if is_event:
            self.events -= 1
            self._events_sent += 1
        return text, size

    def mark(self) -> None:
        """Remember which events wait now."""
        self._mark = self._events_sent + self.events

    def events_since_mark(self) -> int:
        """Return how many of the events that were marked wait still."""
        return max(0, self._mark - self._events_sent)

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()
        self.events = self.size = self._mark = 0


def size_of(frame: Frame) -> int:
    """Return how many bytes a frame has in UTF-8."""
    if isinstance(frame, str):
        return len(frame) if frame.isascii() else len(frame.encode(errors="surrogatepass"))
    return memoryview(frame).nbytes
