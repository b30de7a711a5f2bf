"""Installed extensions: categories that distributions declare as entry points.

``importlib.metadata.entry_points`` gives up without a name when one installed distribution is
damaged, so distributions are gone through one by one here.

Rules:

* The group is ``tachikoma_proto.categories``; each entry point names a ``Category``.
* They are loaded only when asked for, and only those that are chosen.
* One that cannot be loaded is an error that names its distribution: a server that starts with half
  of its commands is worse than one that does not start.
"""

import re
from collections.abc import Collection, Iterator
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Final

from attrs import frozen

from tachikoma_proto.declare.category import Category
from tachikoma_proto.errors import PluginError, RegistryError

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


def installed_categories(
    only: Collection[str] | None = None, without: Collection[str] = ()
) -> list[Plugin]:
    """Load the categories of installed distributions.

    Args:
        only: The distributions or entry points to load, by name; all if None.
        without: Those to leave out.

    Returns:
        The categories, in the order of their distributions' names and of their own.

    Raises:
        PluginError: An entry point cannot be read or imported, or is no ``Category``, or ``only``
            names one that is not installed.
        RegistryError: Two entry points give the same category.
    """
    chosen: list[tuple[str, EntryPoint]] = []
    missing = {_normal(name) for name in only or ()}
    for distribution, point in _entry_points():
        names = {_normal(distribution), _normal(point.name)}
        missing -= names
        is_wanted = only is None or not names.isdisjoint(map(_normal, only))
        if is_wanted and names.isdisjoint(map(_normal, without)):
            chosen.append((distribution, point))
    if missing:
        raise PluginError(f"no installed extension is called {', '.join(sorted(missing))}")
    plugins = [_load(*each) for each in sorted(chosen, key=lambda each: (each[0], each[1].name))]
    owners: dict[int, str] = {}
    for plugin in plugins:
        first = owners.setdefault(id(plugin.category), plugin.distribution)
        if first is not plugin.distribution:
            raise RegistryError(
                f"category {plugin.category.name!r} is declared twice: by {first} and by "
                f"{plugin.distribution}, which give the same one"
            )
    return plugins


def _entry_points() -> Iterator[tuple[str, EntryPoint]]:
    """Go through the entry points of the group, each with its distribution's name."""
    seen = set()
    for distribution in distributions():
        name = _name_of(distribution)
        if _normal(name) in seen:  # the first on the path is the one that is imported
            continue
        seen.add(_normal(name))
        try:
            points = distribution.entry_points
        except (ValueError, TypeError) as error:
            if _mentions_group(distribution):
                raise PluginError(
                    f"distribution {name}: its entry points cannot be read: {error}"
                ) from error
            continue
        for point in points:
            if point.group == GROUP:
                yield name, point


def _load(distribution: str, point: EntryPoint) -> Plugin:
    where = f"distribution {distribution}, entry point {point.name!r} = {point.value!r}"
    try:
        found = point.load()
    except (Exception, SystemExit) as error:
        raise PluginError(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Category):
        raise PluginError(f"{where}: it is a {type(found).__name__}, not a Category")
    return Plugin(found, distribution)


def _name_of(distribution: Distribution) -> str:
    """Return a distribution's name; its folder's where the metadata is missing or damaged."""
    try:
        name: str | None = distribution.metadata["Name"]
    except (TypeError, ValueError, KeyError, AttributeError):
        name = None
    folder = getattr(distribution, "_path", None)
    return name or (getattr(folder, "name", "") if folder is not None else "") or "(unnamed)"


def _mentions_group(distribution: Distribution) -> bool:
    """Return whether the damaged entry points of a distribution may be about categories."""
    folder = getattr(distribution, "_path", None)
    if folder is None:
        return True
    raw: bytes = (folder / "entry_points.txt").read_bytes()
    return GROUP.encode() in raw


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
