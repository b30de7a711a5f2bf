"""What the engine says where it does not do what it was asked for."""

import enum
from typing import Final


class Verdict(enum.Enum):
    """A frame, or a message, was not read or written by the engine."""

    UNSURE = "unsure"
    """The converter decides."""

    REFUSED = "refused"
    """A rule is broken; should no fault be found, the converter decides."""

    NO_ROOM = "no room"
    """Code that was called back found no room on the stack, and would not the next time."""


UNSURE: Final = Verdict.UNSURE
REFUSED: Final = Verdict.REFUSED
NO_ROOM: Final = Verdict.NO_ROOM
