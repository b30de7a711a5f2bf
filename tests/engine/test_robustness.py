"""Odd inputs, called code, memory that runs out, forks: an error, or the right answer."""

import datetime
import gc
import os
import random
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any
from uuid import UUID, SafeUUID

import attrs
import pytest
from support.conformance import VECTORS

import tachikoma_proto as tp
from engine import generate
from engine.agreement import REFUSED, UNSURE, Pair, make_plan
from tachikoma_proto.codec._engine import Engine

MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
PING = '{"type":"ping"}'


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


# ---- What is given ----


class Text(str):
    pass


class Bytes(bytes):
    pass


@pytest.mark.parametrize(
    "frame",
    [
        Text(PING),
        Bytes(PING.encode()),
        memoryview(PING.encode()[::-1])[::-1],
        memoryview(bytes(b for c in PING.encode() for b in (c, 0)))[::2],
        memoryview(PING.encode()).cast("c"),
        bytearray(PING.encode()),
        None,
        3,
        [PING],
        "",
        b"",
        "\ud800",
        PING + "\0",
        PING.encode() + b"\0",
        b"\xef\xbb\xbf" + PING.encode(),
        "\ufeff" + PING,
        b'{"type":"ping","\xff":1}',
        b'{"type":"ping","a":"\xed\xa0\x80"}',
        b'{"type":"ping","a":"\xc0\xaf"}',
        b'{"type":"ping","a":"\xf4\x90\x80\x80"}',
    ],
)
def test_odd_frames_are_judged_alike(pair: Pair, frame: Any) -> None:
    pair.check("client", frame)


def test_a_view_that_was_released_is_the_callers_mistake(pair: Pair) -> None:
    view = memoryview(PING.encode())
    view.release()
    with pytest.raises(ValueError, match="released"):
        pair.whole.decode_command(view)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="gone since Python 3.12")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_string_of_the_old_kind_has_a_size() -> None:
    testcapi = pytest.importorskip("_testcapi")
    for text in (PING, '{"type":"ping","a":"ビ"}'):
        for limit in (len(text.encode()) - 1, len(text.encode())):
            Pair(max_size=limit).check("client", testcapi.unicode_legacy_string(text))


def test_messages_that_are_none(pair: Pair) -> None:
    oddities: list[Any] = [None, 3, "text", tp.Ping, object()]
    for odd in oddities:
        with pytest.raises((tp.EncodeError, AttributeError, TypeError)):
            pair.plain.encode_message(odd)
        with pytest.raises((tp.EncodeError, AttributeError, TypeError)):
            pair.whole.encode_message(odd)
        with pytest.raises(tp.EncodeError):
            pair.whole.encode(odd)


def test_arguments_of_encode(pair: Pair) -> None:
    encode: Any = pair.whole.encode
    with pytest.raises(TypeError):
        encode()
    with pytest.raises(TypeError):
        encode(tp.AckResponse.ok(), MISSION)
    with pytest.raises(TypeError):
        encode(tp.AckResponse.ok(), other=MISSION)
    with pytest.raises(TypeError):
        encode(tp.AckResponse.ok(), payload=tp.AckResponse.ok())
    text = encode(payload=tp.AckResponse.ok(), reply_to=MISSION, id=MISSION)
    assert text.count(str(MISSION)) == 2


@attrs.frozen(kw_only=True, eq=False)
class _Child(tp.AckResponse):
    pass


