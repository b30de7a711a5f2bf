"""The summary of a capture: frames by type, faults, and how requests were answered.

Rules:

* It takes the same memory however many frames there are: what a peer can make up (message types,
  the keys in paths) is not counted apart without end, and latencies are counted to two digits.
"""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import accumulate
from typing import Any, Final

from attrs import define, field

from tachikoma_proto.cli.capture import ReadFrame
from tachikoma_proto.cli.exchanges import Exchange, Request
from tachikoma_proto.cli.output import duration
from tachikoma_proto.cli.terminal import table
from tachikoma_proto.messages.responses import ErrorResponse

MAX_FAULTS: Final = 200
"""How many different faults are counted apart."""

_OTHERS: Final = ("…", "other faults")
_PLACES: Final = (
    (re.compile(r"\[\d+\]"), "[*]"),
    (re.compile(r"at (byte|character) \d+"), r"at a \1"),
)
"""What differs between faults that are alike, and what stands for it."""

_SHARES: Final = {"median": 0.5, "p95": 0.95}


class Latencies:
    """Counts how long replies took."""

    def __init__(self) -> None:
        self._counts: Counter[float] = Counter()
        self._low = self._high = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._low = min(self._low, seconds) if self._counts else seconds
        self._high = max(self._high, seconds) if self._counts else seconds
        self._counts[float(f"{seconds:.1e}")] += 1

    def as_dict(self) -> dict[str, float]:
        """Return the least, the median, the 95th percentile and the most, in seconds."""
        if not self._counts:
            return {}
        shares = {name: self._quantile(share) for name, share in _SHARES.items()}
        within = {name: min(max(s, self._low), self._high) for name, s in shares.items()}
        return {"min": self._low, **within, "max": self._high}

    def _quantile(self, share: float) -> float:
        wanted = share * self._counts.total()
        counted = accumulate(self._counts[seconds] for seconds in sorted(self._counts))
        reached = zip(sorted(self._counts), counted, strict=True)
        return next(seconds for seconds, count in reached if count >= wanted)


@define
class _Requests:
    """How the requests of a type were answered."""

    sent: int = 0
    answered: int = 0
    errors: int = 0
    latencies: Latencies = field(factory=Latencies)


class Summary:
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
        self._requests: dict[str, _Requests] = {}

    def count(self, frame: ReadFrame) -> None:
        """Count a frame."""
        row = (frame.sender.value if frame.sender else "?", _type_of(frame))
        self.frames += 1
        self._frames[row] += 1
        if frame.error is None:
            return
        self.bad += 1
        self._bad[row] += 1
        for text in dict.fromkeys(_alike(map(str, frame.error.errors or [frame.error.message]))):
            fault = (frame.error.code, text)
            if fault not in self._faults and len(self._faults) >= MAX_FAULTS:
                fault = _OTHERS
            self._faults[fault] += 1

    def count_request(self, request: Request) -> None:
        """Count a request."""
        self._requests_like(request).sent += 1

    def count_exchange(self, exchange: Exchange, reply: ReadFrame) -> None:
        """Count a reply to a request that was counted."""
        requests = self._requests_like(exchange.request)
        requests.answered += 1
        if reply.message and isinstance(reply.message.payload, ErrorResponse):
            requests.errors += 1
        if exchange.latency is not None:
            requests.latencies.add(exchange.latency)

    def as_text(self, width: int | None = None) -> str:
        """Return the summary as tables.

        Args:
            width: How many columns of a terminal there are; None for any number.
        """
        frames = f"{self.frames} frame{'' if self.frames == 1 else 's'}"
        parts = [f"\n{frames}, {self.frames - self.bad} read, {self.bad} bad"]
        if self._frames:
            rows = [[*row, count, self._bad[row]] for row, count in sorted(self._frames.items())]
            parts.append(table(("sender", "type", "frames", "bad"), rows, width))
        if any(requests.answered for requests in self._requests.values()):
            parts.append(self._requests_as_text(width))
        if self._faults:
            faults = [[*row, count] for row, count in self._faults.most_common()]
            parts.append(table(("error", "fault", "frames"), faults, width))
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as builtins."""
        return {
            "frames": self.frames,
            "bad": self.bad,
            "types": [
                {"sender": row[0], "type": row[1], "frames": count, "bad": self._bad[row]}
                for row, count in sorted(self._frames.items())
            ],
            "requests": [
                {
                    "type": name,
                    "requests": requests.sent,
                    "replies": requests.answered,
                    "errors": requests.errors,
                    "latency": requests.latencies.as_dict(),
                }
                for name, requests in sorted(self._requests.items())
            ],
            "faults": [
                {"code": code, "fault": fault, "frames": count}
                for (code, fault), count in self._faults.most_common()
            ],
        }

    def _requests_like(self, request: Request) -> _Requests:
        return self._requests.setdefault(_type_of(request.frame), _Requests())

    def _requests_as_text(self, width: int | None) -> str:
        head = ["request", "requests", "replies", "errors"]
        latencies = {name: r.latencies.as_dict() for name, r in self._requests.items()}
        times = list(dict.fromkeys(time for latency in latencies.values() for time in latency))
        rows: list[list[object]] = []
        for name, requests in sorted(self._requests.items()):
            latency = latencies[name]
            shown = [duration(latency[time]) if latency else "" for time in times]
            rows.append([name, requests.sent, requests.answered, requests.errors, *shown])
        return table([*head, *times], rows, width)


def _type_of(frame: ReadFrame) -> str:
    return frame.type or ("unknown" if frame.message else "-")


def _alike(faults: Iterable[str]) -> Iterable[str]:
    for fault in faults:
        for pattern, stand_in in _PLACES:
            fault = pattern.sub(stand_in, fault)
        yield fault
