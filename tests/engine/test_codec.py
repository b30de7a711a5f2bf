"""How a codec gets its engine, and does without."""

import copy
import pickle
import sys
from typing import Any

import attrs
import pytest

import tachikoma_proto as tp
from tachikoma_proto.codec.engine.load import has_engine
from tachikoma_proto.codec.engine.plan import fills_slots
from tachikoma_proto.codec.engine.verdict import Verdict

ID = "0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"
PING = '{"type":"ping"}'
ENGINE = "tachikoma_proto.codec._engine"


def test_a_codec_says_which_it_has() -> None:
    assert has_engine()
    assert "compiled engine" in repr(tp.Codec())
    assert "compiled engine" in repr(tp.Codec(accelerated=True))
    assert "converter alone" in repr(tp.Codec(accelerated=False))
    assert tp.Codec().is_accelerated
    assert not tp.Codec(accelerated=False).is_accelerated


def test_without_an_engine_the_converter_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, ENGINE, None)
    codec = tp.Codec()
    assert not codec.is_accelerated
    assert codec.decode_command(PING).payload == tp.Ping()
    assert codec.encode(tp.Pong()) == '{"type":"pong"}'
    with pytest.raises(ImportError, match="compiled engine"):
        tp.Codec(accelerated=True)


@pytest.mark.parametrize("accelerated", [True, False])
def test_methods_of_a_subclass_stay(accelerated: bool) -> None:
    class Counting(tp.Codec):
        read = 0

        def decode_command(self, frame: Any) -> Any:
            self.read += 1
            return super().decode_command(frame)

    codec = Counting(accelerated=accelerated)
    assert codec.decode_command(PING).payload == tp.Ping()
    assert codec.read == 1
    assert "decode_server_message" in vars(codec) or not accelerated


def test_a_copy_has_an_engine_of_its_own() -> None:
    codec = tp.Codec(max_size=1000)
    for made in (copy.copy(codec), copy.deepcopy(codec), pickle.loads(pickle.dumps(codec))):
        assert made.is_accelerated
        assert made.decode_command(PING).payload == tp.Ping()
        with pytest.raises(tp.MessageTooLargeError):
            made.decode_command(PING + " " * 1000)


def test_a_codec_gives_no_verdict() -> None:
    codec = tp.Codec()
    outcomes: list[Any] = []
    for frame in (PING, "", "{", '{"type":"no"}', b"\xff", '{"type":"pong"}', '{"type":"event.x"}'):
        for decode in (codec.decode_command, codec.decode_server_message):
            try:
                outcomes.append(decode(frame))
            except tp.ProtocolError as error:
                outcomes.append(error)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Verdict)]


def _given(value: str | None) -> str | None:
    return value and value.upper()


def _anything(value: str | None) -> str:
    return value or "nothing"


@attrs.frozen(kw_only=True)
class Given(tp.Response):
    a: str
    b: str | None = attrs.field(default=None, converter=_given)


@attrs.frozen(kw_only=True)
class Replaced(tp.Response):
    a: str
    b: str | None = attrs.field(default=None, converter=_anything)


def test_slots_are_filled_where_no_given_field_is_converted() -> None:
    assert fills_slots(tp.Subscribe)
    assert fills_slots(Given)
    assert not fills_slots(Replaced)


@pytest.mark.parametrize("payload", ['{"a":"x"}', '{"a":"x","b":"y"}', '{"a":"x","b":null}'])
@pytest.mark.parametrize("cls", [Given, Replaced])
def test_what_converters_make_is_the_same_in_every_codec(cls: Any, payload: str) -> None:
    outcomes = []
    for accelerated in (True, False):
        category = tp.Category("x")
        category.response("m")(cls)
        codec = tp.Codec(tp.Registry([category]), accelerated=accelerated)
        frame = f'{{"id":"{ID}","type":"m","timestamp":"2026-01-02T03:04:05Z","payload":{payload}}}'
        try:
            outcomes.append(repr(codec.decode_server_message(frame).payload))
        except tp.InvalidMessageError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