def test_values_that_are_not_exactly_what_a_field_asks_for(pair: Pair) -> None:
    class Whole(int):
        pass

    class Real(float):
        pass

    class Id(UUID):
        pass

    class Time(datetime.datetime):
        pass

    moment = datetime.datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    progress: dict[str, Any] = {
        "mission_id": MISSION,
        "current_spec": "spec",
        "completed_specs": 1,
        "total_specs": 2,
        "percentage": 0.5,
    }
    fields: list[dict[str, Any]] = [
        {},
        {"mission_id": Id(MISSION.hex)},
        {"mission_id": str(MISSION)},
        {"mission_id": None},
        {"current_spec": Text("spec")},
        {"current_spec": b"spec"},
        {"current_spec": "\ud800"},
        {"current_spec": "a" * 100 + "é\ud800"},
        {"completed_specs": Whole(1)},
        {"completed_specs": True},
        {"completed_specs": -1},
        {"completed_specs": 2**32},
        {"completed_specs": 2**70},
        {"completed_specs": -(2**70)},
        {"completed_specs": 1.0},
        {"percentage": 3},
        {"percentage": Real(3)},
        {"percentage": True},
        {"percentage": 2**2000},
        {"percentage": float("nan")},
        {"percentage": -float("inf")},
        {"percentage": 3.4028235677973366e38},
        {"percentage": "3"},
    ]
    for changes in fields:
        payload = tp.MissionProgress(**{**progress, **changes})
        pair.check_written(_outgoing("event.mission", payload))
    members: list[dict[str, Any]] = [
        {"type": "event.forge"},
        {"type": Text("ack")},
        {"type": None},
        {"id": None},
        {"id": Id(MISSION.hex)},
        {"timestamp": None},
        {"timestamp": moment.replace(tzinfo=None)},
        {"timestamp": Time(2026, 1, 2, tzinfo=UTC)},
        {"timestamp": moment.astimezone(timezone(timedelta(hours=5, minutes=30)))},
        {"timestamp": datetime.datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))},
        {"timestamp": datetime.datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=1)))},
        {"reply_to": MISSION},
        {"reply_to": "no"},
        {"position": tp.Position(topic="missions", epoch="e", offset=3)},
        {"position": 3},
        {"payload": _Child(success=True)},
        {"payload": tp.Pong()},
        {"payload": None},
    ]
    for changes in members:
        message = attrs.evolve(_outgoing("ack", tp.AckResponse.ok("yes")), **changes)
        pair.check_written(message)
    said: list[tuple[str, Any]] = [
        ("ping", tp.Ping()),
        ("pong", tp.Pong()),
        ("ack", tp.AckResponse.ok()),
    ]
    classes: list[Any] = [tp.Envelope, tp.IncomingMessage, tp.OutgoingMessage]
    for message_type, one in said:
        for id, timestamp in ((None, None), (MISSION, moment), (MISSION, None)):
            for envelope in classes:
                pair.check_written(
                    envelope(id=id, type=message_type, timestamp=timestamp, payload=one)
                )


def test_free_json_that_is_odd(pair: Pair) -> None:
    deep: Any = "bottom"
    for _ in range(125):
        deep = [deep]
    loop: list[Any] = []
    loop.append(loop)
    for details in (
        {"a": 1, "b": [1.5, True, None, "é", ("tuple", 2)], "c": {}},
        {1: 2},
        {Text("key"): 1},
        {"key\ud800": 1},
        {"a": {1, 2}},
        [2**64 - 1, -(2**63), 2**64, 10**300, -0.0, 1e16, 1e-7],
        10**400,
        float("nan"),
        deep,
        [deep],
        [[deep]],
        loop,
        object(),
    ):
        payload = tp.ErrorResponse(code="a", message="b", details=details)
        pair.check_written(_outgoing("error", payload))


def test_a_slot_that_was_emptied_is_an_error(pair: Pair) -> None:
    payload = tp.AckResponse.ok()
    object.__delattr__(payload, "success")
    message = _outgoing("ack", payload)
    with pytest.raises(AttributeError):
        pair.plain.encode_message(message)
    with pytest.raises(AttributeError):
        pair.whole.encode_message(message)


def _outgoing(message_type: str, payload: Any) -> tp.OutgoingMessage[Any]:
    return tp.OutgoingMessage(type=message_type, payload=payload)


# ---- Code that is called back ----


