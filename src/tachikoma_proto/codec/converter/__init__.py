"""The converter: builtins ⇄ messages, by cattrs, strictly. The authority on what is a message.

It gives every verdict and every error, and it works wherever Python does. It need not be fast: the
compiled engine agrees with it and serves most frames. It must be plain: whoever knows cattrs knows
how it works. Hooks for classes are cattrs' own generated ones, commands and events are cattrs'
tagged unions, and everything is configured from the registry by ``configure_…`` functions, one
concern a module.

Rules:

* No module here knows a message by name.
* A hook that refuses a value raises ``Mismatch``, which says what was expected and holds nothing of
  the value. What cattrs generates raises ``KeyError`` for a missing field, and validators raise
  what they like.
* ``faults`` then finds every fault with its path. cattrs' detailed validation is not used for that:
  it covers reading alone, its groups of exceptions hold the values, and the lists and dicts that
  are strict here would need notes of their own; it would be a second way beside the walk.
* Hooks are made when they are first needed.
"""

from cattrs import Converter

from tachikoma_proto.codec.converter.hooks import configure_fields, configure_records
from tachikoma_proto.codec.converter.unions import configure_unions
from tachikoma_proto.registry.registry import Registry

__all__ = ["configure_converter", "make_converter"]


def make_converter(registry: Registry, *, forbid_unknown_fields: bool = False) -> Converter:
    """Make a cattrs converter for the messages of a registry.

    Args:
        registry: The messages.
        forbid_unknown_fields: Whether a field that a class does not have is refused.

    Returns:
        A converter that structures message classes, unions of commands or events, and every type
        that may stand in a field, and unstructures the same, as on the wire.

    Example::

        converter = make_converter(Registry())
        event = converter.structure(payload, tp.MissionEvent)
    """
    converter = Converter(detailed_validation=False, forbid_extra_keys=forbid_unknown_fields)
    configure_converter(converter, registry)
    return converter


def configure_converter(converter: Converter, registry: Registry) -> None:
    """Configure a cattrs converter of one's own for the messages of a registry.

    Its own hooks stay for types that are not the wire's. With ``forbid_extra_keys`` it refuses
    fields that a class does not have; tags are no such fields.

    Args:
        converter: What is configured.
        registry: The messages.
    """
    configure_fields(converter, registry)
    configure_records(converter, registry)
    configure_unions(converter, registry)
