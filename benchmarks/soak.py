"""A soak: a server and its clients under all that happens in a long life, for some minutes.

::

    python -m benchmarks.soak --minutes 10 --clients 200

Visitors come, say something, and go: in order, by vanishing, without reading, with rubbish, or
before they have even shaken hands. Steady readers stay meanwhile, and check that every event
reaches them, in order and once. At the end everybody leaves.

Rules:

* The server has a process of its own, on a real socket. Both processes are judged.
* Nothing may be lost and nothing may come twice. Whoever behaves is answered, and not disconnected.
* Tasks, descriptors and connections have to be back where they were after a warm-up, and memory
  close to it. The figures are printed; the exit status is 1 if they are not.
"""

import argparse
import asyncio
import ctypes
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from uuid import UUID

from attrs import asdict, frozen
from websockets.asyncio.client import ClientConnection, connect as open_websocket
from websockets.exceptions import WebSocketException

import tachikoma_proto as tp

CODEC: Final = tp.Codec()

TOKEN: Final = "soak"

MISSIONS: Final = tuple(UUID(int=number) for number in range(1, 9))

CONFIG: Final = tp.ServerConfig(
    ping_interval=5.0,
    pong_timeout=5.0,
    pending_grace=10.0,
    close_timeout=2.0,
    history_events=1000,
)
"""What is kept for clients that resume has reached its bound when the warm-up ends."""

WARM_UP: Final = 0.2
"""How long the warm-up takes, as a part of the whole."""

SETTLING: Final = 30.0
"""How many seconds what is left behind may take to end: handshakes and pings time out first."""

GROWTH: Final = 0.1
"""By which part memory may have grown: the allocator does not give everything back."""

_SHOWN: Final = 20
"""How many faults are printed."""


# What is measured.


@frozen
class Figures:
    """What a process holds.

    Attributes:
        tasks: How many asyncio tasks.
        descriptors: How many files and sockets.
        connections: How many sessions, in a server.
        memory: How many bytes of memory, after what can be freed was.
    """

    tasks: int
    descriptors: int
    connections: int
    memory: int

    def differences(self, before: "Figures") -> list[str]:
        """Return in words what has not come back to where it was."""
        faults = [
            f"{name}: {was} before, {now} now"
            for name, was, now in (
                ("tasks", before.tasks, self.tasks),
                ("descriptors", before.descriptors, self.descriptors),
                ("connections", before.connections, self.connections),
            )
            if now > was
        ]
        if self.memory > before.memory * (1 + GROWTH):
            faults.append(f"memory: {_mib(before.memory)} before, {_mib(self.memory)} now")
        return faults

    def __str__(self) -> str:
        return (
            f"{self.tasks} tasks, {self.descriptors} descriptors, "
            f"{self.connections} connections, {_mib(self.memory)}"
        )


