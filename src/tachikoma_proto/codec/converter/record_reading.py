"""The code of the hook that reads an attrs class from a JSON object.

Rules:

* What a field most often is, is checked in place, and taken. Anything else goes to the converter's
  hook for the field's type, which takes or refuses it: the verdict is never of this module.
* The instance is made without its constructor where that does nothing but set the fields. Where it
  does more, or a class holds itself, the code is cattrs' own.
* A missing field is a ``KeyError``, as in what cattrs generates.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import attrs
from cattrs import Converter

from tachikoma_proto.codec.converter.generated import Code
from tachikoma_proto.codec.converter.mismatch import Mismatch
from tachikoma_proto.codec.converter.scalars import JSON_INTEGER
from tachikoma_proto.declare.annotations import bounds_of
from tachikoma_proto.declare.field_types import FloatRange, IntRange
from tachikoma_proto.declare.shapes import Leaf, Maybe, RecordField, Shape
from tachikoma_proto.wire.instances import may_have_twin
from tachikoma_proto.wire.timestamps import parse_timestamp
from tachikoma_proto.wire.uuids import parse_uuid

ReadRecord = Callable[[Any, Any], Any]
"""A hook: takes the JSON object and the class."""

_NAMES: Final[dict[str, Any]] = {
    "Mismatch": Mismatch,
    "parse_uuid": parse_uuid,
    "parse_timestamp": parse_timestamp,
}

_PARSERS: Final[dict[Any, str]] = {UUID: "parse_uuid", datetime: "parse_timestamp"}


def can_generate(cls: type[Any]) -> bool:
    """Tell whether an attrs class can be read without its constructor."""
    defaults = [attribute.default for attribute in attrs.fields(cls)]
    return not any(getattr(default, "takes_self", False) for default in defaults) and (
        not defaults or may_have_twin(cls)
    )


def make_record_reader(
    cls: type[Any],
    fields: tuple[RecordField, ...],
    converter: Converter,
    *,
    tags: Mapping[str, str],
    forbid_unknown_fields: bool,
) -> ReadRecord:
    """Generate the hook that reads a class.

    Args:
        cls: The class; one of which ``can_generate`` is true.
        fields: Its fields.
        converter: What has the hooks for their types.
        tags: What stands among them on the wire, and has to agree where it does.
        forbid_unknown_fields: Whether a field that it does not have is refused.
    """
    code = Code()
    with code.block("def function(value, _):"):
        code.add("if type(value) is not dict: raise Mismatch('an object')")
        for name, tag in tags.items():
            with code.block(f"if value.get({name!r}, {tag!r}) != {tag!r}:"):
                code.add("raise Mismatch('the tag that the message type says')")
        if forbid_unknown_fields:
            known = code.bind(frozenset(tags) | {field.name for field in fields})
            with code.block(f"if not {known}.issuperset(value):"):
                code.add("raise Mismatch('no unknown field')")
        values = {field.name: _field(code, cls, field, converter) for field in fields}
        code.construct(cls, "made", values)
        code.add("return made")
    return code.function(_NAMES)


def _field(code: Code, cls: type[Any], field: RecordField, converter: Converter) -> str:
    variable = code.fresh("f")
    if field.required:
        code.add(f"{variable} = value[{field.name!r}]")
        _value(code, field.shape, variable, converter)
        return variable
    default = code.default(cls, field.name)
    if isinstance(field.shape, Maybe):  # the default is None, and null is the same
        code.add(f"{variable} = value.get({field.name!r})")
        _value(code, field.shape, variable, converter)
        return variable
    with code.block(f"if {field.name!r} in value:"):
        code.add(f"{variable} = value[{field.name!r}]")
        _value(code, field.shape, variable, converter)
    with code.block("else:"):
        code.add(f"{variable} = {default}")
    return variable


def _value(code: Code, shape: Shape, variable: str, converter: Converter) -> None:
    if isinstance(shape, Maybe):
        with code.block(f"if {variable} is not None:"):
            _value(code, shape.inner, variable, converter)
        return
    kind = shape.type
    if kind is Any:
        code.add("pass")
        return
    hook = code.bind(converter.get_structure_hook(kind))
    read = f"{variable} = {hook}({variable}, {code.bind(kind)})"
    if not isinstance(shape, Leaf):
        code.add(read)
    elif kind in _PARSERS:
        parsed = code.fresh("p")
        code.add(f"{parsed} = {_PARSERS[kind]}({variable}) if type({variable}) is str else None")
        code.add(f"if {parsed} is None: {read}", f"else: {variable} = {parsed}")
    else:
        unusual = _unusual(code, kind, variable)
        code.add(f"if {unusual}: {read}" if unusual else read)


def _unusual(code: Code, kind: Any, variable: str) -> str:
    """Write the condition under which a value is not what is taken as it is; empty if always."""
    if kind in (str, bool):
        return f"type({variable}) is not {kind.__name__}"
    bounds = JSON_INTEGER if kind is int else bounds_of(kind)
    if isinstance(bounds, IntRange):
        inside = f"{code.literal(bounds.low)} <= {variable} <= {code.literal(bounds.high)}"
        return f"type({variable}) is not int or not {inside}"
    if kind is float or isinstance(bounds, FloatRange):
        limit = bounds.limit if isinstance(bounds, FloatRange) else math.inf
        inside = f"{code.literal(-limit)} < {variable} < {code.literal(limit)}"
        return f"type({variable}) is not float or not {inside}"
    return ""
