"""The code that counts the commas which a frame should have.

Rules:

* Every member but the first of its object, and every item but the first of its array, stands behind
  a comma. If a frame has more than what was read accounts for, and what stands in texts, then a
  key was repeated, or is unknown.
* What is counted is the struct as msgspec read it: nothing of it is finished yet.
"""

from collections.abc import Sequence
from typing import Final

from tachikoma_proto.accelerator.structs import Structs, Unsure
from tachikoma_proto.base import unmarked
from tachikoma_proto.generated import Code
from tachikoma_proto.shapes import Array, Leaf, Maybe, Record, RecordField, Shape

COUNTER: Final = "c"
"""The variable that counts."""


def commas_in(text: str, frame: str) -> int:
    """Count the commas of a text as they stand in the frame, which must not be escaped."""
    # To look for one character takes next to no time.
    if "\\" in frame and "\\u002" in frame:
        raise Unsure
    return text.count(",")


class Commas:
    """Generates the code that counts.

    Args:
        code: Where it goes; ``commas_in`` and ``UNSET`` are known there by these names, and the
            text as ``frame``.
        structs: What made the structs.
    """

    def __init__(self, code: Code, structs: Structs) -> None:
        self._code = code
        self._structs = structs

    def members(
        self, cls: type, source: str, *, tags: int = 0, optional: Sequence[str] = ()
    ) -> None:
        """Count the commas in an object.

        Args:
            cls: Its class.
            source: The variable that holds its struct.
            tags: How many tags it has besides its fields.
            optional: Fields of the struct that are tags, and may be there.
        """
        fields = self._structs.records[cls]
        always = tags + sum(field.required for field in fields)
        # The first member has no comma: if none has to be there, they are counted.
        counter = COUNTER if always else self._code.fresh("k")
        self._code.add(f"{counter} += {always - 1}" if always else f"{counter} = 0")
        for name in optional:
            self._code.add(f"if {source}.{name} is not UNSET: {counter} += 1")
        for field in fields:
            self._field(field, f"{source}.{field.name}", counter)
        if not always:
            self._code.add(f"if {counter}: {COUNTER} += {counter} - 1")

    def _field(self, field: RecordField, source: str, counter: str) -> None:
        if field.required:
            self._value(field.shape, source)
        elif self._structs.can_read(field.shape):
            with self._code.block(f"if {source} is not UNSET:"):
                self._code.add(f"{counter} += 1")
                self._value(field.shape, source)
        else:  # it is not there, or null
            self._code.add(f"if {source} is not UNSET: {counter} += 1")

    def _value(self, shape: Shape, source: str) -> None:
        if not _may_have_some(shape):
            return
        code, variable = self._code, self._code.fresh("a")
        code.add(f"{variable} = {source}")
        match shape:
            case Maybe(inner):
                with code.block(f"if {variable} is not None:"):
                    self._value(inner, variable)
            case Array(_, inner):
                self._array(inner, variable)
            case Record(cls):
                self.members(cls, variable)
            case _:
                self._text(variable)

    def _array(self, inner: Shape, variable: str) -> None:
        code = self._code
        with code.block(f"if {variable}:"):
            code.add(f"{COUNTER} += len({variable}) - 1")
            if isinstance(inner, Leaf) and _may_have_some(inner):
                code.add(f'{variable} = "".join({variable})')
                self._text(variable)
            elif _may_have_some(inner):
                item = code.fresh("x")
                with code.block(f"for {item} in {variable}:"):
                    self._value(inner, item)

    def _text(self, variable: str) -> None:
        self._code.add(f'if "," in {variable}: {COUNTER} += commas_in({variable}, frame)')


def _may_have_some(shape: Shape) -> bool:
    match shape:
        case Leaf(kind):
            return unmarked(kind) is str
        case Maybe(inner):
            return _may_have_some(inner)
        case _:
            return True
