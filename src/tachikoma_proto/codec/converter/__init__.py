"""The converter: builtins ⇄ messages, by cattrs, strictly.

Rules:

* The converter is the authority on what is a message. Whatever else reads or writes messages
  must agree with it.
* It is configured from the registry alone, one concern a module: ``scalars``, ``containers``,
  ``records``, ``unions``. None of them knows a message by name.
* Hooks raise :class:`~tachikoma_proto.codec.converter.mismatch.Mismatch` or, as generated code does
  for a missing field, ``KeyError``; ``faults`` then finds out where, and what else is wrong.
* Hooks for a class are generated when it is first met.
"""

from cattrs import Converter

from tachikoma_proto.codec.converter.containers import configure_containers
from tachikoma_proto.codec.converter.records import configure_records
from tachikoma_proto.codec.converter.scalars import configure_scalars
from tachikoma_proto.codec.converter.unions import configure_tagged_unions
from tachikoma_proto.declare.shapes import enums_in
from tachikoma_proto.registry.registry import Registry

__all__ = ["make_converter"]


def make_converter(registry: Registry, *, forbid_unknown_fields: bool = False) -> Converter:
    """Make a converter for the messages of a registry.

    Args:
        registry: The messages.
        forbid_unknown_fields: Whether a field that a message does not have is refused.

    Returns:
        A converter that structures message classes, unions of messages of one category, and
        every type that may stand in a field, and unstructures the same.
    """
    converter = Converter(detailed_validation=False)
    configure_scalars(converter, registry.scalars, enums_in(registry.records))
    configure_containers(converter)
    configure_records(converter, registry, forbid_unknown_fields=forbid_unknown_fields)
    configure_tagged_unions(converter, registry)
    return converter
