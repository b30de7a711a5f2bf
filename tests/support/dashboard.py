"""The demo's server and the page over it, in a thread of their own, for tests in a browser."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

import tachikoma_proto as tp
from tachikoma_proto.cli.demo.simulation import Simulation
from tachikoma_proto.cli.target import failure_reason
from tachikoma_proto.dashboard import Dashboard, UnreachableError, authenticate
from tachikoma_proto.server.serving import serve

T = TypeVar("T")

TOKEN = "s3cr3t-t0ken-0f-the-demo"
PATIENCE = 30.0


class Exhibition:
    """A simulation, its server, and the page over it.

    Attributes:
        simulation: The missions; its server may be another one after a restart.
        dashboard: The page.
    """

    simulation: Simulation
    dashboard: Dashboard

    def __init__(self, registry: tp.Registry, topics: Sequence[str], step: float) -> None:
        self._codec = tp.Codec(registry)
        self._topics = topics
        self._step = step
        self._url = "ws://127.0.0.1:0"
        self._started = threading.Event()
        self._serving = AsyncExitStack()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    @property
    def address(self) -> str:
        return self.dashboard.address

    @property
    def origin(self) -> str:
        return self.address.partition("/#")[0]

    @property
    def url(self) -> str:
        """Where the server is, or was."""
        return self._url

    def run(self, function: Callable[[], T]) -> T:
        """Call a function in the server's thread."""

        async def call() -> T:
            return function()

        return self.await_(call())

    def await_(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await something in the server's thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def publish(self, *events: tp.Event) -> None:
        """Publish events, as fast as the page takes them."""

        async def publish_all() -> None:
            for number, event in enumerate(events):
                self.simulation.server.publish(event)
                if number % 50 == 49:
                    await asyncio.sleep(0)

        self.await_(publish_all())

    def cut(self) -> None:
        """End the connections to the server without a word."""
        self.run(lambda: [session.abort() for session in self.simulation.server.sessions])

    def stop(self) -> None:
        """Stop the server, but not the page."""
        self.await_(self._serving.aclose())

    def restart(self) -> None:
        """Serve again at the same port, with other missions."""
        self.await_(self._serve())

    async def _open_server(self) -> ClientConnection:
        try:
            server = await connect(self._url, proxy=None, ping_interval=None)
        except OSError as error:
            why = failure_reason(error, self._url)
            raise UnreachableError(f"cannot connect to {self._url}: {why}") from None
        await authenticate(server, TOKEN, self._codec)
        return server

    async def _serve(self) -> None:
        port = int(self._url.rpartition(":")[2])
        self.simulation = Simulation(self._codec, TOKEN, uuid4(), self._step)
        await self._serving.enter_async_context(self.simulation)
        serving = serve(self.simulation.server, "127.0.0.1", port, reuse_address=True)
        self._url = (await self._serving.enter_async_context(serving)).url

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        async with self._serving:
            await self._serve()
            dashboard = Dashboard(self._open_server, place=self._url, topics=self._topics)
            async with dashboard as self.dashboard:
                self._started.set()
                await self._stopped.wait()

    def __enter__(self) -> "Exhibition":
        self._thread.start()
        assert self._started.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@contextmanager
def exhibited(
    *categories: tp.Category, topics: Sequence[str] = (), step: float = 0.02
) -> Iterator[Exhibition]:
    """The page over a server that knows some categories beside the built-in ones."""
    registry = tp.Registry(categories)
    known = [one.topic for one in tp.Registry().categories.values() if one.topic]
    with Exhibition(registry, [*known, *topics], step) as exhibition:
        yield exhibition
