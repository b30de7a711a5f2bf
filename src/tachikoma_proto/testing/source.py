"""Where the helpers take messages from: a registry, or the category under test."""

from typing import TypeAlias

from tachikoma_proto.declare.category import Category
from tachikoma_proto.messages import BUILTIN_CATEGORIES
from tachikoma_proto.registry.registry import Registry

Source: TypeAlias = Category | Registry | None
"""A registry; a category, for a registry of it and the built-in ones; None for those alone."""


def registry_of(source: Source) -> Registry:
    """Give the registry that a source stands for.

    Args:
        source: A registry, a category, or None.

    Raises:
        RegistryError: The category cannot stand.
    """
    if isinstance(source, Registry):
        return source
    return Registry([] if source is None or source in BUILTIN_CATEGORIES else [source])
