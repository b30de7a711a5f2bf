"""The driver: sends frames to a server, and counts what comes back.

Rules:

* It is the same for all servers: connections of ``websockets``, and a frame made beforehand.
* A connection has a window of frames that are on their way; for each reply one frame is sent.
"""

import asyncio
from time import perf_counter_ns

from attrs import frozen
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.live.process import ServerProcess
from benchmarks.live.work import FAULTY, FRAME, check_answer, check_echo, check_refusal


@frozen
class Load:
    """How a server is driven.

    Attributes:
        name: What the results call it.
        title: What the report calls it.
        connections: How many there are at once.
        window: How many frames of each are on their way.
    """

    name: str
    title: str
    connections: int
    window: int


LOADS = (
    Load("pipelined", "1 connection, 64 frames on their way", 1, 64),
    Load("connections", "8 connections, 8 frames each on their way", 8, 8),
    Load("alternating", "1 connection, 1 frame on its way", 1, 1),
)


@frozen
class Sample:
    """What one round of one server took, per frame.

    Attributes:
        elapsed: Nanoseconds that went by.
        processor: Nanoseconds of the server's processor time; None where nobody tells.
    """

    elapsed: float
    processor: float | None


class Driven:
    """A server with connections to it.

    Args:
        process: The server.
    """

    def __init__(self, process: ServerProcess) -> None:
        self.name = process.entrant.name
        self._process = process
        self._connections: list[ClientConnection] = []

    async def open(self) -> None:
        """Open as many connections as a load may need, and check the server on the first.

        Raises:
            CheckFailed: The server does not do what it is timed for.
        """
        uri = f"ws://127.0.0.1:{self._process.port}/"
        for _ in range(max(load.connections for load in LOADS)):
            self._connections.append(await connect(uri, compression=None, ping_interval=None))
        await self._check(self._connections[0])

    async def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            await connection.close()

    async def sample(self, load: Load, frames: int) -> Sample:
        """Drive the server.

        Args:
            load: How.
            frames: How many frames to send.
        """
        each = frames // load.connections
        before, start = self._process.processor_ns(), perf_counter_ns()
        await asyncio.gather(
            *(_drive(c, each, load.window) for c in self._connections[: load.connections])
        )
        elapsed, after = perf_counter_ns() - start, self._process.processor_ns()
        processor = None if before is None or after is None else after - before
        sent = each * load.connections
        return Sample(elapsed / sent, None if processor is None else processor / sent)

    async def _check(self, connection: ClientConnection) -> None:
        check = check_answer if self._process.entrant.answers else check_echo
        check(await _ask(connection, FRAME))
        if self._process.entrant.answers:
            check_refusal(await _ask(connection, FAULTY))


async def _ask(connection: ClientConnection, frame: str) -> str:
    await connection.send(frame)
    return await connection.recv(decode=True)


async def _drive(connection: ClientConnection, frames: int, window: int) -> None:
    send, recv = connection.send, connection.recv
    first = min(window, frames)
    for _ in range(first):
        await send(FRAME)
    for _ in range(frames - first):
        await recv()
        await send(FRAME)
    for _ in range(first):
        await recv()
