"""The outbox: the frames that wait to be sent, in order, with the events among them counted."""

from collections import deque


class Outbox:
    """Holds frames until they are taken.

    Attributes:
        events: How many of them are events.
    """

    def __init__(self) -> None:
        self.events = 0
        self._frames: deque[tuple[str, bool]] = deque()

    def __len__(self) -> int:
        """How many frames wait."""
        return len(self._frames)

    def put(self, text: str, is_event: bool) -> None:
        """Add a frame behind the others."""
        self._frames.append((text, is_event))
        self.events += is_event

    def put_first(self, text: str) -> None:
        """Add a frame before the others."""
        self._frames.appendleft((text, False))

    def take(self) -> str | None:
        """Take the next frame; None if there is none."""
        if not self._frames:
            return None
        text, is_event = self._frames.popleft()
        self.events -= is_event
        return text

    def clear(self) -> None:
        """Throw away what waits."""
        self._frames.clear()
        self.events = 0
