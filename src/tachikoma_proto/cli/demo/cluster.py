"""``demo --processes``: several server processes that share a broker, and are killed.

Rules:

* A process is killed without a word (SIGKILL), and started again. Its clients connect to another.
* Every event has a number. A client has to get those of each publisher one after the other; it may
  miss some only where the library told it that events may be missing.
* An event counts once the server process has said that it is stored: what a process had not stored
  when it was killed may be lost with it.
"""

import asyncio
import os
import random
import secrets
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from typing import Final
from uuid import UUID

from attrs import define, field, frozen
from websockets.asyncio.client import connect

import tachikoma_proto as tp
from tachikoma_proto.cli.demo.member import BROKER_VARIABLE, TOKEN_VARIABLE, broker_of
from tachikoma_proto.cli.options import CliError
from tachikoma_proto.client import Client
from tachikoma_proto.transports.transport import Transport

_CONFIG: Final = tp.ClientConfig(backoff_base=0.05, backoff_max=1.0, retry_first=True)

_PATIENCE: Final = 30.0
"""How many seconds a process has to start, and the last events have to arrive."""


@frozen(kw_only=True)
class Plan:
    """What to do.

    Attributes:
        broker: The broker's URL.
        processes: How many server processes.
        clients: How many clients.
        seconds: For how long.
        kill_every: After how many seconds a process is killed each time.
    """

    broker: str
    processes: int
    clients: int
    seconds: float
    kill_every: float


