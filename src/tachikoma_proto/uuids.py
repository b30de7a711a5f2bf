"""UUIDs as the wire writes them: four forms, and nothing else that ``uuid.UUID`` would take.

``8-4-4-4-12``, 32 digits, ``urn:uuid:`` + 8-4-4-4-12, ``{8-4-4-4-12}``; hexadecimal digits of
any case. Written in the first form, lower case.
"""

import re
from typing import Final
from uuid import UUID

_HYPHENATED: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_FORMS: Final = re.compile(
    rf"{_HYPHENATED}|[0-9a-fA-F]{{32}}|urn:uuid:{_HYPHENATED}|\{{{_HYPHENATED}\}}"
)


def parse_uuid(text: str) -> UUID | None:
    """Read a UUID in one of the wire's forms.

    Args:
        text: What may be a UUID; not stripped.

    Returns:
        The UUID, or None if the text is not in one of the forms.
    """
    return UUID(text) if _FORMS.fullmatch(text) else None
