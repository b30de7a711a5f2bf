"""Which frames of a capture are wanted: by type, mission, session and time.

Rules:

* All that is asked for must hold; of several types, one.
* What a frame says is looked up in its JSON, so that bad frames can be wanted, too.
* A reply is wanted where its request is, since most replies do not say what they are about.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import click
from attrs import frozen

from tachikoma_proto.cli.capture import ReadFrame
from tachikoma_proto.declare.declarations import EVENT_PREFIX, MessageKind
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.wire.formats import parse_timestamp, parse_uuid
from tachikoma_proto.wire.json_reader import JsonObject

_TAGS = (MessageKind.COMMAND.value, MessageKind.EVENT.value)


def read_uuid(text: str) -> UUID:
    """Read a UUID, in any of its forms."""
    found = parse_uuid(text)
    if found is None:
        raise click.BadParameter("expected a UUID")
    return found


def read_time(text: str) -> datetime:
    """Read a time in ISO 8601; local where it has no offset."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise click.BadParameter(
            "expected a time such as 2026-01-02T03:04:05 or 2026-01-02"
        ) from None


@frozen(kw_only=True)
class Selection:
    """What is asked for; None, or nothing, asks for everything.

    Attributes:
        types: Message types, tags, or tags with their category before them.
        mission: The mission that a frame is about.
        session: The beginning of the id of the session that a frame belongs to, or the id of the
            forge session that it is about.
        since: The earliest time.
        until: The time before which it was.
    """

    types: frozenset[str] = frozenset()
    mission: UUID | None = None
    session: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def is_in_time(self, frame: ReadFrame) -> bool:
        """Return whether a frame is of the time that is asked for."""
        if self.since is None and self.until is None:
            return True
        time = frame.record.time if frame.record else _timestamp(frame.content)
        if time is None:
            return False
        return not (self.since and time < self.since) and not (self.until and time >= self.until)

    def is_about(self, frame: ReadFrame, registry: Registry) -> bool:
        """Return whether a frame says what is asked for."""
        if self.types and self.types.isdisjoint(names_of(frame, registry)):
            return False
        if self.mission and self.mission not in _ids(frame.content, "mission_id"):
            return False
        return self.session is None or self._is_of_session(frame, self.session)

    def _is_of_session(self, frame: ReadFrame, session: str) -> bool:
        if frame.record and frame.record.session.startswith(session):
            return True
        session_id = parse_uuid(session)
        if session_id is None:
            return False
        recorded = parse_uuid(frame.record.session) if frame.record else None
        return session_id == recorded or session_id in _ids(frame.content, "session_id")


def names_of(frame: ReadFrame, registry: Registry) -> Iterator[str]:
    """Go through what a frame may be called: its type, its tag, and its tag with its category."""
    content = frame.content or {}
    message_type = content.get("type")
    if not isinstance(message_type, str):
        return
    yield message_type
    declaration = registry.declaration_of(type(frame.message.payload)) if frame.message else None
    tags: list[Any] = []
    if declaration is not None:
        category, tags = declaration.category, [declaration.tag]
    else:
        payload = content.get("payload")
        category = message_type.removeprefix(EVENT_PREFIX)
        tags = [payload.get(tag) for tag in _TAGS] if isinstance(payload, dict) else []
    for tag in tags:
        if tag and isinstance(tag, str):
            yield tag
            yield f"{category}.{tag}"


def known_names(registry: Registry) -> set[str]:
    """Return what the known messages may be called."""
    named = ((d.message_type, d.tag, f"{d.category}.{d.tag}") for d in registry)
    return {name for names in named for name in names if name and not name.endswith(".")}


def _ids(content: JsonObject | None, field: str) -> Iterator[UUID]:
    """Go through the ids in a payload that stand in a field, or in a topic."""
    for name, value in _members((content or {}).get("payload")):
        texts: Iterable[Any] = [value] if name == field else []
        if name == "topic" and isinstance(value, str):
            texts = value.split("/")[1:]
        for text in texts:
            found = parse_uuid(text) if isinstance(text, str) else None
            if found is not None:
                yield found


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield name, item
            yield from _members(item)


def _timestamp(content: JsonObject | None) -> datetime | None:
    text = (content or {}).get("timestamp")
    return parse_timestamp(text) if isinstance(text, str) else None
