"""Compatibility: what a change of categories breaks, found by comparing two schemas.

A change is safe where what each side writes is still read by the other: old clients by new servers,
new servers by old clients, and so on. So each message is compared twice, once in either direction,
and the question is always the same: does what is sent fit what is read?

Rules:

* The two documents are JSON Schemas of ours, of one mode.
* Messages are known by what is on the wire: their side, type and tag, not by their class.
* A field that is not required may be missing. One that the reader does not know is ignored.
* Where schemas do not tell, a change counts as breaking: another pattern, another format.
* What is added breaks nobody: old servers refuse new commands, old clients keep what is unknown.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from attrs import frozen

from tachikoma_proto.declare.declarations import EVENT_PREFIX
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.schema.definitions import Mode, json_schema, number_bounds
from tachikoma_proto.schema.names import CLIENT_MESSAGE, SERVER_MESSAGE

OLD_CLIENTS: Final = "old clients"
OLD_SERVERS: Final = "old servers"
CAPTURES: Final = "stored captures"

_Document = Mapping[str, Any]


@frozen
class Breakage:
    """Something that a change breaks.

    Attributes:
        message: The message: its type, or an event's category and tag, as in ``mission.progress``.
        path: Where in the message, such as ``$.payload.total_specs``.
        text: What is wrong.
        breaks: Whom: ``old clients``, ``old servers``, ``stored captures``.
    """

    message: str
    path: str
    text: str
    breaks: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.message} {self.path}: {self.text} (breaks {', '.join(self.breaks)})"


def check(old: Registry | _Document, new: Registry | _Document) -> list[Breakage]:
    """Find what breaks between two registries.

    Args:
        old: The older one, or what :func:`json_schema` gave for it.
        new: The present one, or what it gives for that in the same mode.

    Returns:
        Everything that breaks, in the order of the old schema; empty if nothing does.

    Raises:
        ValueError: One is no JSON Schema of ours, or their modes differ.

    Example::

        old = json.loads(Path("schema.json").read_text())
        assert not check(old, Registry.discover())
    """
    if isinstance(old, Registry):
        old = json_schema(old, "read" if isinstance(new, Registry) else mode_of(new))
    if isinstance(new, Registry):
        new = json_schema(new, mode_of(old))
    if mode_of(old) != mode_of(new):
        raise ValueError("the schemas have different modes")
    before, after = _messages(old), _messages(new)
    found: list[Breakage] = []
    for key, message in before.items():
        if key not in after:
            found.append(_removed(message))
        else:
            found += _changes(message, after[key])
    return found


def mode_of(document: _Document) -> Mode:
    """Return the mode of a schema of ours.

    Args:
        document: The schema.

    Raises:
        ValueError: It is none.
    """
    given: object = document
    comment = document.get("$comment") if isinstance(given, Mapping) else None
    modes: dict[Any, Mode] = {"mode: read": "read", "mode: write": "write"}
    if comment not in modes or not isinstance(document.get("$defs"), Mapping):
        raise ValueError("this is no JSON Schema that the library made")
    return modes[comment]


@frozen
class _Message:
    is_clients: bool
    name: str
    tags: Mapping[str, str]
    reply: str
    payload: Mapping[str, Any]
    definitions: Mapping[str, Any]


def _messages(document: _Document) -> dict[tuple[str, str], _Message]:
    definitions = document["$defs"]
    found: dict[tuple[str, str], _Message] = {}
    try:
        for side in (CLIENT_MESSAGE, SERVER_MESSAGE):
            for one in definitions[side]["anyOf"]:
                message = _message(side, _resolved(one, definitions), definitions)
                if message is not None:
                    found[side, message.name] = message
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("this is no JSON Schema that the library made") from error
    return found


def _message(side: str, frame: Mapping[str, Any], definitions: Any) -> _Message | None:
    form = frame["anyOf"][-1] if "properties" not in frame else frame
    said = form["properties"]["type"].get("const")
    if said is None:  # what is unknown
        return None
    payload, _ = _without_null(form["properties"]["payload"])
    payload = _resolved(payload, definitions)
    properties = payload.get("properties", {})
    tags = {name: one["const"] for name, one in properties.items() if "const" in one}
    name = f"{said.removeprefix(EVENT_PREFIX)}.{tags['event']}" if "event" in tags else said
    return _Message(
        side == CLIENT_MESSAGE, name, tags, frame.get("$comment", ""), payload, definitions
    )


def _removed(message: _Message) -> Breakage:
    if message.is_clients:
        text = "it is removed, and a new server refuses it"
    else:
        text = "it is removed: old clients wait for it in vain, and a new one does not know it"
    return Breakage(message.name, "$", text, (OLD_CLIENTS, CAPTURES))


def _changes(old: _Message, new: _Message) -> Iterator[Breakage]:
    if old.tags != new.tags:
        everybody = (OLD_CLIENTS, OLD_SERVERS, CAPTURES)
        yield Breakage(old.name, "$.payload", "its tags are others", everybody)
    if old.reply != new.reply:
        text = f"{new.reply or 'no reply'} instead of {old.reply or 'none'}"
        yield Breakage(old.name, "$", text, (OLD_CLIENTS, OLD_SERVERS))
    from_old = _Comparison(old.definitions, new.definitions)
    from_new = _Comparison(new.definitions, old.definitions)
    sender, reader = ("client", "server") if old.is_clients else ("server", "client")
    whom = {
        True: (OLD_CLIENTS if old.is_clients else OLD_SERVERS, CAPTURES),
        False: (OLD_SERVERS if old.is_clients else OLD_CLIENTS,),
    }
    for is_old_sender, problems in (
        (True, from_old.records(old.payload, new.payload, "$.payload")),
        (False, from_new.records(new.payload, old.payload, "$.payload")),
    ):
        ages = ("an old", "a new") if is_old_sender else ("a new", "an old")
        for path, sent, read in problems:
            text = f"{ages[0]} {sender} {sent}, and {ages[1]} {reader} {read}"
            yield Breakage(old.name, path, text, whom[is_old_sender])


_Problem = tuple[str, str, str]
"""A path, what the sender does there, and what the reader does."""


class _Comparison:
    """Whether what is sent fits what is read.

    Args:
        sent: The definitions of the sender's schema.
        read: Those of the reader's.
    """

    def __init__(self, sent: Mapping[str, Any], read: Mapping[str, Any]) -> None:
        self._sent = sent
        self._read = read
        self._compared: set[tuple[str, str]] = set()

    def records(self, sent: Any, read: Any, path: str) -> Iterator[_Problem]:
        """Go through what does not fit between two objects with named members.

        Args:
            sent: The sender's.
            read: The reader's.
            path: Where they stand.
        """
        written = sent.get("properties", {})
        for name, member in read.get("properties", {}).items():
            if "const" in member:
                continue
            place = f"{path}.{name}"
            is_needed = _is_required(read, name)
            if name not in written:
                if is_needed:
                    yield place, "does not send it", "requires it"
                continue
            if is_needed and not _is_required(sent, name):
                yield place, "may leave it out", "requires it"
            # None is left out and not written, so only what stands in it is compared.
            yield from self._values(
                _without_null(written[name])[0], _without_null(member)[0], place
            )

    def _values(self, sent: Any, read: Any, path: str) -> Iterator[_Problem]:
        (sent, sends_null), (read, reads_null) = _without_null(sent), _without_null(read)
        pair = (sent.get("$ref", ""), read.get("$ref", ""))
        if all(pair):
            if pair in self._compared:  # also where a record holds itself
                return
            self._compared.add(pair)
        sent, read = _resolved(sent, self._sent), _resolved(read, self._read)
        kinds = _kind(sent), _kind(read)
        if kinds[1] == "any":
            return
        if sends_null and not reads_null:
            yield path, "may send null", "refuses it"
        if kinds == ("record", "record"):
            yield from self.records(sent, read, path)
        elif kinds == ("array", "array"):
            yield from self._values(sent["items"], read["items"], f"{path}[*]")
            yield from _sizes(sent, read, path, "minItems", "maxItems")
            if read.get("uniqueItems") and not sent.get("uniqueItems"):
                yield path, "may repeat an item", "refuses that"
        elif kinds == ("map", "map"):
            inner = sent["additionalProperties"], read["additionalProperties"]
            yield from self._values(*inner, f"{path}.*")
            yield from _sizes(sent, read, path, "minProperties", "maxProperties")
        else:
            yield from _leaves(sent, read, path)


def _leaves(sent: Any, read: Any, path: str) -> Iterator[_Problem]:
    if "enum" in sent:
        missing = [value for value in sent["enum"] if not _may_be(value, read)]
        if missing:
            names = ", ".join(map(repr, missing))
            yield path, f"may send {names}", "does not know it"
        return
    kinds = _kind(sent), _kind(read)
    if "enum" in read:
        yield path, f"may send any {kinds[0]}", "knows only some values"
    elif kinds[0] != kinds[1] and kinds != ("integer", "number"):
        yield path, f"sends {_a(kinds[0])}", f"reads {_a(kinds[1])}"
    elif kinds[1] in ("integer", "number"):
        (low, high), (lowest, highest) = number_bounds(sent), number_bounds(read)
        if low < lowest or high > highest:
            yield path, "may send numbers of a wider range", "refuses them"
    else:
        yield from _sizes(sent, read, path, "minLength", "maxLength")
        for keyword in ("pattern", "format", "not", "allOf"):
            if keyword in read and read[keyword] != sent.get(keyword):
                yield path, "may send other text", f"has a {keyword} of its own for it"


def _sizes(sent: Any, read: Any, path: str, least: str, most: str) -> Iterator[_Problem]:
    is_smaller = sent.get(least, 0) < read.get(least, 0)
    if is_smaller or sent.get(most, math.inf) > read.get(most, math.inf):
        yield path, "may send more or less of it", "limits how much"


def _may_be(value: Any, read: Any) -> bool:
    if "enum" in read:
        return value in read["enum"]
    if isinstance(value, str):
        is_free = not {"pattern", "format", "not", "allOf", "minLength", "maxLength"} & read.keys()
        return _kind(read) == "string" and is_free
    low, high = number_bounds(read)
    return _kind(read) in ("integer", "number") and low <= value <= high


def _kind(schema: Any) -> str:
    kind: str | None = schema.get("type")
    if kind == "object":
        return "map" if "additionalProperties" in schema else "record"
    if kind is not None:
        return kind
    if "allOf" in schema:
        return _kind(schema["allOf"][0]) if "$ref" not in schema["allOf"][0] else "string"
    return "enum" if "enum" in schema else "any"


def _a(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"


def _is_required(record: Any, name: str) -> bool:
    """Return whether a member is always there. One with a default may be left out by somebody."""
    return name in record.get("required", ()) and "default" not in record["properties"][name]


def _without_null(schema: Any) -> tuple[Any, bool]:
    forms = schema.get("anyOf", ())
    if len(forms) == 2 and forms[1] == {"type": "null"}:
        return forms[0], True
    return schema, False


def _resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    while "$ref" in schema:
        schema = definitions[unquote(schema["$ref"].rpartition("/")[2])]
    return schema
