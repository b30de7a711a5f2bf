"""How fast events pass from one server process through a broker into another.

Run it with a broker at hand: ``python -m benchmarks.brokers redis://localhost``. What is measured
is what a server does: ``publish`` in one process, and frames out of a session in another.

* *Latency*: from ``publish`` until the frame is sent, for events that come one at a time.
* *Throughput*: events a second, published as fast as the outbox takes them.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from typing import Final
from uuid import UUID

import tachikoma_proto as tp
from tachikoma_proto.cli.demo.member import broker_of

SESSION: Final = UUID(int=1)
SINGLE: Final = 500
"""How many events come one at a time."""

PAUSE: Final = 0.005
"""How many seconds lie between them."""

MANY: Final = 50_000
"""How many are published as fast as possible."""

AT_ONCE: Final = 2000
"""How many of these wait to be stored at the most."""

CONFIG: Final = tp.ServerConfig(require_auth=False, ping_interval=None, max_pending=10**9)


class Sink:
    """A transport that notes when the frames of events are sent, and drops them."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.last = 0.0
        self.subscribed = asyncio.Event()
        self.done = asyncio.Event()

    async def send(self, text: str, /) -> None:
        """Note when a frame is sent."""
        self.last = time.monotonic()
        _, found, rest = text.partition('"message":"')
        if found:
            self.latencies.append(self.last - float(rest.partition('"')[0]))
            if len(self.latencies) == SINGLE + MANY:
                self.done.set()
        else:
            self.subscribed.set()

    async def __aiter__(self) -> AsyncIterator[str]:
        """Subscribe, and stay until all events are there."""
        yield tp.Codec().encode(tp.Subscribe(topic=tp.topics.FORGE_SESSIONS))
        await self.done.wait()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Nothing is to be closed."""


def server_on(url: str) -> tp.Server:
    """Return a server on a broker."""
    return tp.Server(
        tp.Codec(), tp.Dispatcher(), broker=broker_of(url, "tachikoma_benchmark"), config=CONFIG
    )


def event() -> tp.ForgeLog:
    """Return an event that says when it was made."""
    return tp.ForgeLog(session_id=SESSION, level="info", message=f"{time.monotonic():.6f}")


async def read(url: str) -> None:
    """Be the process that events come out of; print what was seen when all are there."""
    sink = Sink()
    async with server_on(url) as server:
        handling = asyncio.create_task(server.handle(sink))
        await sink.subscribed.wait()
        print("ready", flush=True)
        await sink.done.wait()
        print(statistics.median(sink.latencies[:SINGLE]), sink.last, flush=True)
        await handling


async def measure(url: str) -> tuple[float, float, float]:
    """Return the median latency in seconds, and events a second published and sent."""
    reader = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.brokers", "--read", url, stdout=PIPE, env=os.environ
    )
    assert reader.stdout is not None
    assert await reader.stdout.readline() == b"ready\n"
    async with server_on(url) as server:
        for _ in range(SINGLE):
            server.publish(event())
            await asyncio.sleep(PAUSE)
        await server.flush()
        started = time.monotonic()
        for _ in range(0, MANY, AT_ONCE):
            for _ in range(AT_ONCE):
                server.publish(event())
            await server.flush()
        stored = time.monotonic()
        median, last = map(float, (await reader.stdout.readline()).split())
    await reader.wait()
    return median, MANY / (stored - started), MANY / (last - started)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("url", help="redis://…, rediss://…, nats://… or tls://…")
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        asyncio.run(read(options.url))
        return
    median, published, sent = asyncio.run(measure(options.url))
    print(f"median latency   {median * 1000:.2f} ms")
    print(f"published        {published:,.0f} events a second")
    print(f"sent elsewhere   {sent:,.0f} events a second")


if __name__ == "__main__":
    main()
