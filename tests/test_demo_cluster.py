"""``demo --processes``: nothing is lost while server processes, and brokers, are killed."""

import asyncio
from collections.abc import Iterator
from uuid import UUID

import pytest
from support.cli_process import COMMAND, started
from support.live import live
from support.nats_server import NatsServer, nats_server, require_nats
from support.redis_server import RedisServer, redis_server, require_redis

import tachikoma_proto as tp
from tachikoma_proto.cli.demo import cluster
from tachikoma_proto.cli.demo.cluster import Plan, run_cluster
from tachikoma_proto.cli.demo.member import broker_of
from tachikoma_proto.client import Client


@pytest.fixture(params=["redis", "nats"])
def broker(request: pytest.FixtureRequest) -> Iterator[RedisServer | NatsServer]:
    if request.param == "redis":
        require_redis()
        with redis_server() as redis:
            yield redis
    else:
        require_nats()
        with nats_server() as nats:
            yield nats


def test_every_event_arrives_while_processes_are_killed(broker: RedisServer | NatsServer) -> None:
    options = ("--processes", "3", "--clients", "5", "--duration", "5", "--kill-every", "1.5")
    process = started("demo", "--broker", broker.url, *options, program=COMMAND)
    shown, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "every client has every event, once and in order\n" in shown
    assert " 0 times a client was told" in shown


def test_what_is_lost_with_the_broker_is_told(
    broker: RedisServer | NatsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = Plan(broker=broker.url, processes=2, clients=3, seconds=8.0, kill_every=3.0)

    async def restart() -> None:
        await asyncio.sleep(3.0)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(broker.start)

    async def main() -> int:
        restarting = asyncio.create_task(restart())
        status = await run_cluster(plan)
        await restarting
        return status

    status = asyncio.run(main())
    shown = capsys.readouterr()
    assert status == 0, shown.err
    assert "every client has every event, once and in order" in shown.out


PUBLISHER = UUID(int=1)


def follower() -> cluster._Follower:
    async def nowhere() -> tp.Transport:
        raise ConnectionRefusedError

    member = cluster._Member(0, {}, stored={PUBLISHER: 0})
    return cluster._Follower(Client(nowhere), [member])


@live
async def test_a_hole_and_a_second_delivery_are_found() -> None:
    one = follower()
    for number in (1, 2, 4, 4):
        one._take(PUBLISHER, str(number))
    assert one.faults == ["events 3 to 3 are missing", "event 4 came after event 4"]
    assert not one.has(PUBLISHER, 5)
    assert not one.has(UUID(int=2), 1)
    one._take(UUID(int=3), "of another demo on the same broker")
    assert len(one.faults) == 2


@live
async def test_what_a_client_was_told_of_is_no_fault() -> None:
    one = follower()
    one._take(PUBLISHER, "1")
    one.losses += 1
    assert one.has(PUBLISHER, 9)
    one._take(PUBLISHER, "5")
    assert not one.faults
    assert not one.has(PUBLISHER, 9)
    one._take(PUBLISHER, "7")
    assert one.faults == ["events 6 to 6 are missing"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--processes", "2"), "--processes and --broker go together"),
        (("--broker", "redis://localhost"), "--processes and --broker go together"),
        (("--processes", "2", "--broker", "http://x"), "the address of a broker is redis://"),
        (("--processes", "0", "--broker", "redis://x"), "expected a whole number above 0"),
        (
            ("--processes", "2", "--broker", "redis://x", "--dashboard"),
            "--dashboard is for a server in one process",
        ),
    ],
)
def test_what_cannot_be_done_is_said_at_once(arguments: tuple[str, ...], text: str) -> None:
    process = started("demo", *arguments)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert text in errors


def test_a_broker_that_is_away_is_said_at_once(broker: RedisServer | NatsServer) -> None:
    broker.kill()
    process = started("demo", "--processes", "2", "--broker", broker.url)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in errors
    assert "tachikoma-proto: " in errors


def test_a_url_names_its_broker() -> None:
    require_redis()
    require_nats()
    assert isinstance(broker_of("rediss://localhost"), tp.RedisBroker)
    assert isinstance(broker_of("tls://localhost"), tp.NatsBroker)
