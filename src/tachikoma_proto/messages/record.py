"""Records: published events, as logs keep them and server processes pass them to each other.

A record has everything that is needed to find an event's receivers, beside the frame that they
get. So an event is encoded once, and a process routes what another one published without decoding
it, and without knowing its class.

Rules:

* A record as bytes is a version, a line of JSON that routes it, and the frame. What is of another
  version or cannot be read is None, since another version of a server may have written it.
* Of the frame, only the encoding and the two ends are checked, since a whole parse costs several
  times as much as the rest where a frame is large. A position is put in before its last brace.
"""

import json
from typing import Final
from uuid import UUID

import attrs
from attrs import define

from tachikoma_proto.messages.commands import SubscriptionFilters
from tachikoma_proto.wire.formats import parse_uuid

FILTERED: Final = tuple(
    field.name
    for field in attrs.fields(SubscriptionFilters)
    if field.type == UUID | None  # the others do not name a field of the event
)
"""The fields of events that a filter can ask for."""

_VERSION: Final = b"1 "


@define
class Record:
    """A published event. Not changed once it is made.

    Attributes:
        topic: The topic of its category.
        type: ``category.tag``, such as ``mission.progress``.
        key: The key that names the topic below, as it is written there; empty if there is none.
        values: The event's values of the fields in ``FILTERED``; None for those that it lacks.
        frame: The frame that receivers get, without a position.
    """

    topic: str
    type: str
    key: str
    values: tuple[UUID | None, ...]
    frame: str

    def to_bytes(self) -> bytes:
        """Return the record as bytes, for a broker that keeps it elsewhere."""
        route: dict[str, str] = {"topic": self.topic, "type": self.type}
        if self.key:
            route["key"] = self.key
        for name, value in zip(FILTERED, self.values, strict=True):
            if value is not None:
                route[name] = str(value)
        header = json.dumps(route, separators=(",", ":"))
        return b"%b%b\n%b" % (_VERSION, header.encode(), self.frame.encode())

    @classmethod
    def from_bytes(cls, data: bytes) -> "Record | None":
        """Read a record.

        Args:
            data: What ``to_bytes`` returned, in this process or another.

        Returns:
            The record; None if it is of another version, or no record at all.
        """
        if not data.startswith(_VERSION):
            return None
        header, _, frame = data[len(_VERSION) :].partition(b"\n")
        try:
            route = json.loads(header)
            text = frame.decode()
        except (ValueError, RecursionError):
            return None
        if not isinstance(route, dict) or not all(isinstance(v, str) for v in route.values()):
            return None
        values = {name: parse_uuid(route[name]) for name in FILTERED if name in route}
        if not route.get("topic") or not route.get("type") or None in values.values():
            return None
        if not text.startswith("{") or not text.endswith("}"):
            return None
        return cls(
            topic=route["topic"],
            type=route["type"],
            key=route.get("key", ""),
            values=tuple(values.get(name) for name in FILTERED),
            frame=text,
        )
