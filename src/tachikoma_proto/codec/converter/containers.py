"""Strict hooks for arrays and maps, which cattrs would take from any iterable.

Rules:

* An array is read from a JSON array only, a map from a JSON object only.
* They are written as lists and dicts; a ``frozenset`` in the order of its text, so that equal
  messages have equal frames.
"""

import json
from collections.abc import Callable
from typing import Any, get_args, get_origin

from cattrs import Converter
from cattrs.cols import is_mapping

from tachikoma_proto.codec.converter.mismatch import Mismatch
from tachikoma_proto.codec.converter.scalars import write_str
from tachikoma_proto.declare.annotations import ARRAYS


def configure_containers(converter: Converter) -> None:
    """Give a converter the hooks for the arrays and maps that a message's field may have."""
    converter.register_structure_hook_factory(_is_array, _array_reader)
    converter.register_unstructure_hook_factory(_is_array, _array_writer)
    converter.register_structure_hook_factory(is_mapping, _map_reader)
    converter.register_unstructure_hook_factory(is_mapping, _map_writer)


def _is_array(kind: Any) -> bool:
    return get_origin(kind) in ARRAYS


def _array_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    container: Any = get_origin(kind)
    item_type = get_args(kind)[0]
    read_item = converter.get_structure_hook(item_type)

    def read(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise Mismatch("an array")
        items = container([read_item(item, item_type) for item in value])
        if container is frozenset and len(items) != len(value):
            raise Mismatch("an array without repeated items")
        return items

    return read


def _array_writer(kind: Any, converter: Converter) -> Callable[[Any], Any]:
    container: Any = get_origin(kind)
    write_item = converter.get_unstructure_hook(get_args(kind)[0])
    accepted = (frozenset, set) if container is frozenset else (tuple, list)

    def write(value: Any) -> list[Any]:
        if not isinstance(value, accepted):
            raise Mismatch(f"a {container.__name__}")
        items = [write_item(item) for item in value]
        return sorted(items, key=json.dumps) if container is frozenset else items

    return write


def _map_reader(kind: Any, converter: Converter) -> Callable[[Any, Any], Any]:
    item_type = get_args(kind)[1]
    read_item = converter.get_structure_hook(item_type)

    def read(value: Any, _: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise Mismatch("an object")
        return {key: read_item(item, item_type) for key, item in value.items()}

    return read


def _map_writer(kind: Any, converter: Converter) -> Callable[[Any], Any]:
    write_item = converter.get_unstructure_hook(get_args(kind)[1])

    def write(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Mismatch("a dict")
        return {write_str(key): write_item(item) for key, item in value.items()}

    return write
