"""The lifespan for Starlette, and how it closes a server when a signal comes."""

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from support.live import live, until

from tachikoma_proto.transports.transport import Transport

pytest.importorskip("starlette")

from tachikoma_proto.transports.starlette import _find_socket_transport, lifespan

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals")

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Closes:
    """A server of which only the closing matters.

    Attributes:
        closed: How often it was closed.
        may_end: While it is not set, closing waits.
        error: What closing raises.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.closed = 0
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.error = error

    async def handle(self, transport: Transport, /) -> None:
        raise AssertionError("no connection is served here")

    async def close(self) -> None:
        self.closed += 1
        await self.may_end.wait()
        if self.error is not None and self.closed == 1:
            raise self.error


@pytest.fixture
def passed_on() -> Iterator[list[int]]:
    """The signals that reach who handled them before, as uvicorn does."""
    numbers: list[int] = []

    def keep(number: int, _: FrameType | None) -> None:
        numbers.append(number)

    before = {number: signal.signal(number, keep) for number in SIGNALS}
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


class TestSignals:
    @pytest.mark.parametrize("number", SIGNALS)
    @live
    async def test_a_signal_closes_the_server_before_it_is_passed_on(
        self, number: signal.Signals, passed_on: list[int]
    ) -> None:
        server = Closes()
        server.may_end.clear()
        async with lifespan(server)(None):
            signal.raise_signal(number)
            await until(lambda: server.closed)
            assert passed_on == []
            server.may_end.set()
            await until(lambda: passed_on)
        assert passed_on == [number]
        assert server.closed == 2  # the end of the lifespan closes it, too

    @live
    async def test_a_second_signal_is_passed_on_at_once(self, passed_on: list[int]) -> None:
        server = Closes()
        server.may_end.clear()
        async with lifespan(server)(None):
            signal.raise_signal(signal.SIGTERM)
            await until(lambda: server.closed)
            signal.raise_signal(signal.SIGINT)
            assert passed_on == [signal.SIGINT]
            server.may_end.set()
            await until(lambda: len(passed_on) == 2)
        assert passed_on == [signal.SIGINT, signal.SIGTERM]

    @live
    async def test_a_signal_is_passed_on_although_closing_fails(self, passed_on: list[int]) -> None:
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: failures.append(context["exception"])
        )
        server = Closes(RuntimeError("cannot close"))
        async with lifespan(server)(None):
            signal.raise_signal(signal.SIGTERM)
            await until(lambda: failures)
        assert passed_on == [signal.SIGTERM]
        assert failures == [server.error]

    @live
    async def test_a_signal_that_nobody_handled_has_its_usual_effect(
        self, passed_on: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent: list[int] = []
        monkeypatch.setattr("os.kill", lambda _, number: sent.append(number))
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        async with lifespan(Closes())(None):
            signal.raise_signal(signal.SIGTERM)
            await until(lambda: sent)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert sent == [signal.SIGTERM]
        assert passed_on == []

    @live
    async def test_handlers_are_put_back_at_the_end(self, passed_on: list[int]) -> None:
        before = [signal.getsignal(number) for number in SIGNALS]
        async with lifespan(Closes())(None):
            assert [signal.getsignal(number) for number in SIGNALS] != before
        assert [signal.getsignal(number) for number in SIGNALS] == before

    @live
    async def test_a_handler_set_meanwhile_is_left_alone(self, passed_on: list[int]) -> None:
        def mine(_: int, __: FrameType | None) -> None:
            raise AssertionError("no signal was sent")

        async with lifespan(Closes())(None):
            signal.signal(signal.SIGTERM, mine)
        assert signal.getsignal(signal.SIGTERM) is mine

    @live
    async def test_signals_are_left_alone_where_that_is_wished(self, passed_on: list[int]) -> None:
        server = Closes()
        async with lifespan(server, handle_signals=False)(None):
            signal.raise_signal(signal.SIGTERM)
            assert passed_on == [signal.SIGTERM]
        assert server.closed == 1

    def test_signals_are_left_alone_outside_the_main_thread(self, passed_on: list[int]) -> None:
        closed: list[int] = []
        before = signal.getsignal(signal.SIGTERM)

        async def serve() -> None:
            server = Closes()
            async with lifespan(server)(None):
                assert signal.getsignal(signal.SIGTERM) is before
            closed.append(server.closed)

        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        thread.join()
        assert closed == [1]


class TestFindingTheSocket:
    """How ``abort`` finds the socket behind the functions that wrap an ASGI ``send``."""

    class Protocol:
        def __init__(self) -> None:
            self.transport = asyncio.Transport()

        async def send(self, message: Any) -> None:
            raise AssertionError("nothing is sent here")

    def test_it_is_found_behind_wrappers(self) -> None:
        protocol = self.Protocol()
        send: Any = protocol.send
        for _ in range(3):
            send = wrapped(send)
        assert _find_socket_transport(send) is protocol.transport

    def test_it_is_not_looked_for_without_end(self) -> None:
        send: Any = self.Protocol().send
        for _ in range(50):
            send = wrapped(send)
        assert _find_socket_transport(send) is None

    def test_it_is_not_found_in_other_functions(self) -> None:
        async def plain(message: Any) -> None:
            raise AssertionError("nothing is sent here")

        assert _find_socket_transport(plain) is None
        assert _find_socket_transport(wrapped(plain)) is None


def wrapped(send: Any) -> Any:
    """Wrap a ``send`` as middleware does."""

    async def wrapped_send(message: Any) -> None:
        await send(message)

    return wrapped_send
