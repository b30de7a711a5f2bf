"""A client's tokens: fresh ones before the old ones expire, refusals, and functions that fail."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.live import live, next_of, records_of, soon, until
from support.network import CODEC, SOON, Answering, Network, agree, client_of

import tachikoma_proto as tp

SKEW = timedelta(hours=5)


class Authority:
    """A server's side of authentication.

    Attributes:
        good: The tokens that are accepted.
        lifetime: For how many seconds; None for ever.
        seen: The tokens that came.
    """

    def __init__(self, *good: str, lifetime: float | None = None) -> None:
        self.good = set(good)
        self.lifetime = lifetime
        self.seen: list[str] = []

    def answer(self, command: tp.Command[Any]) -> tp.Response | None:
        if not isinstance(command, tp.Authenticate):
            return agree(command)
        self.seen.append(command.token)
        if command.token not in self.good:
            return tp.AuthResponse(authenticated=False)
        if self.lifetime is None:
            return tp.AuthResponse(authenticated=True)
        expires_at = datetime.now(UTC) + timedelta(seconds=self.lifetime)
        return tp.AuthResponse(authenticated=True, expires_at=expires_at.isoformat())


class Tokens:
    """A token function that returns or raises what it is told, in order; then the last again."""

    def __init__(self, *given: str | BaseException) -> None:
        self.given: list[str | BaseException] = list(given)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        given = self.given.pop(0) if len(self.given) > 1 else self.given[0]
        if isinstance(given, BaseException):
            raise given
        return given

    async def waiting(self) -> str:
        await asyncio.sleep(0)
        return self()


class TestARefusedToken:
    @pytest.mark.parametrize("is_async", [False, True])
    @live
    async def test_of_a_function_is_followed_by_a_fresh_one(self, is_async: bool) -> None:
        authority, tokens = Authority("good"), Tokens("old", "good")
        network = Network(authority.answer)
        token = tokens.waiting if is_async else tokens
        async with client_of(network, token=token) as client:
            assert authority.seen == ["old", "good"]
            assert len(network.opened) == 1
            tokens.given = ["older", "good"]
            events = client.events()
            network.now.feed(None)
            await next_of(events, tp.Reconnected)
            assert authority.seen == ["old", "good", "older", "good"]

    @pytest.mark.parametrize(
        "refusal",
        [
            tp.AuthResponse(authenticated=False),
            tp.ErrorResponse.auth_required(),
            tp.ErrorResponse.permission_denied(),
        ],
    )
    @live
    async def test_twice_in_a_row_ends_the_client(self, refusal: tp.Response) -> None:
        authority, tokens = Authority("good"), Tokens("good", "old", "older", "good")
        network = Network(authority.answer, lambda _: refusal)
        async with client_of(network, token=tokens) as client:
            events = client.events()
            network.now.feed(None)
            with pytest.raises(tp.RemoteError):
                await next_of(events, tp.Reconnected)
            assert tokens.calls == 3
            assert client.state == "closed"

    @live
    async def test_over_two_connections_is_twice_in_a_row(self) -> None:
        def hang_up(_: tp.Command[Any]) -> tp.Response | None:
            asyncio.get_running_loop().call_soon(network.now.feed, None)
            return tp.AuthResponse(authenticated=False)

        tokens = Tokens("good", "old", "older", "oldest")
        network = Network(agree, hang_up)
        async with client_of(network, token=tokens) as client:
            events = client.events()
            network.now.feed(None)
            with pytest.raises(tp.RemoteError, match="refuses the token"):
                await next_of(events, tp.Reconnected)

    @live
    async def test_that_is_a_text_ends_the_client_at_once(self) -> None:
        authority = Authority()
        with pytest.raises(tp.RemoteError, match="refuses the token"):
            await client_of(Network(authority.answer), token="old").__aenter__()
        assert authority.seen == ["old"]

    @live
    async def test_on_the_first_connection_is_raised_though_it_is_retried(self) -> None:
        config = tp.ClientConfig(backoff_base=0.01, backoff_max=0.01, retry_first=True)
        authority = Authority()
        with pytest.raises(tp.RemoteError, match="refuses the token"):
            await client_of(Network(authority.answer), config, token=Tokens("old")).__aenter__()
        assert authority.seen == ["old", "old"]


class TestATokenFunction:
    @pytest.mark.parametrize(
        "error", [asyncio.CancelledError(), TimeoutError(), KeyError("s3cret"), OSError("s3cret")]
    )
    @live
    async def test_that_raises_during_a_reconnect_is_asked_again(
        self, error: BaseException
    ) -> None:
        tokens = Tokens("good", error, error, "good")
        network = Network()
        with records_of("tachikoma_proto") as records:
            async with client_of(network, token=tokens) as client:
                events = client.events()
                network.now.feed(None)
                assert await next_of(events, tp.Reconnected) == tp.Reconnected(3)
        assert "s3cret" not in "".join(records)

    @live
    async def test_whose_own_task_is_cancelled_is_asked_again(self) -> None:
        is_broken = False

        async def forever() -> str:
            await asyncio.sleep(60)
            return "never"

        async def token() -> str:
            if is_broken:
                inner = asyncio.create_task(forever())
                asyncio.get_running_loop().call_later(0.01, inner.cancel)
                return await inner
            return "good"

        network = Network()
        async with client_of(network, token=token) as client:
            events = client.events()
            is_broken = True
            network.now.feed(None)
            await asyncio.sleep(0.1)
            assert client.state == "reconnecting"
            is_broken = False
            await next_of(events, tp.Reconnected)

    @live
    async def test_that_is_cancelled_on_the_first_connection_is_an_error(self) -> None:
        with pytest.raises(RuntimeError, match="the token function was cancelled"):
            await client_of(Network(), token=Tokens(asyncio.CancelledError())).__aenter__()

    @live
    async def test_that_never_returns_has_its_time(self) -> None:
        async def token() -> str:
            await asyncio.Event().wait()
            return "never"

        config = tp.ClientConfig(open_timeout=0.05)
        with pytest.raises(TimeoutError, match=r"no connection within 0\.05 s"):
            await client_of(Network(), config, token=token).__aenter__()

    @live
    async def test_leaves_the_cancellation_of_the_client_alone(self) -> None:
        async def token() -> str:
            await asyncio.Event().wait()
            return "never"

        entering = asyncio.create_task(client_of(Network(), token=token).__aenter__())
        await asyncio.sleep(0.01)
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering


@live
async def test_the_opening_of_a_connection_may_be_cancelled_without_the_client() -> None:
    network = Network()
    is_cancelled = False

    async def open_transport() -> tp.Transport:
        if is_cancelled:
            raise asyncio.CancelledError
        return await network.open()

    async with tp.Client(open_transport, config=SOON) as client:
        events = client.events()
        is_cancelled = True
        network.now.feed(None)
        await asyncio.sleep(0.05)
        is_cancelled = False
        await next_of(events, tp.Reconnected)


class TestATokenThatExpires:
    @live
    async def test_is_followed_by_a_fresh_one_before(self) -> None:
        authority = Authority("one", "two", "three", lifetime=0.3)
        tokens = Tokens("one", "two", "three")
        network = Network(authority.answer)
        async with client_of(network, token=tokens):
            await until(lambda: len(authority.seen) >= 3)
            assert authority.seen[:3] == ["one", "two", "three"]
            assert len(network.opened) == 1

    @pytest.mark.parametrize("skew", [SKEW, -SKEW])
    @live
    async def test_expires_by_the_clock_of_the_server(self, skew: timedelta) -> None:
        tokens = Tokens("one")

        class Skewed(Answering):
            async def send(self, text: str, /) -> None:
                message = CODEC.decode_command(text)
                now = datetime.now(UTC) + skew
                expires_at = (now + timedelta(seconds=0.3)).isoformat()
                response = tp.AuthResponse(authenticated=True, expires_at=expires_at)
                self.feed(CODEC.encode(response, reply_to=message.id, timestamp=now))

        async def open_transport() -> tp.Transport:
            return Skewed(agree)

        async with tp.Client(open_transport, config=SOON, token=tokens):
            await asyncio.sleep(0.1)
            assert tokens.calls == 1
            await until(lambda: tokens.calls == 2)

    @live
    async def test_is_kept_when_there_is_no_fresh_one(self) -> None:
        authority = Authority("one", lifetime=0.4)
        tokens = Tokens("one", OSError("away"), "bad", "bad")
        network = Network(authority.answer)
        async with client_of(network, token=tokens) as client:
            await until(lambda: authority.seen == ["one", "bad", "bad"])
            await soon(client.request(tp.Ping()))
            assert len(network.opened) == 1

    @live
    async def test_that_is_a_text_is_not_sent_again(self) -> None:
        authority = Authority("one", lifetime=0.2)
        async with client_of(Network(authority.answer), token="one"):
            await asyncio.sleep(0.3)
        assert authority.seen == ["one"]

    @pytest.mark.parametrize("expires_at", [None, "soon", "2001-01-01T00:00:00Z"])
    @live
    async def test_at_no_time_that_can_be_told_is_not_sent_again(
        self, expires_at: str | None
    ) -> None:
        tokens = Tokens("one")

        def answer(command: tp.Command[Any]) -> tp.Response | None:
            if isinstance(command, tp.Authenticate):
                return tp.AuthResponse(authenticated=True, expires_at=expires_at)
            return agree(command)

        async with client_of(Network(answer), token=tokens) as client:
            await asyncio.sleep(0.2)
            await soon(client.request(tp.Ping()))
        assert tokens.calls == 1

    @live
    async def test_whose_successor_takes_long_does_not_delay_a_reconnect(self) -> None:
        calls = 0

        async def token() -> str:
            nonlocal calls
            calls += 1
            if calls == 2:
                await asyncio.sleep(60)
            return "one"

        authority = Authority("one", lifetime=0.1)
        network = Network(authority.answer)
        async with client_of(network, token=token) as client:
            await until(lambda: calls == 2)
            events = client.events()
            network.now.feed(None)
            await next_of(events, tp.Reconnected)

    @live
    async def test_whose_successor_is_unanswered_when_the_connection_is_lost_is_no_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        authority = Authority("one", lifetime=0.1)

        def first(command: tp.Command[Any]) -> tp.Response | None:
            return None if authority.seen else authority.answer(command)

        tokens = Tokens("one")
        network = Network(first, authority.answer)
        async with client_of(network, token=tokens) as client:
            await until(lambda: len(network.now.commands) == 2)
            events = client.events()
            network.now.feed(None)
            await next_of(events, tp.Reconnected)
            assert authority.seen == ["one", "one"]
        assert "no fresh token" not in caplog.text


class TestTheFirstConnection:
    @live
    async def test_is_tried_once(self) -> None:
        network = Network(OSError("no route"), agree)
        with pytest.raises(OSError, match="no route"):
            await client_of(network).__aenter__()

    @pytest.mark.parametrize("error", [OSError("no route"), TimeoutError(), EOFError()])
    @live
    async def test_is_tried_again_where_it_should_be(self, error: Exception) -> None:
        config = tp.ClientConfig(backoff_base=0.01, backoff_max=0.01, retry_first=True)
        network = Network(error, error, agree)
        async with client_of(network, config) as client:
            assert isinstance(await soon(client.request(tp.Ping())), tp.PongResponse)

    @live
    async def test_is_tried_so_many_times(self) -> None:
        config = tp.ClientConfig(
            backoff_base=0.01, backoff_max=0.01, retry_first=True, max_attempts=3
        )
        attempts = 0

        async def open_transport() -> tp.Transport:
            nonlocal attempts
            attempts += 1
            raise OSError("no route")

        with pytest.raises(OSError, match="no route"):
            await tp.Client(open_transport, config=config).__aenter__()
        assert attempts == 3

    @pytest.mark.parametrize("how", ["close", "cancel"])
    @live
    async def test_is_not_tried_for_ever(self, how: str) -> None:
        config = tp.ClientConfig(backoff_base=60, backoff_max=60, retry_first=True)
        client = client_of(Network(OSError("no route")), config)
        entering = asyncio.create_task(client.__aenter__())
        await asyncio.sleep(0.01)
        expected: type[BaseException]
        if how == "close":
            await soon(client.close())
            expected = tp.ConnectionLostError
        else:
            entering.cancel()
            expected = asyncio.CancelledError
        with pytest.raises(expected):
            await soon(entering)


class TestTheDelaysOfAReconnect:
    @pytest.mark.parametrize(("held", "starts_anew"), [(0.0, False), (5.0, True)])
    @live
    async def test_start_anew_after_a_few_good_seconds(
        self, held: float, starts_anew: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = 0

        def counted(base: float, longest: float) -> Any:
            nonlocal begun
            begun += 1
            return iter(lambda: 0.001, None)

        monkeypatch.setattr("tachikoma_proto.client.reconnector.delays", counted)
        loop = asyncio.get_running_loop()
        passed = 0.0
        time: Callable[[], float] = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + passed)
        network = Network()
        async with client_of(network, tp.ClientConfig(ping_interval=None)) as client:
            events = client.events()
            await client.request(tp.Ping())
            before = begun
            passed += held
            network.now.feed(None)
            await next_of(events, tp.Reconnected)
            assert (begun > before) is starts_anew


def test_a_token_is_a_text_or_a_function() -> None:
    async def open_transport() -> tp.Transport:
        raise OSError

    tokens: list[Callable[[], str | Awaitable[str]]] = [Tokens("x"), Tokens("x").waiting]
    for token in tokens:
        tp.Client(open_transport, token=token)
    for wrong in (b"x", 7, ["x"]):
        with pytest.raises(TypeError, match="a token is text"):
            tp.Client(open_transport, token=wrong)  # type: ignore[arg-type]
