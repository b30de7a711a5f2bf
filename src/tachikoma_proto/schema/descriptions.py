"""Descriptions, from docstrings in Google's style.

Rules:

* Only a class's own docstring counts; that of a base describes the base.
* The description is what comes before the first section. ``Attributes:`` describes the fields,
  those of bases included.
* The marks of reStructuredText become those of Markdown, which all outputs read.
"""

import inspect
import re
from typing import Final

_SECTION: Final = re.compile(
    r"(?:Attributes|Args|Example|Examples|Note|Notes|Raises|Returns|Warning|Yields)::?"
)
_ENTRY: Final = re.compile(r"(\w+)(?: \([^)]*\))?: *(.*)")
_ROLE: Final = re.compile(r":[a-z:]+:`~?(?:[\w.]+\.)?([\w ]+)`")
_LITERAL: Final = re.compile(r"``([^`]+)``")
_MADE_BY_ENUM: Final = "An enumeration."
"""What Python 3.11 gives an enum without a docstring."""


def describe_class(cls: type) -> str:
    """Return what a class's docstring says before its sections; empty if there is none.

    Args:
        cls: A message, a record or an enum.
    """
    lines = []
    for line in _doc_lines(cls):
        if _SECTION.fullmatch(line):
            break
        lines.append(line)
    paragraphs = "\n".join(lines).strip().split("\n\n")
    text = "\n\n".join(_marked(" ".join(paragraph.split())) for paragraph in paragraphs)
    return "" if text == _MADE_BY_ENUM else text


def describe_fields(cls: type) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say of their attributes, by name.

    Args:
        cls: A message or a record.
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _attributes_of(base)
    return found


def _attributes_of(cls: type) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    is_inside = False
    last: list[str] = []
    for line in _doc_lines(cls):
        if _SECTION.fullmatch(line):
            is_inside = line.startswith("Attributes")
        elif is_inside and line.strip():
            entry = _ENTRY.fullmatch(line.strip())
            if entry and len(line) - len(line.lstrip()) <= 4:
                last = found.setdefault(entry[1], [])
                last.append(entry[2])
            else:
                last.append(line.strip())
    return {name: _marked(" ".join(parts).strip()) for name, parts in found.items()}


def _doc_lines(cls: type) -> list[str]:
    # Python 3.13 strips the indentation itself; with cleandoc, every Python gives the same.
    return inspect.cleandoc(vars(cls).get("__doc__") or "").splitlines()


def _marked(text: str) -> str:
    return _LITERAL.sub(r"`\1`", _ROLE.sub(r"`\1`", text))