class Odd:
    """A scalar whose functions do what a test wants."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Odd) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class Calls:
    def __init__(self) -> None:
        self.read: Callable[[str], Any] = Odd
        self.write: Callable[[Odd], Any] = lambda odd: odd.text


@pytest.fixture
def odd() -> tuple[Pair, Calls]:
    calls = Calls()
    category = tp.Category("odd")
    category.scalar(
        Odd,
        wire=str,
        read=lambda text: calls.read(text),
        write=lambda value: calls.write(value),
        expected="something odd",
    )

    @category.response("odd")
    @attrs.frozen(kw_only=True)
    class OddResponse(tp.Response):
        one: Odd
        many: list[Odd] = attrs.field(factory=list)
        named: dict[str, Odd] = attrs.field(factory=dict)
        free: tp.Json = None

    return Pair(tp.Registry([category])), calls


def odd_frame(many: int = 3) -> str:
    items = ",".join(f'"i{number}"' for number in range(many))
    return (
        '{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","type":"odd",'
        '"timestamp":"2026-01-02T03:04:05Z","payload":{"one":"1","many":[' + items + "],"
        '"named":{"a":"b","c":"d"},"free":{"deep":[1,2,{"x":"y"}]}}}'
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_what_is_no_error_passes_through(odd: tuple[Pair, Calls], error: Any) -> None:
    pair, calls = odd
    message = pair.whole.decode_server_message(odd_frame())

    def fail(value: Any) -> Any:
        if value in ("i2", Odd("i2")):
            raise error("from below")
        return Odd(value) if isinstance(value, str) else value.text

    calls.read = calls.write = fail
    for codec in (pair.plain, pair.whole):
        with pytest.raises(error):
            codec.decode_server_message(odd_frame())
        with pytest.raises(error):
            codec.encode_message(message)


@pytest.mark.parametrize(
    "error",
    [ValueError, TypeError, KeyError, ZeroDivisionError, AssertionError, RuntimeError, OSError],
)
def test_what_called_code_refuses_is_refused(odd: tuple[Pair, Calls], error: Any) -> None:
    pair, calls = odd
    message = pair.whole.decode_server_message(odd_frame())

    def fail(value: Any) -> Any:
        raise error("no")

    calls.read = calls.write = fail
    assert pair.check("server", odd_frame()) in ("refused", "unsure")
    pair.check_written(message)


def test_called_code_that_gives_something_else(odd: tuple[Pair, Calls]) -> None:
    pair, calls = odd
    message = pair.whole.decode_server_message(odd_frame())
    calls.read = lambda text: text
    assert pair.check("server", odd_frame()) == "refused"
    for value in (3, None, "\ud800", Text("t")):
        calls.write = lambda _, value=value: value  # type: ignore[misc]
        pair.check_written(message)


def test_called_code_may_use_the_same_codec(odd: tuple[Pair, Calls]) -> None:
    pair, calls = odd
    depth = 0

    def read(text: str) -> Odd:
        nonlocal depth
        if depth < 2:
            depth += 1
            pair.whole.decode_server_message(odd_frame(60 if depth == 2 else 2))
            pair.whole.encode(tp.AckResponse.ok("x" * 5000))
            gc.collect()
            depth -= 1
        return Odd(text)

    calls.read = read
    message = pair.whole.decode_server_message(odd_frame(5))
    assert [item.text for item in message.payload.many] == [f"i{n}" for n in range(5)]  # type: ignore[union-attr]


def test_called_code_that_recurses_without_end(odd: tuple[Pair, Calls]) -> None:
    pair, calls = odd
    message = pair.whole.decode_server_message(odd_frame())

    def recurse(value: Any) -> Any:
        return recurse(value)

    calls.read = calls.write = recurse
    for codec in (pair.plain, pair.whole):
        with pytest.raises(tp.ProtocolError):
            codec.decode_server_message(odd_frame())
        with pytest.raises(tp.EncodeError):
            codec.encode_message(message)


def test_called_code_that_changes_what_is_written(odd: tuple[Pair, Calls]) -> None:
    pair, calls = odd
    for name in ("many", "named", "free"):
        message: Any = pair.whole.decode_server_message(odd_frame(20))
        held = getattr(message.payload, name)

        def write(value: Odd, held: Any = held) -> str:
            held.clear()
            gc.collect()
            return value.text

        calls.write = write
        try:
            text = pair.whole.encode_message(message)
        except RuntimeError as error:  # as the converter says it
            assert "changed size" in str(error)  # noqa: PT017
        else:
            assert text.endswith("}")

    def add(value: Odd) -> str:
        message.payload.named[f"new{len(message.payload.named)}"] = Odd("new")
        return value.text

    message = pair.whole.decode_server_message(odd_frame(2))
    calls.write = add
    with pytest.raises(RuntimeError, match="changed size"):
        pair.whole.encode_message(message)


def test_a_time_zone_of_somebodys_own(pair: Pair) -> None:
    class Zone(tzinfo):
        def __init__(self, result: Any) -> None:
            self.result = result

        def utcoffset(self, _: Any) -> Any:
            if isinstance(self.result, Exception):
                raise self.result
            return self.result

        def dst(self, _: Any) -> Any:
            return None

        def tzname(self, _: Any) -> str:
            return "zone"

    for result in (None, timedelta(hours=2), timedelta(microseconds=1), ValueError("no"), "text"):
        moment = datetime.datetime(2026, 1, 2, tzinfo=Zone(result))
        message = attrs.evolve(_outgoing("ack", tp.AckResponse.ok()), timestamp=moment)
        pair.check_written(message)
    moment = datetime.datetime(2026, 1, 2, tzinfo=Zone(KeyboardInterrupt()))


def test_threads_do_not_disturb_each_other(odd: tuple[Pair, Calls]) -> None:
    pair, calls = odd

    def read(text: str) -> Odd:
        time.sleep(0)
        return Odd(text)

    calls.read = read
    faults: list[object] = []

    def work(number: int) -> None:
        try:
            for _ in range(50):
                message: Any = pair.whole.decode_server_message(odd_frame(number))
                assert len(message.payload.many) == number
                text = pair.whole.encode_message(message)
                assert pair.plain.decode_server_message(text) == message
        except BaseException as error:  # noqa: BLE001
            faults.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


# ---- Memory ----

UNKNOWN = [
    '{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","type":"event.new",'
    '"timestamp":"2026-01-02T03:04:05Z","payload":{"category":"new","event":"e\\n"}}',
    '{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","type":"new",'
    '"timestamp":"2026-01-02T03:04:05Z","payload":["\\u00e9",{"a":1}]}',
]


def exercises(*, with_extension: bool = True) -> Iterator[Callable[[], Any]]:
    """Calls of an engine: vectors, frames of an extension and unknown ones, and what was read."""
    source = random.Random(5)
    registry = generate.extension(source) if with_extension else tp.Registry()
    frames = [(v["side"], v["frame"]) for v in VECTORS[::3]]
    frames += generate.plain_frames(registry)
    frames += [("server", text) for text in UNKNOWN]
    if with_extension:
        frames += [generate.frame(source, registry) for _ in range(200)]
    frames += [(s, generate.spoil(source, t, t.__str__)) for s, t in frames[::4]]
    engine = Engine(make_plan(registry))
    for side, text in frames:
        decode = engine.decode_command if side == "client" else engine.decode_server_message
        for frame in (text, text.encode(errors="surrogatepass")):
            yield lambda decode=decode, frame=frame: decode(frame)  # type: ignore[misc]
        made = decode(text)
        if made not in (REFUSED, UNSURE):
            yield lambda made=made: engine.encode_message(made)  # type: ignore[misc]
            yield lambda made=made: engine.encode(made.payload, reply_to=MISSION)  # type: ignore[misc]


def test_nothing_is_left_behind() -> None:
    calls = list(exercises())
    shared: list[Any] = [
        None,
        True,
        "ping",
        SafeUUID.unknown,
        UUID,
        tp.Ping,
        tp.IncomingMessage,
        UTC,
        REFUSED,
    ]

    def run(times: int) -> None:
        for _ in range(times):
            for call in calls:
                call()

    run(3)
    gc.collect()
    blocks, counts = sys.getallocatedblocks(), [sys.getrefcount(thing) for thing in shared]
    run(10)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 100
    for thing, count in zip(shared, counts, strict=True):
        assert abs(sys.getrefcount(thing) - count) < 20, thing


def test_memory_that_runs_out_is_an_error() -> None:
    testcapi = pytest.importorskip("_testcapi")
    # No code of Python's is called here: the interpreter itself fails oddly without memory.
    calls = list(exercises(with_extension=False))
    failed = 0
    for call in calls:
        expected = call()
        for start in range(1, 60):
            made, caught = None, None
            testcapi.set_nomemory(start, start + 1)
            try:
                made = call()
            except MemoryError as error:
                caught = error
            finally:
                testcapi.remove_mem_hooks()
            if caught is None:
                if isinstance(expected, type(REFUSED)):
                    assert made is expected or made is UNSURE
                else:
                    assert type(made) is type(expected), "taken for another fault"
                break
            failed += 1
    assert failed > 500


def test_an_engine_is_collected_with_its_codec() -> None:
    codec = tp.Codec(accelerated=True)
    codec.decode_command(PING)
    watch = weakref.ref(codec)
    del codec
    gc.collect()
    assert watch() is None


def test_a_plan_that_is_none_is_refused() -> None:
    plan: Any = make_plan(tp.Registry())
    with pytest.raises(TypeError):
        Engine(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Engine(())
    for place in range(len(plan)):
        for odd in (None, (), (None,), ((),), ((1, 2, 3),), 3):
            broken = (*plan[:place], odd, *plan[place + 1 :])
            try:
                Engine(broken)
            except (TypeError, ValueError, IndexError, SystemError):
                continue


# ---- Ids and times ----


def written_time(text: str) -> datetime.datetime:
    return tp.Codec(accelerated=False).decode_server_message(text).timestamp


def test_ids_and_times_are_made() -> None:
    codec = tp.Codec(accelerated=True)
    texts = [codec.encode(tp.AckResponse.ok()) for _ in range(5000)]
    messages = [codec.decode_server_message(text) for text in texts]
    ids = [message.id for message in messages]
    assert len(set(ids)) == len(ids)
    assert {(i.version, i.variant) for i in ids} == {(4, "specified in RFC 4122")}
    times = [message.timestamp for message in messages]
    assert times == sorted(times)
    assert abs(times[-1] - datetime.datetime.now(UTC)) < timedelta(seconds=30)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_fork_makes_other_ids() -> None:
    codec = tp.Codec(accelerated=True)
    codec.encode(tp.AckResponse.ok())
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, codec.encode(tp.AckResponse.ok()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = codec.decode_server_message(os.read(reading, 10_000)).id
    os.close(reading)
    os.close(writing)
    ours = {codec.decode_server_message(codec.encode(tp.AckResponse.ok())).id for _ in range(64)}
    assert theirs not in ours


def test_a_clock_that_was_replaced_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = tp.Codec(accelerated=True)
    frozen = datetime.datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)

    class Frozen(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return frozen

    monkeypatch.setattr(datetime, "datetime", Frozen)
    assert written_time(codec.encode(tp.AckResponse.ok())) == frozen
    monkeypatch.undo()
    assert written_time(codec.encode(tp.AckResponse.ok())) > frozen
    monkeypatch.setattr(time, "time", lambda: 981173106.0)
    assert written_time(codec.encode(tp.AckResponse.ok())).year > 2020, "Python's own now()"


def test_a_subinterpreter_has_an_engine_of_its_own() -> None:
    testcapi = pytest.importorskip("_testcapi")
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import tachikoma_proto as tp\n"
        "codec = tp.Codec()\n"
        'for _ in range(100): codec.decode_command(\'{"type":"ping"}\')\n'
        "codec.encode(tp.AckResponse.ok())\n"
    )
    assert testcapi.run_in_subinterp(code) == 0
    assert tp.Codec(accelerated=True).decode_command(PING).payload == tp.Ping()
