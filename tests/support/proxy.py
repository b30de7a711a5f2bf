"""A TCP proxy that cuts connections, or holds back what it should pass on, as networks do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """Passes connections on to a port of the loopback address.

    Attributes:
        port: Its own port.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self._answers = asyncio.Event()
        self._answers.set()

    def cut(self) -> None:
        """Cut all connections at once."""
        for writer in self._open:
            writer.transport.abort()

    def hold_answers(self) -> None:
        """Keep back what the target sends, from now on."""
        self._answers.clear()

    def release_answers(self) -> None:
        """Pass on what was kept back."""
        self._answers.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on one connection."""
        self._open.add(writer)
        with suppress(OSError):
            from_target, to_target = await asyncio.open_connection("127.0.0.1", self._target)
            self._open.add(to_target)
            await asyncio.gather(
                self._pass_on(reader, to_target), self._pass_on(from_target, writer, self._answers)
            )
            self._open.discard(to_target)
        self._open.discard(writer)
        writer.transport.abort()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        allowed: asyncio.Event | None = None,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                if allowed is not None:
                    await allowed.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """Have a proxy while the block runs."""
    made = Proxy(target)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(made.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listening:
        made.port = listening.sockets[0].getsockname()[1]
        yield made
        made.release_answers()
        made.cut()
        await asyncio.gather(*tasks)
