"""Schemas: the registry's messages described for peers in other languages, and for people.

Everything is emitted from the registry's own declarations and shapes, so an extension's messages
are described just as the built-in ones, and no description can differ from what the codec does.

Rules:

* Names are stable: what is installed beside a category does not rename the built-in definitions.
* Output is the same on every run and every Python: nothing depends on hashes, clocks or versions.
* Descriptions come from docstrings, with reStructuredText's marks made Markdown's.

Example::

    from tachikoma_proto import Registry, schema

    schema.json_schema(Registry.discover(), mode="read")
    schema.typescript(Registry.discover())
"""

from tachikoma_proto.schema.asyncapi_document import asyncapi
from tachikoma_proto.schema.compatibility import Breakage, check, mode_of
from tachikoma_proto.schema.definitions import Mode, json_schema
from tachikoma_proto.schema.markdown_page import markdown
from tachikoma_proto.schema.typescript_module import typescript

__all__ = [
    "Breakage",
    "Mode",
    "asyncapi",
    "check",
    "json_schema",
    "markdown",
    "mode_of",
    "typescript",
]
