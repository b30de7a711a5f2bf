"""The code of the hook that writes an attrs class as JSON text, without a dict in between.

Rules:

* It is the text of what the converter's hook for the class gives, and refuses what that refuses.
* What a field most often is, is checked and written in place. Anything else goes to the converter's
  hook for the field's type, and what comes out of it to the JSON encoder.
* Members stand in the order of the contract, tags first; what is None is left out.
* A converter gets these hooks when the first message is written: to read needs none of them.
"""

import json
import math
from collections.abc import Callable, Container, Mapping
from json.encoder import encode_basestring
from typing import Any, Final
from uuid import UUID

from attrs import frozen
from cattrs import Converter

from tachikoma_proto.codec.converter.generated import Code
from tachikoma_proto.codec.converter.mismatch import Mismatch
from tachikoma_proto.codec.converter.records import tags_of
from tachikoma_proto.codec.converter.scalars import JSON_INTEGER
from tachikoma_proto.declare.annotations import bounds_of
from tachikoma_proto.declare.field_types import FloatRange, IntRange
from tachikoma_proto.declare.shapes import Maybe, Record, RecordField, Shape, holding_themselves
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.uuids import format_uuid

WriteText = Callable[[Any], str]
"""A hook: takes the instance."""

quote: Final[Callable[[str], str]] = encode_basestring
"""Writes text as a JSON string."""


def _make_to_text() -> Callable[[Any], str]:
    encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    make: Any = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    # As the encoder does for each value anew, but without a look for values that hold themselves,
    # which hooks do not give.
    write = make(None, encoder.default, quote, None, ":", ",", False, False, False)
    return lambda value: "".join(write(value, 0))


to_text: Final = _make_to_text()
"""Writes builtins that a hook gave as JSON text."""


@frozen
class JsonText:
    """Stands for a class to the converter where its JSON text is asked for.

    Attributes:
        cls: The class.
    """

    cls: type[Any]


def configure_text(converter: Converter, registry: Registry) -> None:
    """Give a converter the hooks that write messages as text.

    Args:
        converter: What is configured; it has hooks that write builtins.
        registry: Which classes there are, and their tags.
    """
    recursive = holding_themselves(registry.records)

    def make(kind: JsonText, converter: Converter) -> WriteText:
        fields, tags = registry.records[kind.cls], tags_of(registry, kind.cls)
        return _make_writer(kind.cls, fields, converter, tags=tags, recursive=recursive)

    converter.register_unstructure_hook_factory(lambda kind: isinstance(kind, JsonText), make)


def _make_writer(
    cls: type[Any],
    fields: tuple[RecordField, ...],
    converter: Converter,
    *,
    tags: Mapping[str, str],
    recursive: Container[type],
) -> WriteText:
    """Generate the hook that writes a class as text.

    Args:
        cls: The class.
        fields: Its fields.
        converter: What has the hooks for their types.
        tags: What stands before them.
        recursive: The classes that hold themselves: no code of theirs could be in that of another.
    """
    code = Code()
    pieces = [_literal(f",{quote(name)}:{quote(tag)}") for name, tag in tags.items()]
    with code.block("def function(value):"):
        with code.block(f"if type(value) is not {code.bind(cls)}:"):
            code.add(f"raise Mismatch({f'an instance of {cls.__qualname__}'!r})")
        for field in fields:
            variable = code.fresh("f")
            code.add(f"{variable} = value.{field.name}")
            key = _literal(f",{quote(field.name)}:")
            if not isinstance(field.shape, Maybe):
                pieces.append(key + _value(code, field.shape, variable, converter, recursive))
                continue
            with code.block(f"if {variable} is not None:"):
                optional = _value(code, field.shape.inner, variable, converter, recursive)
                code.add(f"{variable} = f{key + optional!r}")
            code.add(f"else: {variable} = ''")
            pieces.append(f"{{{variable}}}")
        _finish(code, "".join(pieces), is_sure=_has_a_first(fields, tags))
    return code.function(_NAMES)


def _has_a_first(fields: tuple[RecordField, ...], tags: Mapping[str, str]) -> bool:
    """Tell whether the first member is always the same."""
    return bool(tags or (fields and not isinstance(fields[0].shape, Maybe)))


def _finish(code: Code, members: str, *, is_sure: bool) -> None:
    """Put the members, each behind a comma, into an object.

    Args:
        code: What is generated.
        members: The inner part of an f-string.
        is_sure: Whether the first is always there, and its comma known to be one too many.
    """
    if is_sure:
        code.add(f"return f{'{{' + members[1:] + '}}'!r}")
        return
    code.add(f"text = f{members!r}", "return '{' + text[1:] + '}'")


_NAMES: Final[dict[str, Any]] = {
    "Mismatch": Mismatch,
    "UUID": UUID,
    "format_uuid": format_uuid,
    "quote": quote,
    "to_text": to_text,
}


def _literal(text: str) -> str:
    """Write text as a part of an f-string."""
    return text.replace("{", "{{").replace("}", "}}")


def _value(
    code: Code, shape: Shape, variable: str, converter: Converter, recursive: Container[type]
) -> str:
    """Check the value in a variable; give what stands for its text in an f-string."""
    assert not isinstance(shape, Maybe), "which is left out, or written as what it holds"
    kind = shape.type
    hook = code.bind(converter.get_unstructure_hook(kind))
    bounds = JSON_INTEGER if kind is int else bounds_of(kind)
    if kind is str:
        usual = f"type({variable}) is str and {variable}.isascii()"
        code.add(f"{variable} = quote({variable} if {usual} else {hook}({variable}))")
    elif kind is bool:
        code.add(f"if {variable} is not True and {variable} is not False: {hook}({variable})")
        code.add(f"{variable} = 'true' if {variable} else 'false'")
    elif kind is UUID:
        code.add(f"if type({variable}) is UUID: {variable} = format_uuid({variable})")
        code.add(f"else: {variable} = {hook}({variable})")
        return f'"{{{variable}}}"'
    elif isinstance(bounds, IntRange):
        inside = f"{code.literal(bounds.low)} <= {variable} <= {code.literal(bounds.high)}"
        code.add(f"if type({variable}) is not int or not {inside}: {variable} = {hook}({variable})")
    elif kind is float or isinstance(bounds, FloatRange):
        limit = bounds.limit if isinstance(bounds, FloatRange) else math.inf
        inside = f"{code.literal(-limit)} < {variable} < {code.literal(limit)}"
        code.add(
            f"if type({variable}) is not float or not {inside}: {variable} = {hook}({variable})"
        )
        return f"{{{variable}!r}}"
    elif isinstance(shape, Record) and kind not in recursive:
        nested = code.bind(converter.get_unstructure_hook(JsonText(kind)))
        code.add(f"{variable} = {nested}({variable})")
    else:
        code.add(f"{variable} = to_text({hook}({variable}))")
    return f"{{{variable}}}"
