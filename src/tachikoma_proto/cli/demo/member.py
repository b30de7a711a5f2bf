"""One server process of ``demo --processes``.

It is run as a module, with its port as the argument. The broker's URL and the token are in the
environment, where other users cannot see them. Standard input says ``go`` when it is to publish
numbered events and ``stop`` when it is to publish no more; at its end the process ends, too.
Standard output says who publishes, and up to which number the events are stored.
"""

import asyncio
import hmac
import os
import sys
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import tachikoma_proto as tp
from tachikoma_proto.brokers import Broker

BROKER_VARIABLE: Final = "TACHIKOMA_BROKER"
TOKEN_VARIABLE: Final = "TACHIKOMA_TOKEN"

_BATCH: Final = 5
"""How many events are published at once."""

_INTERVAL: Final = 0.1
"""How many seconds pass between that."""


def broker_of(url: str, prefix: str = "tachikoma_demo") -> Broker:
    """Return the broker that a URL names.

    Args:
        url: ``redis://…``, ``rediss://…``, ``nats://…`` or ``tls://…``.
        prefix: What its logs are named after, so that they are not those of servers in use.

    Raises:
        ValueError: It is of no broker that is known.
        ImportError: The package for it is not installed.
    """
    scheme = urlsplit(url).scheme
    if scheme in ("redis", "rediss"):
        return tp.RedisBroker(url, prefix=prefix)
    if scheme in ("nats", "tls"):
        return tp.NatsBroker(url, prefix=prefix)
    raise ValueError("the address of a broker is redis://…, rediss://…, nats://… or tls://…")


async def serve_member(port: int, broker: Broker, token: str) -> None:
    """Serve until standard input ends.

    Args:
        port: Where to listen, on the loopback address.
        broker: What the processes share.
        token: The token that clients have.
    """

    async def check(given: str) -> tp.Identity | None:
        is_right = hmac.compare_digest(given.encode(), token.encode())
        return tp.Identity(UUID(int=1)) if is_right else None

    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()
    server = tp.Server(tp.Codec(), dispatcher, authenticate=check, broker=broker)
    publishing: asyncio.Task[None] | None = None
    async with tp.serve(server, "127.0.0.1", port):
        publisher = uuid4()
        print(publisher, flush=True)
        async for word in _words():
            if word == "go" and publishing is None:
                publishing = asyncio.create_task(_publish(server, publisher))
            elif word == "stop" and publishing is not None:
                publishing.cancel()
                await asyncio.wait({publishing})
                await server.flush()
                print("stopped", flush=True)


async def _publish(server: tp.Server, publisher: UUID) -> None:
    number = 0
    while True:
        for _ in range(_BATCH):
            number += 1
            server.publish(tp.ForgeLog(session_id=publisher, level="info", message=str(number)))
        await server.flush()
        print(number, flush=True)
        await asyncio.sleep(_INTERVAL)


async def _words() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        yield line.decode().strip()


if __name__ == "__main__":
    asyncio.run(
        serve_member(
            int(sys.argv[1]),
            broker_of(os.environ[BROKER_VARIABLE]),
            os.environ[TOKEN_VARIABLE],
        )
    )
