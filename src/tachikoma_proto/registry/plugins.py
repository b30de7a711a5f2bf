"""Installed extensions: categories that distributions declare as entry points.

Rules:

* The group is ``tachikoma_proto.categories``; each entry point names a ``Category``.
* They are loaded only when asked for.
* One that cannot be loaded is an error: a server that comes up with half of its commands is
  worse than one that does not come up.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Final

from attrs import frozen

from tachikoma_proto.declare.category import Category
from tachikoma_proto.errors import PluginError

GROUP: Final = "tachikoma_proto.categories"
"""The entry-point group in which distributions declare their categories."""


@frozen
class Plugin:
    """An installed category.

    Attributes:
        category: The category.
        distribution: The distribution that declares it.
    """

    category: Category
    distribution: str


def installed_categories() -> list[Plugin]:
    """Load the categories of all installed distributions.

    Returns:
        The categories, in the order of their distributions' names and of their own.

    Raises:
        PluginError: An entry point cannot be imported, or is no ``Category``.
    """
    points = entry_points(group=GROUP)
    return [_load(point) for point in sorted(points, key=lambda p: (_distribution(p), p.name))]


def _load(point: EntryPoint) -> Plugin:
    distribution = _distribution(point)
    where = f"distribution {distribution}, entry point {point.name!r} = {point.value!r}"
    try:
        found = point.load()
    except Exception as error:
        raise PluginError(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Category):
        raise PluginError(f"{where}: it is a {type(found).__name__}, not a Category")
    return Plugin(found, distribution)


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "(unnamed)"
