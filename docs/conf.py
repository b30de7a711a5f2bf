"""Sphinx: the documentation as a site. ``tox -e docs`` builds it; every warning is an error."""

import builtins
from importlib import import_module
from importlib.metadata import version as installed_version
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon.docstring import GoogleDocstring

project = "tachikoma_proto"
author = "the tachikoma_proto contributors"
project_copyright = author
version = release = installed_version("tachikoma-proto")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
nitpicky = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = "tachikoma_proto"
html_theme_options = {"navigation_with_keys": True}

PUBLIC_MODULES = ("tachikoma_proto", "tachikoma_proto.session", "tachikoma_proto.testing")
"""Where public names are documented, whatever module defines them."""


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


def setup(app: Sphinx) -> dict[str, Any]:
    """Add what this project does beyond Sphinx's extensions."""
    GoogleDocstring._consume_returns_section = _returns_are_prose
    app.connect("missing-reference", _resolve)
    return {"parallel_read_safe": True}
