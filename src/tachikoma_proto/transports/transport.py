"""The transport: what carries the frames of one connection.

Rules:

* Whatever has these three methods will do: a connection of ``websockets`` as it is, that of
  another library through a short adapter.
* Whatever a transport raises means that the connection is gone.
"""

from collections.abc import AsyncIterator
from typing import Protocol


class Transport(Protocol):
    """One open WebSocket connection, of either side."""

    async def send(self, text: str, /) -> None:
        """Send a text frame; return when the transport can take another.

        Args:
            text: The frame.
        """

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Go through the frames that come, until the connection ends."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; if it is closed already, do nothing.

        Args:
            code: The close code of RFC 6455.
            reason: Why, for a person.
        """
