"""UUIDs as the wire writes them: four forms, and nothing else that ``uuid.UUID`` would take.

``8-4-4-4-12``, 32 digits, ``urn:uuid:`` + 8-4-4-4-12, ``{8-4-4-4-12}``; hexadecimal digits of
any case. Written in the first form, lower case.
"""

import re
from typing import Final
from uuid import UUID, SafeUUID

_HYPHENATED: Final = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_OTHER_FORMS: Final = re.compile(
    rf"[0-9a-fA-F]{{32}}|urn:uuid:{_HYPHENATED}|\{{{_HYPHENATED}\}}|{_HYPHENATED}"
)

_new: Final = object.__new__
_set: Final = object.__setattr__
_unknown: Final = SafeUUID.unknown


def parse_uuid(text: str) -> UUID | None:
    """Read a UUID in one of the wire's forms.

    Args:
        text: What may be a UUID; not stripped.

    Returns:
        The UUID, or None if the text is not in one of the forms.
    """
    if len(text) == 36 and text[8:24:5] == "----":
        try:
            digits = bytes.fromhex(text.replace("-", ""))
        except ValueError:
            return None
        if len(digits) != 16:  # there is a hyphen, or a space, in place of a digit
            return None
        # Without the constructor, which takes three times as long to check again.
        uuid = _new(UUID)
        _set(uuid, "int", int.from_bytes(digits))
        _set(uuid, "is_safe", _unknown)
        return uuid
    return UUID(text) if _OTHER_FORMS.fullmatch(text) else None
