"""Installed extensions: real metadata on a path of its own, whole and damaged."""

import importlib
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import tachikoma_proto as tp

METADATA = "Metadata-Version: 2.1\nName: {}\nVersion: 1\n"
POINT = "[tachikoma_proto.categories]\n{} = {}\n"
MODULE = "import tachikoma_proto as tp\ncategory = tp.Category({!r})\n"


class Site:
    """A folder on ``sys.path`` into which distributions are put as installers put them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.modules: list[str] = []

    def module(self, name: str, source: str | bytes) -> None:
        self.modules.append(name)
        data = source if isinstance(source, bytes) else source.encode()
        (self.path / f"{name}.py").write_bytes(data)
        importlib.invalidate_caches()

    def distribution(
        self,
        name: str,
        points: str | bytes | None,
        *,
        metadata: str | bytes | None = METADATA,
        suffix: str = "-1.dist-info",
    ) -> Path:
        folder = self.path / (name.replace("-", "_") + suffix)
        folder.mkdir()
        if isinstance(metadata, str):
            metadata = metadata.format(name).encode()
        if metadata is not None:
            (folder / "METADATA").write_bytes(metadata)
        if points is not None:
            data = points if isinstance(points, bytes) else points.encode()
            (folder / "entry_points.txt").write_bytes(data)
        return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path)
    site = Site(tmp_path)
    site.module("first_ext", MODULE.format("first"))
    site.module("second_ext", MODULE.format("second"))
    yield site
    for name in site.modules:
        sys.modules.pop(name, None)


def found(**choice: object) -> set[str]:
    registry = tp.Registry.discover(**choice)  # type: ignore[arg-type]
    return set(registry.categories) - set(tp.Registry().categories)


def refused(error: type[tp.TachikomaError], **choice: object) -> str:
    with pytest.raises(error) as caught:
        found(**choice)
    return str(caught.value)


def both(site: Site) -> None:
    site.distribution("first-dist", POINT.format("one", "first_ext:category"))
    site.distribution("second-dist", POINT.format("two", "second_ext:category"))


@pytest.mark.parametrize(
    "metadata", [None, "", "Version: 1\n", b"Name: \xff\xfe\n"], ids=["none", "empty", "no", "bad"]
)
def test_a_distribution_without_readable_metadata_goes_by_its_folder(
    site: Site, metadata: str | bytes | None
) -> None:
    site.distribution("first-dist", POINT.format("one", "first_ext:category"), metadata=metadata)
    site.distribution("other", None, metadata=metadata)
    registry = tp.Registry.discover()
    owner = registry.owner_of(registry.categories["first"])
    assert "first" in owner
    assert found(only=["first-dist"]) == {"first"}
    assert found(without=["first_dist"]) == set()


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ("[tachikoma_proto.categories]\nfoo\n", "a line has no '='"),
        ("[x]\nfoo\n[tachikoma_proto.categories]\na = first_ext:category\n", "a line has no '='"),
        (b"[tachikoma_proto.categories]\na = first_ext:category \xff\n", "'utf-8' codec"),
        (POINT.format("a", "first_ext:category").encode("utf-16"), "'utf-8' codec"),
        (POINT.format("a", "first_ext:category").encode("utf-8-sig"), "a byte order mark"),
    ],
    ids=["no =", "no = elsewhere", "not utf-8", "utf-16", "bom"],
)
def test_entry_points_that_cannot_be_read_name_their_distribution(
    site: Site, points: str | bytes, text: str
) -> None:
    site.distribution("broken-dist", points)
    site.distribution("second-dist", POINT.format("two", "second_ext:category"))
    said = refused(tp.PluginError)
    assert said.startswith("distribution broken-dist: its entry points cannot be read: ")
    assert text in said
    assert found(without=["broken-dist"]) == {"second"}
    assert found(only=["second-dist"]) == {"second"}
    assert "broken-dist" in refused(tp.PluginError, only=["broken-dist"])


def test_damaged_entry_points_of_others_are_none_of_our_business(site: Site) -> None:
    site.distribution("first-dist", POINT.format("one", "first_ext:category"))
    site.distribution("scripts", "[console_scripts]\nfoo\n")
    site.distribution("binary", b"[console_scripts]\na = \xff\n")
    (site.distribution("folder", None) / "entry_points.txt").mkdir()
    (site.path / "file-1.dist-info").write_text("no folder")
    assert found() == {"first"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "it is not of the form module:attribute"),
        ("not a module!", "it is not of the form module:attribute"),
        ("first_ext", "it is a module, not a Category"),
        ("first_ext:tp.Category", "it is a type, not a Category"),
        ("first_ext:nothing", "AttributeError: module 'first_ext' has no attribute 'nothing'"),
        ("no_such_module_at_all:category", "ModuleNotFoundError: No module named"),
        ("tachikoma_proto.messages.categories:mission", "a category of the library"),
    ],
)
def test_an_entry_point_that_names_no_category_names_its_distribution(
    site: Site, value: str, text: str
) -> None:
    site.distribution("broken-dist", POINT.format("one", value))
    said = refused(tp.PluginError)
    assert said.startswith(f"distribution broken-dist, entry point 'one' = {value!r}: ")
    assert text in said


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise SystemExit", "SystemExit: "),
        ("raise GeneratorExit", "GeneratorExit: "),
        ("class Skipped(BaseException): ...\nraise Skipped('no')", "Skipped: no"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError: "),
        (b"name = '\xff'", "SyntaxError: "),
        (b"name = '\0'", "SyntaxError: "),
        ("def f(): f()\nf()", "RecursionError: "),
        ("import tachikoma_proto as tp\ncategory = tp.Category('a b')", "RegistryError: "),
    ],
)
def test_a_plugin_that_cannot_be_imported_names_its_distribution(
    site: Site, source: str | bytes, text: str
) -> None:
    site.module("broken_ext", source)
    site.distribution("broken-dist", POINT.format("one", "broken_ext:category"))
    site.distribution("second-dist", POINT.format("two", "second_ext:category"))
    said = refused(tp.PluginError)
    assert said.startswith("distribution broken-dist, entry point 'one' = 'broken_ext:category': ")
    assert text in said
    assert found(without=["one"]) == {"second"}
    assert "broken_ext" not in sys.modules


def test_a_plugin_that_is_interrupted_is_not_to_blame(site: Site) -> None:
    site.module("broken_ext", "raise KeyboardInterrupt")
    site.distribution("broken-dist", POINT.format("one", "broken_ext:category"))
    with pytest.raises(KeyboardInterrupt):
        tp.Registry.discover()


def test_one_category_through_two_distributions_names_both(site: Site) -> None:
    site.distribution("first-dist", POINT.format("one", "first_ext:category"))
    site.distribution("other-dist", POINT.format("one", "first_ext:category"))
    said = refused(tp.RegistryError)
    assert said == (
        "category 'first' is declared twice: by first-dist (entry point 'one') and by "
        "other-dist (entry point 'one'), which give the same one"
    )


def test_one_category_through_two_entry_points_names_both(site: Site) -> None:
    points = POINT.format("one", "first_ext:category") + "two = first_ext:category\n"
    site.distribution("first-dist", points)
    assert "(entry point 'one') and by first-dist (entry point 'two')" in refused(tp.RegistryError)


def test_two_categories_of_one_name_name_both_distributions(site: Site) -> None:
    site.module("second_ext", MODULE.format("first"))
    both(site)
    said = refused(tp.RegistryError)
    assert said == "category 'first' is declared twice: by first-dist and by second-dist"


def test_a_category_with_the_name_of_a_built_in_one_names_its_distribution(site: Site) -> None:
    site.module("first_ext", MODULE.format("mission"))
    site.distribution("first-dist", POINT.format("one", "first_ext:category"))
    said = refused(tp.RegistryError)
    assert said == "category 'mission' is declared twice: by tachikoma_proto and by first-dist"


def test_the_installed_are_chosen_by_distribution_or_entry_point(site: Site) -> None:
    both(site)
    assert found() == {"first", "second"}
    for name in ("first-dist", "First_Dist", "first.dist", "one"):
        assert found(only=[name]) == {"first"}
        assert found(only=name) == {"first"}
        assert found(without={name}) == {"second"}
        assert found(without=name) == {"second"}
    assert found(only=[]) == set()
    assert found(only=["one", "two"], without=["two"]) == {"first"}
    assert found(without=["not-installed"]) == {"first", "second"}
    assert refused(tp.PluginError, only=["one", "zzz"]) == "no installed extension is called zzz"


def test_what_is_not_chosen_is_not_imported(site: Site) -> None:
    both(site)
    assert found(only=["one"]) == {"first"}
    assert "second_ext" not in sys.modules


def test_the_first_on_the_path_counts_of_a_distribution_that_is_there_twice(site: Site) -> None:
    site.distribution("first-dist", POINT.format("one", "first_ext:category"))
    site.distribution(
        "first-dist", POINT.format("one", "first_ext:category"), suffix="-2.dist-info"
    )
    assert found() == {"first"}


def test_a_distribution_in_a_zip_file_is_found(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = site.path / "zipped.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("zipped-1.dist-info/METADATA", METADATA.format("zipped"))
        file.writestr(
            "zipped-1.dist-info/entry_points.txt", POINT.format("z", "zipped_ext:category")
        )
        file.writestr("zipped_ext.py", MODULE.format("zipped"))
    monkeypatch.syspath_prepend(archive)
    site.modules.append("zipped_ext")
    assert found() == {"zipped"}
