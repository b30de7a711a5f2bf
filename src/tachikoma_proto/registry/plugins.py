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
from typing import Any, Final

from attrs import frozen

from tachikoma_proto.declare.category import Category
from tachikoma_proto.errors import PluginError, RegistryError
from tachikoma_proto.messages import BUILTIN_CATEGORIES

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
    plugins: list[Plugin] = []
    wanted = None if only is None else _normal_names(only)
    unwanted = _normal_names(without)
    missing = set(wanted or ())
    chosen: list[tuple[str, EntryPoint]] = []
    for name, distribution in _distributions():
        if _normal(name) in unwanted:
            continue
        try:
            points = _entry_points(distribution)
        except ValueError as error:
            if wanted is None or _normal(name) in wanted:
                raise PluginError(
                    f"distribution {name}: its entry points cannot be read: {error}"
                ) from error
            continue
        for point in points:
            names = {_normal(name), _normal(point.name)}
            missing -= names
            if names.isdisjoint(unwanted) and (wanted is None or not names.isdisjoint(wanted)):
                chosen.append((name, point))
    if missing:
        raise PluginError(f"no installed extension is called {', '.join(sorted(missing))}")
    chosen.sort(key=lambda each: (each[0], each[1].name))
    owners: dict[Category, str] = {}
    for name, point in chosen:
        category, source = _load(name, point), f"{name} (entry point {point.name!r})"
        first = owners.setdefault(category, source)
        if first is not source:
            raise RegistryError(
                f"category {category.name!r} is declared twice: by {first} and by {source}, "
                "which give the same one"
            )
        plugins.append(Plugin(category, name))
    return plugins


def _distributions() -> Iterator[tuple[str, Distribution]]:
    """Go through the installed distributions, each after its name."""
    seen = set()
    for distribution in distributions():
        name = _name_of(distribution)
        if _normal(name) not in seen:  # the first on the path is the one that is imported
            seen.add(_normal(name))
            yield name, distribution


def _entry_points(distribution: Distribution) -> list[EntryPoint]:
    """Return the entry points of the group that a distribution declares.

    Raises:
        ValueError: What it declares is damaged, and may be about categories.
    """
    try:
        if (distribution.read_text("entry_points.txt") or "").startswith("\ufeff"):
            raise ValueError("they begin with a byte order mark")
        return [point for point in distribution.entry_points if point.group == GROUP]
    except (ValueError, TypeError) as error:
        if not _mentions_group(distribution):
            return []
        # A line without "=" is a TypeError, which names a class of the standard library.
        is_line = isinstance(error, TypeError)
        raise ValueError("a line has no '='" if is_line else str(error)) from error


def _load(distribution: str, point: EntryPoint) -> Category:
    where = f"distribution {distribution}, entry point {point.name!r} = {point.value!r}"
    if point.pattern.match(point.value) is None:
        raise PluginError(f"{where}: it is not of the form module:attribute")
    try:
        found = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise PluginError(f"{where}: {type(error).__name__}: {error}") from error
    if not isinstance(found, Category):
        raise PluginError(f"{where}: it is a {type(found).__name__}, not a Category")
    if found in BUILTIN_CATEGORIES:
        raise PluginError(f"{where}: it is a category of the library, which is there already")
    return found


def _name_of(distribution: Distribution) -> str:
    """Return a distribution's name; that of its folder where the metadata is missing or damaged."""
    try:
        metadata: Any = distribution.metadata  # a Message; its [] warns of what is missing
        name: str | None = metadata.get("Name")
    except (TypeError, ValueError, KeyError, AttributeError):
        name = None
    folder: str = getattr(getattr(distribution, "_path", None), "name", "")
    return name or re.sub(r"(-.*)?\.(dist|egg)-info$", "", folder) or "(unnamed)"


def _mentions_group(distribution: Distribution) -> bool:
    """Return whether the damaged entry points of a distribution may be about categories."""
    folder = getattr(distribution, "_path", None)
    if folder is None:
        return True
    raw: bytes = (folder / "entry_points.txt").read_bytes()
    return GROUP.encode() in raw.replace(b"\0", b"")  # in UTF-16, too


def _normal_names(names: Collection[str]) -> set[str]:
    return {_normal(name) for name in ([names] if isinstance(names, str) else names)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
