"""How what msgspec read becomes messages, and how a codec reaches the accelerator."""

from typing import Any, ClassVar

import attrs
import pytest
from attrs import frozen
from rig import ANSWER, PAUSE, PROGRESS, REGISTRY, SPECS, STATUS, plain

import tachikoma_proto as tp
from tachikoma_proto.accelerator import accelerator, structs
from tachikoma_proto.accelerator.structs import Structs
from tachikoma_proto.specs import Kind


class TestLayouts:
    def test_nothing_is_copied_where_that_can_be_had(self) -> None:
        """A copy would be made without a word if a layout did not fit: here it is noticed."""
        made = Structs(REGISTRY.records)
        for spec in SPECS:
            if spec.kind in (Kind.EVENT, Kind.RESPONSE) and attrs.fields(spec.cls):
                tag = spec.kind.value if spec.kind is Kind.EVENT else ""
                try:
                    made.of_record(spec.cls, spec.tags, union_tag=tag)
                except structs.Unsure:
                    continue
                assert made.is_alike(spec.cls), spec.cls
        for cls in (tp.OutgoingMessage, tp.IncomingMessage):
            names = [field.name for field in attrs.fields(cls) if field.name != "type"]
            made.of_envelope(cls, "x", [structs.Field(name, Any) for name in names])
            assert made.is_alike(cls)

    def test_without_them(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(structs, "can_become", lambda made, cls: False)
        codec = tp.Codec(REGISTRY, accelerated=True)
        refused: list[object] = []
        made = accelerator.Accelerator(REGISTRY, max_size=2**20)
        sure = made.server_message_reader(refused.append)
        for frame in [PROGRESS] * 3 + [ANSWER, STATUS]:
            expected = plain.decode_server_message(frame)
            assert sure(frame) == codec.decode_server_message(frame) == expected
        assert codec.decode_command(PAUSE) == plain.decode_command(PAUSE)
        assert not refused


class Hooked(tp.Event):
    """Its methods are not to be called on what is not a message yet."""

    __slots__ = ()
    called: ClassVar[list[str]] = []

    def __post_init__(self) -> None:
        self.called.append("post_init")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)

    def __del__(self) -> None:
        self.called.append("del")


@frozen(kw_only=True)
class Below(Hooked):
    a: int
    b: str = "x"


def test_methods_of_a_base_are_not_called_on_structs() -> None:
    category = tp.Category("hooked")
    category.event("below")(Below)
    codec = tp.Codec(tp.Registry([category]), accelerated=True)
    text = codec.encode(Below(a=1))
    Hooked.called.clear()
    messages = [codec.decode_server_message(text) for _ in range(4)]
    assert [message.payload for message in messages] == [Below(a=1)] * 4
    assert "post_init" not in Hooked.called


def test_a_subclass_keeps_its_methods() -> None:
    class Counting(tp.Codec):
        read = 0

        def decode_command(self, frame: Any) -> Any:
            self.read += 1
            return super().decode_command(frame)

    codec = Counting(accelerated=True)
    assert codec.decode_command(PAUSE) == plain.decode_command(PAUSE)
    assert codec.read == 1
    assert tp.Codec(accelerated=True).decode_command.__doc__ == tp.Codec.decode_command.__doc__
