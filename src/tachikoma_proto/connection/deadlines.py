"""Deadlines that are judged after what has already arrived.

Where the event loop was blocked for a while, a deadline and what it is for are due at once. Timers
are run at once then, while what came out of a socket takes some turns of the event loop to whoever
waits for it. So a deadline that has passed lets the event loop turn a few times first: whoever
answered in time is not to blame.
"""

import asyncio
from types import TracebackType
from typing import Final, Self

TURNS: Final = 16
"""How many turns of the event loop something may need from a socket to whoever waits for it."""


class patient_timeout:
    """Limit how long a block may take, as ``asyncio.timeout`` does, but judge late.

    Args:
        seconds: After how many seconds the block is cancelled, and TimeoutError raised.

    Example::

        async with patient_timeout(5.0):
            await answer
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timeout = asyncio.timeout(None)
        self._timer: asyncio.Handle | None = None

    async def __aenter__(self) -> Self:
        await self._timeout.__aenter__()
        self.restart(self._seconds)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

    @property
    def expired(self) -> bool:
        """Whether the block took too long, and was cancelled."""
        return self._timeout.expired()

    def restart(self, seconds: float) -> None:
        """Give the block as many seconds from now on.

        Args:
            seconds: How many.
        """
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._wait, TURNS)

    def _wait(self, turns: int) -> None:
        loop = asyncio.get_running_loop()
        if turns > 0:
            self._timer = loop.call_soon(self._wait, turns - 1)
        else:
            self._timeout.reschedule(loop.time())
