"""Where the helpers take messages from: a registry, or the category under test."""

from typing import TypeAlias

from tachikoma_proto.declare.category import Category
from tachikoma_proto.messages import BUILTIN_CATEGORIES
from tachikoma_proto.registry.registry import Registry

Source: TypeAlias = Category | Registry | None
"""A registry; or a category, for it and the built-in ones; or None, for the built-in ones only."""


def registry_of(source: Source) -> Registry:
    """Return the registry that a source stands for.

    Args:
        source: A registry, a category, or None.

    Raises:
        RegistryError: The category is declared wrongly.
    """
    if isinstance(source, Registry):
        return source
    return Registry([] if source is None or source in BUILTIN_CATEGORIES else [source])
