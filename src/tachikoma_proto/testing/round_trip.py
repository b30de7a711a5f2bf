"""The round trip: what is written is read back as an equal message, whatever it holds.

Rules:

* A message goes the way that it goes on the wire: commands are read as a server reads them, the
  rest as a client does.
* Equal messages have equal frames: what was read back is written again as the same text.
* Nothing is checked with ``assert``, which ``python -O`` leaves out.
"""

from typing import Any

import attrs

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.category import Category
from tachikoma_proto.declare.declarations import MessageDeclaration, Sender
from tachikoma_proto.declare.shapes import nested_below
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.testing.needs_hypothesis import errors, given, settings
from tachikoma_proto.testing.source import registry_of
from tachikoma_proto.testing.strategies import Types, envelopes_of


def check_round_trip(
    source: Category | Registry,
    *,
    types: Types | None = None,
    codec: Codec | None = None,
    examples: int = 50,
) -> None:
    """Check that every message survives a round trip: encoding and decoding give an equal one.

    Args:
        source: The category, or the registry whose messages are all checked.
        types: Strategies for the values of declared scalars, and for any other type or class
            that needs another strategy than its shape gives.
        codec: The codec; one for the source with the default options if left out.
        examples: How many messages of each class are generated.

    Raises:
        AssertionError: A message comes back as another one, cannot be written, or is refused
            when it is read back. The text names every class that fails, with an example.
        LookupError: ``types`` lacks a declared scalar, or a field of whose values a validator
            leaves too few.
    """
    registry = registry_of(source)
    wire = Codec(registry) if codec is None else codec
    declarations = [
        s for s in registry if isinstance(source, Registry) or s.category == source.name
    ]
    failures = [
        failure
        for declaration in declarations
        if (failure := _failure(wire, declaration, types, examples))
    ]
    if failures:
        raise AssertionError("\n".join(["messages that do not come back:", *failures]))
    if not declarations:
        raise AssertionError(f"{source!r} has no message to check")


def _failure(
    codec: Codec, declaration: MessageDeclaration, types: Types | None, examples: int
) -> str | None:
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(envelopes_of(declaration, codec.registry, types))
    def comes_back(message: IncomingMessage[Any] | OutgoingMessage[Any]) -> None:
        try:
            text = codec.encode_message(message)
            found: object = _read(codec, declaration, text)
            again = codec.encode_message(_read(codec, declaration, text))
        except Exception as error:
            raise AssertionError(f"{message!r}\n    {type(error).__name__}: {error}") from error
        if found != message:
            raise AssertionError(f"{message!r}\n    comes back as {found!r}")
        if again != text:
            raise AssertionError(f"{text}\n    is written again as {again}")

    try:
        comes_back()
    except AssertionError as error:
        return f"  {declaration.owner}: {error}"
    except (errors.InvalidArgument, errors.FailedHealthCheck, errors.Unsatisfiable) as error:
        fields = _validated(declaration.cls, codec.registry)
        if not fields:
            raise
        raise LookupError(
            f"{declaration.owner}: the validators of {', '.join(fields)} leave too few values: "
            "pass types= with a strategy for the annotation of the field, or for its class "
            f"({error})"
        ) from error
    return None


def _validated(cls: type, registry: Registry) -> list[str]:
    """Return the names of the fields that have validators, in a class and those nested in it."""
    return [
        f"{one.__qualname__}.{attribute.name}"
        for one in (cls, *nested_below(cls, registry.records))
        for attribute in attrs.fields(one)
        if attribute.validator is not None
    ]


def _read(
    codec: Codec, declaration: MessageDeclaration, text: str
) -> IncomingMessage[Any] | OutgoingMessage[Any]:
    if declaration.sender is Sender.CLIENT:
        return codec.decode_command(text)
    return codec.decode_server_message(text)
