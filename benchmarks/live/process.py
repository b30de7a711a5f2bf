"""A server in a process of its own.

Rules:

* It ends when its standard input is closed, and so when this process ends.
* Its processor time is read from here, so that it takes no part in being measured.
"""

import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from benchmarks.live.servers import Entrant


class ServerProcess:
    """A server that runs; a context manager.

    Args:
        entrant: Which server.

    Attributes:
        entrant: Which server.
        port: Where it takes connections, on 127.0.0.1.
    """

    def __init__(self, entrant: Entrant) -> None:
        self.entrant = entrant
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.live.servers", entrant.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server {entrant.name!r} did not start")
        self.port = int(line)

    def __enter__(self) -> Self:
        """Stop the server when the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def processor_ns(self) -> int | None:
        """Give the processor time that it has taken; None where the system does not tell."""
        if sys.platform != "linux":
            return None
        # The kernel's number for the processor clock of another process.
        return time.clock_gettime_ns((~self._process.pid << 3) | 2)
