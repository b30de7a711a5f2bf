"""What the engine says and what the converter says, side by side."""

import enum
import math
from typing import Any, Final

import attrs

import tachikoma_proto as tp
from tachikoma_proto.codec.engine.load import load_engine
from tachikoma_proto.codec.engine.plan import make_plan
from tachikoma_proto.codec.engine.verdict import REFUSED, UNSURE, Verdict
from tachikoma_proto.wire.json_reader import read_object

__all__ = ["REFUSED", "UNSURE", "Pair", "Verdict", "difference", "load_engine", "make_plan"]


class Disagreement(AssertionError):
    """The engine said yes where the converter did not, or something else than it."""


class Pair:
    """An engine that gives its verdicts, and the converter of the same registry.

    Args:
        registry: The messages.
        options: Those of a codec.
    """

    def __init__(self, registry: tp.Registry | None = None, **options: Any) -> None:
        from tachikoma_proto.codec._engine import Engine

        self.registry: Final = registry or tp.Registry()
        self.plain: Final = tp.Codec(self.registry, accelerated=False, **options)
        self.whole: Final = tp.Codec(self.registry, accelerated=True, **options)
        self.engine: Final = Engine(make_plan(self.registry), **{"max_size": 2**20, **options})

    def check(self, side: str, frame: Any) -> str:
        """Read a frame both ways, and write what came out both ways.

        Args:
            side: Who sent it.
            frame: The frame.

        Returns:
            What the engine did: ``yes``, ``unsure`` or ``refused``.

        Raises:
            Disagreement: They differ.
        """
        name = "decode_command" if side == "client" else "decode_server_message"
        made = getattr(self.engine, name)(frame)
        self._check_object(frame)
        expected = outcome(getattr(self.plain, name), frame)
        if isinstance(made, Verdict):
            self._check_whole(name, frame, made, expected)
            return made.value
        if isinstance(expected, Exception):
            raise Disagreement(f"accepted: {frame!r}\nmade: {made!r}\nconverter: {expected!r}")
        if type(made.payload) is tp.Ping and "id" not in read_object(frame, self.plain.max_size):
            # which is made anew each time
            assert type(made) is type(expected)
            return "yes"
        found = difference(made, expected)
        if found and "repr" not in found:
            raise Disagreement(f"{found}\nframe: {frame!r}\nmade: {made!r}\nnot: {expected!r}")
        self.check_written(made)
        return "yes"

    def check_written(self, message: Any) -> str:
        """Write a message both ways."""
        text = self.engine.encode_message(message)
        expected = outcome(self.plain.encode_message, message)
        if not isinstance(text, Verdict) and text != expected:
            raise Disagreement(f"written: {text!r}\nconverter: {expected!r}")
        if text is REFUSED and isinstance(expected, str):
            raise Disagreement(f"not written: {expected!r}")
        return text.value if isinstance(text, Verdict) else "yes"

    def _check_object(self, frame: Any) -> None:
        """Read a frame as JSON both ways: the engine gives what the strict reader gives."""
        made = self.engine.read_object(frame)
        if isinstance(made, Verdict):
            return
        expected = outcome(lambda frame: read_object(frame, self.plain.max_size), frame)
        if repr(made) != repr(expected):  # which tells 1 from 1.0, and shows the order of keys
            raise Disagreement(f"as JSON: {frame!r}\nmade: {made!r}\nreader: {expected!r}")

    def _check_whole(self, name: str, frame: Any, made: Verdict, expected: Any) -> None:
        """A codec with the engine has the same outcome as one without, whatever the verdict."""
        whole = outcome(getattr(self.whole, name), frame)
        if isinstance(expected, Exception):
            if type(whole) is not type(expected) or str(whole) != str(expected):
                raise Disagreement(f"{made}: {frame!r}\n{whole!r}\nnot: {expected!r}")
        elif isinstance(whole, Exception):
            raise Disagreement(f"{made}, and refused: {frame!r}\n{whole!r}\nnot: {expected!r}")


def outcome(function: Any, argument: Any) -> Any:
    """Call a function, and return what it returned or raised."""
    try:
        return function(argument)
    except (tp.TachikomaError, TypeError) as error:
        return error


def difference(one: Any, other: Any, path: str = "$") -> str:
    """Tell where two values differ, in type or in value; empty if they do not."""
    if type(one) is not type(other):
        return f"{path}: {type(one)} and {type(other)}"
    if attrs.has(type(one)):
        for field in attrs.fields(type(one)):
            first, second = getattr(one, field.name), getattr(other, field.name)
            if found := difference(first, second, f"{path}.{field.name}"):
                return found
        return "" if one == other or one != one else f"{path}: unequal"
    if isinstance(one, dict):
        if list(one) != list(other):
            return f"{path}: keys {list(one)} and {list(other)}"
        return next((d for k in one if (d := difference(one[k], other[k], f"{path}[{k!r}]"))), "")
    if isinstance(one, (list, tuple)):
        if len(one) != len(other):
            return f"{path}: {len(one)} and {len(other)} items"
        items = (difference(a, b, f"{path}[]") for a, b in zip(one, other, strict=True))
        return next((d for d in items if d), "")
    if isinstance(one, float) and not isinstance(one, enum.Enum):
        same = one == other and math.copysign(1, one) == math.copysign(1, other)
        return "" if same else f"{path}: {one!r} and {other!r}"
    return "" if one == other else f"{path}: {one!r} and {other!r}"
