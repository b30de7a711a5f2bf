"""What the text of a frame has to show, since msgspec does not tell: how its time was written, and
the tags of an event.

Rules:

* msgspec takes a space or a ``t`` for the ``T`` of a time, and rounds what the contract truncates.
  A time that ends with the ``Z`` before the next member, and has a ``T`` 16 characters before it,
  is written with six digits, or with fewer and escapes: of such times msgspec makes what the
  contract says. The same goes for other distances.
* Both stand at known places where a frame is written as the contract has it, without white space,
  and the time with six digits: the *usual form*, which is looked for first. With nine digits or
  three, what follows stands three characters further on, or back. Other frames are searched.
* What is found may stand elsewhere than it should, in a member of an event that is unknown. Such
  a frame has more commas, and more text, than it should, and is given to the converter for that.
"""

import re
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from attrs import frozen

from tachikoma_proto.accelerator.lengths import quoted
from tachikoma_proto.accelerator.structs import Unsure
from tachikoma_proto.shapes import Leaf, RecordField, Records, nested_below
from tachikoma_proto.specs import Kind, MessageSpec
from tachikoma_proto.timestamps import parse_timestamp

SIX_DIGITS: Final = len("T03:04:05.123456")
"""From the ``T`` of a time to its ``Z``, in the usual form."""

NEXT: Final = 'Z",'
"""The end of a time, and what parts it from the next member."""

ID_END: Final = len('{"id":"') + 36
"""Where the digits of the ``id`` end, in the usual form."""

LONGER: Final = (0, 3, -3)
"""How much longer than in the usual form a frame is, with six digits, with nine, and with three."""

MANY: Final = 2**40
"""A length that leaves room for everything."""

MAX_EXACT: Final = len("2026-01-02T03:04:05.123456Z")
"""How long a time with a ``Z`` is of which msgspec rounds nothing."""

_MICROSECOND: Final = timedelta(microseconds=1)
_VALUE: Final = re.compile(r'\s*+:\s*+"([^"\\]*+)"')
_SPACE: Final = r"\s*+"
_TIME: Final = _SPACE.join(
    ['"timestamp"', ":", '"([^"\\\\]{20,}+)"', ",", '(?:"reply_to"', ":", '"[^"\\\\]*+"', ",)?", ""]
)

RESERVED: Final = frozenset({"payload", "reply_to"})
"""Names that no field may have where a member of the envelope is looked for in the text."""


@frozen(kw_only=True)
class Marks:
    """Where what stands in frames of one message.

    Attributes:
        type: What stands between the digits of the ``id`` and those of the time, in the usual form.
        t: Where the ``T`` of the time is, in the usual form.
        payload: The start of the payload, which has the tags of an event.
        uuid: What stands, in the usual form, between the time and the digits of a UUID, from the
            ``Z`` on: of ``reply_to``, or of the first field of an event; empty if there is none.
        tags: The start of the payload of an event, with white space; others have no tags to find.
        in_order: The time, and what follows it up to the start of the payload, with white space.
        has_time: Whether a field has the name of the envelope's time.
    """

    type: str
    t: int
    payload: str
    uuid: str
    tags: re.Pattern[str]
    in_order: re.Pattern[str]
    has_time: bool

    @property
    def z(self) -> int:
        """Where the ``Z`` of the time is, in the usual form."""
        return self.t + SIX_DIGITS

    @property
    def hyphen(self) -> int:
        """Where the first hyphen of the UUID is, in the usual form."""
        return self.z + len(self.uuid) + 8

    def look(self, envelope: Any, frame: str) -> None:
        """Find the marks in a frame that is in no usual form, and put its time right.

        Args:
            envelope: The envelope's struct, which has a time.
            frame: The text.

        Raises:
            Unsure: They are not found.
        """
        match = self.in_order.search(frame)
        time = match[1] if match else self._search(frame)
        if time[10] == "T" and time[-1] == "Z" and len(time) <= MAX_EXACT:
            return  # what msgspec makes of it is right
        moment = parse_timestamp(time)
        if moment is None:
            raise Unsure
        envelope.timestamp = moment

    def _search(self, frame: str) -> str:
        """Find the time, and the tags, in a frame whose members stand in another order."""
        if self.has_time or self.tags.search(frame) is None:
            raise Unsure
        return _text_of(frame, '"timestamp"')


def make_marks(spec: MessageSpec, records: Records) -> Marks:
    """Work out the marks of a message.

    Args:
        spec: The message; if it is an event, its payload starts with its tags.
        records: The fields by class.

    Raises:
        Unsure: A mark could be taken for another.
    """
    classes = (spec.cls, *nested_below(spec.cls, records))
    names = {field.name for cls in classes for field in records[cls]}
    if not RESERVED.isdisjoint(names) or spec.message_type.endswith("Z"):
        raise Unsure
    tags = spec.tags if spec.kind is Kind.EVENT else {}
    before_time = f'","type":{quoted(spec.message_type)},"timestamp":"'
    tokens = [
        token for name, tag in tags.items() for token in (",", quoted(name), ":", quoted(tag))
    ]
    payload = ['"payload"', ":", "{", *tokens[1:]]
    uuid = f'{NEXT}"reply_to":"' if spec.kind is Kind.RESPONSE else ""
    if tags and _starts_with_uuid(records[spec.cls]):
        uuid = f'{NEXT}{"".join(payload)},{quoted(records[spec.cls][0].name)}:"'
    spaced = _SPACE.join(map(re.escape, payload))
    return Marks(
        type=before_time,
        t=ID_END + len(before_time) + len("2026-01-02"),
        payload="".join(payload),
        uuid=uuid,
        tags=re.compile(spaced if tags else ""),
        in_order=re.compile(_TIME + spaced),
        has_time="timestamp" in names,
    )


def _starts_with_uuid(fields: tuple[RecordField, ...]) -> bool:
    shape = fields[0].shape if fields and fields[0].required else None
    return isinstance(shape, Leaf) and shape.type is UUID


def truncate(envelope: Any, digits: str) -> None:
    """Undo what msgspec rounded up, of a time of nine digits.

    Args:
        envelope: The envelope's struct.
        digits: What stands in the place of the digits.

    Raises:
        Unsure: They are no digits, since there are fewer and some are escaped.
    """
    if not digits.isdigit():
        raise Unsure
    if digits[6] >= "5":
        envelope.timestamp -= _MICROSECOND


def _text_of(frame: str, key: str) -> str:
    """Find the only member of a name, and give its text."""
    at = frame.find(key)
    if at < 0 or frame.find(key, at + 1) >= 0:
        raise Unsure
    match = _VALUE.match(frame, at + len(key))
    if match is None:
        raise Unsure
    return match[1]
