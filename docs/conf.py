"""Sphinx: the documentation as a site. ``tox -e docs`` builds it; every warning is an error."""

import builtins
import re
import sys
from importlib import import_module
from types import NoneType, UnionType
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.pycode import ModuleAnalyzer

import tachikoma_proto

project = "tachikoma_proto"
author = "the tachikoma_proto contributors"
project_copyright = author
version = release = tachikoma_proto.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore = [("py:class", "Converter")]  # of cattrs, imported for type checkers alone

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

add_module_names = False
html_theme = "furo"
html_title = "tachikoma_proto"
html_theme_options = {"navigation_with_keys": True}

PUBLIC_MODULES = (
    "tachikoma_proto",
    "tachikoma_proto.session",
    "tachikoma_proto.testing",
    "tachikoma_proto.transports",
)
"""Where public names are documented, whatever module defines them."""

BOUNDED = re.compile(r"Annotated\[\w+, (?:Int|Float)Range\(name='(\w+)'[^)]*\)\]")


def _public_name(target: str) -> str | None:
    """Return the documented name of what an annotation calls by the module that defines it."""
    last = target.rpartition(".")[2]
    for module in PUBLIC_MODULES:
        if last in import_module(module).__all__:
            return f"{module}.{last}"
    return None


def _resolve(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.TextElement
) -> nodes.reference | nodes.TextElement | None:
    """Link a public name to where it is documented, and show other libraries' names unlinked.

    What is neither is left to Sphinx, which warns: a name misspelt, or one that was removed.
    """
    if node.get("refdomain") != "py":
        return None
    target = str(node["reftarget"])
    public = _public_name(target)
    if public is not None:
        domain = env.get_domain("py")
        return domain.resolve_xref(
            env, str(node["refdoc"]), app.builder, "obj", public, node, content
        )
    return content if "." in target or hasattr(builtins, target) else None


def _returns_are_prose(docstring: GoogleDocstring, **_: Any) -> list[tuple[str, str, list[str]]]:
    """Read a ``Returns:`` section as text: types are in annotations, and a colon is a colon."""
    return [("", "", docstring._dedent(docstring._consume_to_next_section()))]


def _properties_are_prose(docstring: GoogleDocstring) -> tuple[str, list[str]]:
    """Read the docstring of a property or a constant as text, for the same reason."""
    lines = docstring._dedent(docstring._consume_to_end())
    return "", GoogleDocstring(lines, docstring._config).lines()


def _tidy_signature(
    app: Sphinx, what: str, name: str, obj: object, options: object, signature: str, result: str
) -> tuple[str, str]:
    """Show bounded numbers by their names, and the defaults that attrs makes as an ellipsis."""
    if signature:
        signature = BOUNDED.sub(lambda match: match[1].upper(), signature)
        signature = signature.replace("= NOTHING", "= ...")
    return signature, result


def _document_alias(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Take the text of a public alias from the module that defines it, and list a union's members.

    autodoc looks for it where the name is public, and finds the docstring of ``types.UnionType``.
    """
    module, _, alias = name.rpartition(".")
    if what != "data" or module not in PUBLIC_MODULES:
        return
    for home in [name for name in sys.modules if name.startswith("tachikoma_proto.")]:
        documented = ModuleAnalyzer.for_module(home).find_attr_docs()
        if ("", alias) in documented:
            lines[:] = documented["", alias]
    if isinstance(obj, UnionType):
        classes = [member for member in obj.__args__ if member is not NoneType]
        members = ", ".join(f":class:`{cls.__name__}`" for cls in classes)
        lines += ["", f"Members: {members}.", ""]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add what this project does beyond Sphinx's extensions."""
    GoogleDocstring._consume_returns_section = _returns_are_prose
    GoogleDocstring._consume_inline_attribute = _properties_are_prose
    app.connect("autodoc-process-signature", _tidy_signature)
    app.connect("autodoc-process-docstring", _document_alias)
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