@define(eq=False)
class _Member:
    """A server process, started again whenever it is killed.

    Attributes:
        port: Where it listens.
        stored: How many events of each publisher are stored for certain.
        kills: How often it was killed.
        is_up: Whether clients can connect.
    """

    port: int
    environment: dict[str, str]
    stored: dict[UUID, int] = field(factory=dict)
    kills: int = 0
    is_up: bool = False
    _process: Process | None = None
    _reading: "asyncio.Task[None] | None" = None
    _stopped: asyncio.Event = field(factory=asyncio.Event)

    async def start(self) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tachikoma_proto.cli.demo.member",
            str(self.port),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, **self.environment},
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_PATIENCE):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise CliError("a server process does not start")
        publisher = UUID(line.decode().strip())
        self.stored[publisher] = 0
        self.is_up = True
        self._reading = asyncio.create_task(self._read(process.stdout, publisher))

    def say(self, word: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    async def stop_publishing(self) -> None:
        self.say("stop")
        await self._stopped.wait()

    async def kill(self) -> None:
        assert self._process is not None
        assert self._reading is not None
        self.is_up = False
        self.kills += 1
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        await self._reading

    async def end(self) -> None:
        if self._process is None or self._process.returncode is not None:
            return
        assert self._process.stdin is not None
        assert self._reading is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def _read(self, lines: asyncio.StreamReader, publisher: UUID) -> None:
        while line := await lines.readline():
            word = line.decode().strip()
            if word == "stopped":
                self._stopped.set()
            else:
                self.stored[publisher] = int(word)


@define(eq=False)
class _Follower:
    """A client that checks what it gets.

    Attributes:
        members: The server processes; what others publish is none of its concern.
        got: The last number of each publisher, and how many losses had been told then.
        losses: How often it was told that events may be missing.
        reconnects: How often it connected again.
        faults: What is not as it should be.
    """

    client: Client
    members: list[_Member]
    got: dict[UUID, tuple[int, int]] = field(factory=dict)
    losses: int = 0
    reconnects: int = 0
    faults: list[str] = field(factory=list)

    async def follow(self, subscribed: asyncio.Event) -> None:
        async with (
            self.client,
            self.client.subscription(tp.topics.FORGE_SESSIONS, resume=True) as events,
        ):
            subscribed.set()
            async for event in events:
                match event:
                    case tp.ForgeLog(session_id=publisher, message=number):
                        self._take(publisher, number)
                    case tp.Reconnected(lost=lost):
                        self.reconnects += 1
                        self.losses += bool(lost)
                    case tp.EventsMissed() | tp.SubscriptionRestored() | tp.SubscriptionLost():
                        self.losses += 1
                    case _:
                        pass

    def has(self, publisher: UUID, number: int) -> bool:
        """Return whether it has all events up to a number, or was told that it may not."""
        last, losses = self.got.get(publisher, (0, 0))
        return last >= number or losses < self.losses

    def _take(self, publisher: UUID, message: str) -> None:
        if not any(publisher in member.stored for member in self.members):
            return
        number = int(message)
        last, losses = self.got.get(publisher, (0, 0))
        if number <= last:
            self.faults.append(f"event {number} came after event {last}")
        elif number > last + 1 and losses == self.losses:
            self.faults.append(f"events {last + 1} to {number - 1} are missing")
        self.got[publisher] = number, self.losses


async def run_cluster(plan: Plan) -> int:
    """Run server processes and clients, and check that every event arrives.

    Args:
        plan: What to do.

    Returns:
        The exit status.

    Raises:
        CliError: The broker cannot be used, or a server process does not start.
    """
    await _check_broker(plan.broker)
    token = secrets.token_urlsafe()
    environment = {BROKER_VARIABLE: plan.broker, TOKEN_VARIABLE: token}
    members = [_Member(port, environment) for port in _free_ports(plan.processes)]

    async def open_transport() -> Transport:
        up = [member.port for member in members if member.is_up]
        if not up:
            raise ConnectionRefusedError("no server process is up")
        return await connect(f"ws://127.0.0.1:{random.choice(up)}", proxy=None)

    async with AsyncExitStack() as stack:
        for member in members:
            stack.push_async_callback(member.end)
        await asyncio.gather(*(member.start() for member in members))
        followers = [
            _Follower(Client(open_transport, token=token, config=_CONFIG), members)
            for _ in range(plan.clients)
        ]
        await stack.enter_async_context(_following(followers))
        print(
            f"{plan.processes} server processes and {plan.clients} clients; "
            f"a process is killed every {plan.kill_every:g} s"
        )
        for member in members:
            member.say("go")
        await _kill_now_and_then(members, plan)
        await asyncio.gather(*(member.stop_publishing() for member in members))
        stored = {key: number for member in members for key, number in member.stored.items()}
        missing = await _wait_for_all(followers, stored)
    return _report(members, followers, sum(stored.values()), missing)


async def _check_broker(url: str) -> None:
    """Say at once what is wrong with a broker."""
    try:
        connection = await broker_of(url).connect((tp.topics.FORGE_SESSIONS,), lambda _: None)
    except (ValueError, ImportError, tp.BrokerError) as error:
        raise CliError(str(error)) from None
    await connection.close()


async def _kill_now_and_then(members: list[_Member], plan: Plan) -> None:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + plan.seconds
    while (left := ends_at - loop.time()) > 0:
        await asyncio.sleep(min(left, plan.kill_every))
        if loop.time() < ends_at:
            member = random.choice(members)
            await member.kill()
            await member.start()
            member.say("go")


async def _wait_for_all(followers: list[_Follower], stored: dict[UUID, int]) -> int:
    """Wait until every client has every event, and return how many do not in time."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + _PATIENCE
    while True:
        missing = sum(
            not all(follower.has(*one) for one in stored.items()) for follower in followers
        )
        if not missing or loop.time() > ends_at:
            return missing
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _following(followers: list[_Follower]) -> AsyncIterator[None]:
    """Have clients follow while the block runs; what ends one of them ends the block."""
    async with asyncio.TaskGroup() as group:
        subscribed = [asyncio.Event() for _ in followers]
        tasks = [
            group.create_task(follower.follow(one))
            for follower, one in zip(followers, subscribed, strict=True)
        ]
        for one in subscribed:
            await one.wait()
        yield
        for task in tasks:
            task.cancel()


def _report(members: list[_Member], followers: list[_Follower], stored: int, missing: int) -> int:
    faults = [fault for follower in followers for fault in follower.faults]
    print(
        f"killed {sum(member.kills for member in members)} processes; "
        f"{sum(follower.reconnects for follower in followers)} times a client connected again\n"
        f"{stored} events were stored; "
        f"{sum(follower.losses for follower in followers)} times a client was told that events "
        "may be missing"
    )
    for fault in faults[:10]:
        print(f"tachikoma-proto: {fault}", file=sys.stderr)
    if missing:
        print(f"tachikoma-proto: {missing} clients lack events", file=sys.stderr)
    if faults or missing:
        return 1
    told = sum(follower.losses for follower in followers)
    but = ", but for what it was told of" if told else ""
    print(f"every client has every event, once and in order{but}")
    return 0


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [one.getsockname()[1] for one in sockets]