def measure(connections: int = 0) -> Figures:
    """Measure this process, in its event loop.

    Args:
        connections: How many connections it says that it has.
    """
    for _ in range(3):
        gc.collect()
    with suppress(OSError, AttributeError):  # where the C library is another one
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with open("/proc/self/statm") as statm:
        memory = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Figures(
        tasks=len(asyncio.all_tasks()),
        descriptors=len(os.listdir("/proc/self/fd")),
        connections=connections,
        memory=memory,
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


# The server, in a process of its own.


class Publisher:
    """Publishes numbered events, the missions in turn.

    Args:
        server: What publishes them.
        rate: How many a second.

    Attributes:
        published: How many there were of each mission.
    """

    def __init__(self, server: tp.Server, rate: float) -> None:
        self.published = dict.fromkeys(MISSIONS, 0)
        self._server = server
        self._rate = rate
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Publish from now on."""
        self._task = asyncio.create_task(self._publish())

    async def stop(self) -> None:
        """Publish no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _publish(self) -> None:
        while True:
            for mission in MISSIONS:
                self._server.publish(_numbered(mission, self.published[mission]))
                self.published[mission] += 1
                await asyncio.sleep(random.expovariate(self._rate))


def _numbered(mission: UUID, number: int) -> tp.MissionProgress:
    return tp.MissionProgress(
        mission_id=mission,
        current_spec="soak",
        completed_specs=number,
        total_specs=2**32 - 1,
        percentage=0.0,
    )


def make_server() -> tp.Server:
    """Return the server: it answers commands at once, later, and in threads, and fails at times."""
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

    @dispatcher.handler(tp.GetMissionStatus)
    async def status(command: tp.GetMissionStatus, _: tp.Session) -> tp.MissionStatusResponse:
        await asyncio.sleep(random.choice((0, 0, 0.01, 0.1)))
        return tp.MissionStatusResponse(
            mission_id=command.mission_id,
            status="running",
            completed_specs=0,
            total_specs=1,
            percentage=0.0,
        )

    @dispatcher.handler(tp.StartMission)
    def start(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
        return tp.AckResponse.ok()

    @dispatcher.handler(tp.PauseMission, in_thread=True)
    def pause(command: tp.PauseMission, session: tp.Session) -> tp.AckResponse:
        time.sleep(0.001)
        return tp.AckResponse.ok()

    @dispatcher.handler(tp.CancelMission)
    async def cancel(command: tp.CancelMission, session: tp.Session) -> tp.AckResponse:
        raise tp.CommandError("not_found", "there is no such mission")

    async def authenticate(token: str) -> tp.Identity | None:
        await asyncio.sleep(random.choice((0, 0.01)))
        return tp.Identity(UUID(int=1)) if token == TOKEN else None

    return tp.Server(CODEC, dispatcher, authenticate=authenticate, config=CONFIG)


async def run_server(backend: Any, rate: float) -> None:
    """Serve, and obey the commands on standard input until it ends: see ``ServerProcess``."""
    server = make_server()
    publisher = Publisher(server, rate)
    async with tp.serve(server, "127.0.0.1", 0, backend=backend) as serving:
        print(json.dumps(serving.url), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            answer: Any = None
            match line.strip():
                case "start":
                    publisher.start()
                case "stop":
                    await publisher.stop()
                    answer = {str(mission): n for mission, n in publisher.published.items()}
                case "figures":
                    answer = asdict(measure(len(server.sessions)))
            print(json.dumps(answer), flush=True)


class ServerProcess:
    """A server that runs in a process of its own; an asynchronous context manager.

    Args:
        backend: The library that serves.
        rate: How many events it publishes a second.

    Attributes:
        url: Where it listens.
    """

    url: str

    def __init__(self, backend: str, rate: float) -> None:
        self._arguments = ("--serve", "--backend", backend, "--rate", str(rate))

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "benchmarks.soak", *self._arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.url = await self._read()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # which ends it
        await self._process.wait()

    async def start_publishing(self) -> None:
        """Publish from now on."""
        await self._ask("start")

    async def stop_publishing(self) -> dict[UUID, int]:
        """Publish no more, and return how many events there were of each mission."""
        return {UUID(mission): n for mission, n in (await self._ask("stop")).items()}

    async def figures(self) -> Figures:
        """Return what the process holds."""
        return Figures(**await self._ask("figures"))

    async def _ask(self, command: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        return await self._read()

    async def _read(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server has ended")
        return json.loads(line)


# The clients.


class Faults:
    """What went wrong, each with how often."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __str__(self) -> str:
        lines = [f"{count:6} x {text}" for text, count in self._counts.most_common(_SHOWN)]
        hidden = len(self._counts) - len(lines)
        return "\n".join([*lines, f"       and {hidden} others"] if hidden else lines)

    def add(self, text: str) -> None:
        """Note a fault."""
        self._counts[text] += 1


class Reader:
    """Stays connected, and checks that every event comes, in order and once.

    Args:
        url: Where the server listens.
        topic: What it reads.
        faults: Where it notes what is wrong.

    Attributes:
        seen: The number that each mission's next event should have.
    """

    def __init__(self, url: str, topic: str, faults: Faults) -> None:
        self.seen: dict[UUID, int] = {}
        self._url = url
        self._topic = topic
        self._faults = faults
        self._subscribed = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def subscribed(self) -> None:
        """Wait until it gets events."""
        waiting = asyncio.create_task(self._subscribed.wait())
        await asyncio.wait((waiting, self._task), return_when=asyncio.FIRST_COMPLETED)
        if self._task.done():
            waiting.cancel()
            self._task.result()

    async def has_read(self, published: dict[UUID, int], seconds: float) -> None:
        """Wait until it has read all that was published, and note what is missing in the end."""
        expected = {
            mission: count
            for mission, count in published.items()
            if self._topic in (tp.topics.MISSIONS, tp.topics.mission(mission)) and count
        }
        try:
            async with asyncio.timeout(seconds):
                while any(self.seen.get(mission) != n for mission, n in expected.items()):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            missing = sum(n - self.seen.get(mission, 0) for mission, n in expected.items())
            self._faults.add(f"a reader of {self._topic}: {missing} events never came")

    async def leave(self) -> None:
        """End the connection."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _read(self) -> None:
        async with (
            tp.connect(self._url, token=TOKEN, codec=CODEC) as client,
            client.subscription(self._topic) as events,
        ):
            self._subscribed.set()
            async for event in events:
                if isinstance(event, tp.MissionProgress):
                    self._check(event.mission_id, event.completed_specs)
                else:
                    self._faults.add(f"a reader of {self._topic}: {event}")

    def _check(self, mission: UUID, number: int) -> None:
        expected = self.seen.get(mission, number)  # the first one may have any number
        if number > expected:
            self._faults.add(f"a reader of {self._topic}: {number - expected} events were lost")
        elif number < expected:
            self._faults.add(f"a reader of {self._topic}: event {number} came twice")
        self.seen[mission] = max(number, expected - 1) + 1


async def visit_in_order(url: str) -> None:
    """Subscribe and unsubscribe, ask, check the answers, and leave."""
    mission = random.choice(MISSIONS)
    async with tp.connect(url, token=TOKEN, codec=CODEC) as client:
        for _ in range(random.randrange(1, 6)):
            topic = random.choice((tp.topics.mission(mission), tp.topics.SYSTEM))
            async with client.subscription(topic) as events:
                asked = [client.request(tp.GetMissionStatus(mission_id=mission)) for _ in range(5)]
                answers = await asyncio.gather(*asked)
                if any(answer.mission_id != mission for answer in answers):
                    raise AssertionError("an answer of another request")
                await client.request(
                    random.choice((tp.StartMission, tp.PauseMission))(mission_id=mission)
                )
                await _refused(client.request(tp.CancelMission(mission_id=mission)), "not_found")
                with suppress(TimeoutError):
                    await asyncio.wait_for(anext(events), random.random())
        await client.subscribe(tp.topics.FORGE_SESSIONS)
        if random.random() < 0.5:
            await client.unsubscribe(tp.topics.FORGE_SESSIONS)


async def visit_and_vanish(url: str) -> None:
    """Subscribe, ask, and be gone without a word, with answers on the way."""
    websocket = await _raw(url)
    try:
        await _say(websocket, tp.Authenticate(token=TOKEN), tp.Subscribe(topic="missions"))
        await asyncio.sleep(random.random())
        await _say(websocket, *[tp.GetMissionStatus(mission_id=MISSIONS[0])] * 20)
        await asyncio.sleep(random.choice((0, 0.05)))
    finally:
        await _abort(websocket)


async def visit_without_reading(url: str) -> None:
    """Subscribe, and read nothing, until the server has had enough or the visitor has."""
    websocket = await _raw(url, max_queue=1)
    try:
        await _say(websocket, tp.Authenticate(token=TOKEN), tp.Subscribe(topic="missions"))
        websocket.transport.pause_reading()
        await _say(websocket, *[tp.GetMissionStatus(mission_id=MISSIONS[0])] * 300)
        await asyncio.sleep(random.uniform(0, 12))
    finally:
        await _abort(websocket)


async def visit_with_rubbish(url: str) -> None:
    """Say what no server should have to hear."""
    rubbish: Sequence[Callable[[], str | bytes | list[str]]] = (
        lambda: random.randbytes(random.randrange(200)),
        lambda: "{" * random.randrange(1, 2000),
        lambda: '{"type":"' + "x" * random.randrange(1, 70_000) + '"}',
        lambda: '{"type":"authenticate","payload":{"token":"wrong"}}',
        lambda: ['{"type":', '"ping"', "}"],
        lambda: CODEC.encode(tp.Subscribe(topic="missions/no-such-topic")),
        lambda: "[]",
        lambda: "",
        lambda: "x" * (2**21) if random.random() < 0.1 else "x",
    )
    websocket = await _raw(url)
    try:
        if random.random() < 0.5:
            await _say(websocket, tp.Authenticate(token=TOKEN))
        for _ in range(random.randrange(1, 40)):
            await websocket.send(random.choice(rubbish)())
        with suppress(TimeoutError):
            async with asyncio.timeout(random.random()):
                async for _ in websocket:
                    pass
    finally:
        await (_abort(websocket) if random.random() < 0.5 else websocket.close())


async def visit_half(url: str) -> None:
    """Open a socket, and leave before the handshake is over."""
    host, port = url.removeprefix("ws://").split(":")
    said = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n" * random.randrange(2)
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    await asyncio.sleep(random.random())
    writer.transport.abort()


Visit: TypeAlias = Callable[[str], Awaitable[None]]

BEHAVED: Final[tuple[Visit, ...]] = (visit_in_order,)
"""What has to go well; of the others all that counts is what they leave behind."""

VISITS: Final[tuple[Visit, ...]] = (
    *BEHAVED * 4,
    visit_and_vanish,
    visit_without_reading,
    visit_with_rubbish,
    visit_half,
)


async def visit(url: str, until: float, faults: Faults, visits: Counter[str]) -> None:
    """Visit a server again and again.

    Args:
        url: Where it listens.
        until: When to stop, in the event loop's time.
        faults: Where what goes wrong is noted.
        visits: Where the visits are counted.
    """
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        way = random.choice(VISITS)
        visits[way.__name__] += 1
        try:
            await way(url)
        except (OSError, WebSocketException, tp.TachikomaError, AssertionError) as error:
            if way in BEHAVED:
                faults.add(f"{way.__name__}: {type(error).__name__}: {error}")
        await asyncio.sleep(random.random() / 2)


async def _raw(url: str, **options: Any) -> ClientConnection:
    return await open_websocket(url, proxy=None, ping_interval=None, open_timeout=30, **options)


async def _say(websocket: ClientConnection, *commands: tp.Command[Any]) -> None:
    for command in commands:
        await websocket.send(CODEC.encode(command))


async def _abort(websocket: ClientConnection) -> None:
    websocket.transport.abort()
    await websocket.wait_closed()


async def _refused(asking: Awaitable[object], code: str) -> None:
    try:
        await asking
    except tp.RemoteError as error:
        if error.code == code:
            return
        raise
    raise AssertionError(f"was not refused with {code}")


# The soak.


async def soak(server: ServerProcess, seconds: float, clients: int, readers: int) -> Faults:
    """Let clients come and go for a while, and all leave at the end.

    Args:
        server: The server.
        seconds: How long.
        clients: How many visitors there are at a time.
        readers: How many steady readers.

    Returns:
        What went wrong.
    """
    faults, visits = Faults(), Counter[str]()
    topics = (tp.topics.MISSIONS, tp.topics.mission(MISSIONS[0]))
    steady = [Reader(server.url, topics[number % 2], faults) for number in range(readers)]
    await asyncio.gather(*(reader.subscribed() for reader in steady))
    await server.start_publishing()
    until = asyncio.get_running_loop().time() + seconds
    await asyncio.gather(*(visit(server.url, until, faults, visits) for _ in range(clients)))
    published = await server.stop_publishing()
    await asyncio.gather(*(reader.has_read(published, SETTLING) for reader in steady))
    await asyncio.gather(*(reader.leave() for reader in steady))
    print(f"  {sum(published.values())} events so far; visits: {dict(visits.most_common())}")
    return faults


async def settled(server: ServerProcess, at_rest: tuple[Figures, Figures]) -> list[Figures]:
    """Wait until both processes hold as little as they did at rest, and return what they hold."""
    loop = asyncio.get_running_loop()
    until = loop.time() + SETTLING
    while True:
        now = [await server.figures(), measure()]
        left = [each for one, was in zip(now, at_rest, strict=True) for each in _open(one, was)]
        if not left or loop.time() > until:
            return now
        await asyncio.sleep(0.5)


def _open(now: Figures, at_rest: Figures) -> list[str]:
    return [text for text in now.differences(at_rest) if not text.startswith("memory")]


async def run(options: argparse.Namespace) -> int:
    """Run the soak, print the figures, and return the exit status."""
    seconds = options.minutes * 60
    async with ServerProcess(options.backend, options.rate) as server:
        at_rest = await server.figures(), measure()
        print(f"warming up for {seconds * WARM_UP:.0f} s")
        faults = await soak(server, seconds * WARM_UP, options.clients, options.readers)
        before = await settled(server, at_rest)
        print(f"soaking for {seconds * (1 - WARM_UP):.0f} s")
        if not faults:
            faults = await soak(server, seconds * (1 - WARM_UP), options.clients, options.readers)
        after = await settled(server, at_rest)
    for name, was, now in zip(("server", "clients"), before, after, strict=True):
        print(f"{name}:\n  after the warm-up  {was}\n  at the end         {now}")
        for text in now.differences(was):
            faults.add(f"the {name}' {text}" if name == "clients" else f"the {name}'s {text}")
    print(f"faults:\n{faults}" if faults else "nothing lost, nothing twice, nothing left behind")
    return 1 if faults else 0


def main() -> int:
    """Read the options, and run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description="Soak a server and its clients."
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long [10]")
    parser.add_argument("--clients", type=int, default=200, help="visitors at a time [200]")
    parser.add_argument("--readers", type=int, default=10, help="steady readers [10]")
    parser.add_argument("--rate", type=float, default=50.0, help="events a second [50]")
    parser.add_argument("--backend", choices=("websockets", "picows"), default="picows")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(run_server(options.backend, options.rate))
        return 0
    return asyncio.run(run(options))


if __name__ == "__main__":
    sys.exit(main())
