"""``python -m benchmarks.live.sockets``: what connections cost, on real sockets.

How many can be opened in a second, what one takes at rest, and how long an event is under way to
the last of many subscribers.

Rules:

* The server is in a process of its own. The subscribers are plain sockets, so that what is timed
  is the server's work and the kernel's, and little of the driver's.
* A figure is the median of the rounds. An event counts when its last byte has been read by each.
"""

import argparse
import asyncio
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from attrs import frozen
from websockets.asyncio.client import connect

import tachikoma_proto as tp
from benchmarks.live.process import ServerProcess
from benchmarks.live.servers import BACKENDS, ENTRANTS, Entrant, own_name
from benchmarks.live.work import MISSION_ID

HANDSHAKE = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

AT_ONCE = 16
"""How many connections are opened at once."""


@frozen
class Cost:
    """What was measured of a server.

    Attributes:
        server: The server.
        per_second: Connections that were opened and closed in a second.
        at_rest: KiB that an open connection takes.
        fan_out: Milliseconds from a command to its event at the last subscriber.
        subscribers: How many there were.
    """

    server: str
    per_second: float
    at_rest: float
    fan_out: float
    subscribers: int


def measure(entrant: Entrant, *, connections: int, subscribers: int, rounds: int) -> Cost:
    """Measure a server of the library.

    Args:
        entrant: The server.
        connections: How many connections to open, one after the other.
        subscribers: How many subscribers get an event.
        rounds: How many events are timed.
    """
    with ServerProcess(entrant) as process, ExitStack() as stack:
        asyncio.run(_open_and_close(process.port, AT_ONCE))
        started = time.perf_counter()
        asyncio.run(_open_and_close(process.port, connections))
        per_second = connections / (time.perf_counter() - started)
        before = _resident(process.pid)
        peers = [stack.enter_context(_subscriber(process.port)) for _ in range(subscribers)]
        at_rest = (_resident(process.pid) - before) / subscribers
        publisher = stack.enter_context(_peer(process.port))
        times = [_time_event(publisher, peers) for _ in range(rounds + 1)][1:]
    return Cost(
        entrant.name,
        round(per_second),
        round(at_rest / 1024, 1),
        round(median(times) * 1000, 2),
        subscribers,
    )


async def _open_and_close(port: int, number: int) -> None:
    async def open_some(some: int) -> None:
        for _ in range(some):
            async with connect(f"ws://127.0.0.1:{port}/", compression=None, ping_interval=None):
                pass

    await asyncio.gather(*[open_some(number // AT_ONCE) for _ in range(AT_ONCE)])


@contextmanager
def _peer(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.sendall(HANDSHAKE.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += peer.recv(1)
        yield peer


@contextmanager
def _subscriber(port: int) -> Iterator[socket.socket]:
    with _peer(port) as peer:
        _send(peer, tp.Codec().encode(tp.Subscribe(topic=tp.topics.MISSIONS)))
        if '"success":true' not in _receive(peer):
            raise RuntimeError("the subscription was refused")
        yield peer


def _time_event(publisher: socket.socket, peers: list[socket.socket]) -> float:
    """Return how many seconds an event takes to the last subscriber."""
    poll = select.epoll()
    waiting = {peer.fileno(): peer for peer in peers}
    for number in waiting:
        poll.register(number, select.EPOLLIN)
    command = tp.Codec().encode(tp.StartMission(mission_id=MISSION_ID))
    started = time.perf_counter()
    _send(publisher, command)
    while waiting:
        for number, _ in poll.poll(10):
            _receive(waiting.pop(number))
            poll.unregister(number)
    elapsed = time.perf_counter() - started
    poll.close()
    _receive(publisher)
    return elapsed


def _send(peer: socket.socket, text: str) -> None:
    data = text.encode()
    size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    peer.sendall(b"\x81" + size + bytes(4) + data)  # a mask of zeros leaves the text as it is


def _receive(peer: socket.socket) -> str:
    head = _exactly(peer, 2)
    size = head[1]
    if size == 126:
        (size,) = struct.unpack("!H", _exactly(peer, 2))
    return _exactly(peer, size).decode()


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        if not part:
            raise ConnectionResetError("the server closed the connection")
        data += part
    return data


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main(arguments: list[str] | None = None) -> int:
    """Measure the library over each backend, and print the figures as JSON.

    Args:
        arguments: The command line; the process's own if left out.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live.sockets", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args(arguments)
    by_name = {entrant.name: entrant for entrant in ENTRANTS}
    for backend in BACKENDS:
        cost = measure(
            by_name[own_name(backend, "plain")],
            connections=options.connections,
            subscribers=options.subscribers,
            rounds=options.rounds,
        )
        print(
            json.dumps(
                {
                    "server": cost.server,
                    "connections per second": cost.per_second,
                    "KiB at rest": cost.at_rest,
                    "ms to the last of the subscribers": cost.fan_out,
                    "subscribers": cost.subscribers,
                }
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
