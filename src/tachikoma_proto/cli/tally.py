"""The count of captured frames by type, and of faults.

Rules:

* It takes the same memory however many frames there are: what a peer can make up (message
  types, the keys in paths) is not counted apart without end.
"""

import re
from collections import Counter
from typing import Any, Final

from tachikoma_proto.cli.capture import Captured
from tachikoma_proto.cli.table import table

MAX_ROWS: Final = 200
"""How many different faults are counted apart."""

_OTHERS: Final = ("…", "other faults")
_INDEX: Final = re.compile(r"\[\d+\]")


class Tally:
    """Counts frames.

    Attributes:
        frames: How many there were.
        bad: How many could not be read.
    """

    def __init__(self) -> None:
        self.frames = 0
        self.bad = 0
        self._frames: Counter[tuple[str, str]] = Counter()
        self._bad: Counter[tuple[str, str]] = Counter()
        self._faults: Counter[tuple[str, str]] = Counter()

    def count(self, captured: Captured) -> None:
        """Count a frame."""
        sender = captured.sender.value if captured.sender else "?"
        row = (sender, captured.type or ("unknown" if captured.message else "-"))
        self.frames += 1
        self._frames[row] += 1
        if captured.error is None:
            return
        self.bad += 1
        self._bad[row] += 1
        faults = [_INDEX.sub("[*]", str(fault)) for fault in captured.error.errors]
        for text in dict.fromkeys(faults or [captured.error.message]):
            fault = (captured.error.code, text)
            if fault not in self._faults and len(self._faults) >= MAX_ROWS:
                fault = _OTHERS
            self._faults[fault] += 1

    def as_text(self) -> str:
        """Give the summary as tables."""
        parts = [f"\n{self.frames} frames, {self.frames - self.bad} read, {self.bad} bad"]
        if self._frames:
            rows = [[*row, count, self._bad[row]] for row, count in sorted(self._frames.items())]
            parts.append(table(("sender", "type", "frames", "bad"), rows))
        if self._faults:
            faults = [[*row, count] for row, count in self._faults.most_common()]
            parts.append(table(("error", "fault", "frames"), faults))
        return "\n\n".join(parts)

    def as_json(self) -> dict[str, Any]:
        """Give the summary as JSON."""
        return {
            "frames": self.frames,
            "bad": self.bad,
            "types": [
                {"sender": row[0], "type": row[1], "frames": count, "bad": self._bad[row]}
                for row, count in sorted(self._frames.items())
            ],
            "faults": [
                {"code": code, "fault": fault, "frames": count}
                for (code, fault), count in self._faults.most_common()
            ],
        }
