"""How UUIDs and times are written on the wire, and the clock.

One module, because every envelope has both. The standard library reads more than the contract
allows (``uuid.UUID`` takes braces around anything, ``datetime.fromisoformat`` takes a week date),
so each text is matched against the contract's forms before it is parsed.

Rules:

* UUIDs are read as ``8-4-4-4-12``, 32 digits, ``urn:uuid:`` + 8-4-4-4-12 or ``{8-4-4-4-12}``, with
  hexadecimal digits of either case; they are written in the first form, lower case.
* A timestamp is an RFC 3339 date-time with seconds and an offset, and ``T`` between date and time.
  Any number of fraction digits is read and truncated to microseconds; what is read is in UTC.
* It is written with ``Z``, without a fraction when that is zero, else with 3 or 6 digits.
* A leap second (``:60``) has no place in ``datetime``: it is read as the last microsecond of its
  minute, which keeps the order of times.
* Text times (``starts_at`` and others) stay text. :func:`parse_text_time` reads them as leniently
  as python-dateutil does, which is imported only then.
* ``STANDARD`` has the real classes, also where a test has put others in their place (freezegun,
  which replaces them in the globals of every module, so that they are held in a class): what is
  compared with a class goes by them, and only :func:`utc_now` asks the replaceable clock.
"""

import datetime as clock
import re
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any, Final
from uuid import UUID, SafeUUID, uuid4

from tachikoma_proto.errors import FieldError, InvalidMessageError


def real_class(annotation: Any) -> Any:
    """Return the class of the standard library in whose place a test has put another.

    Args:
        annotation: Any object. Only a class of which the real one's instances are instances stands
            in its place: freezegun's ``FakeDatetime`` does, pendulum's ``DateTime`` does not.
    """
    if isinstance(annotation, type):
        for real in (STANDARD.datetime, STANDARD.date):
            if issubclass(annotation, real):
                return real if isinstance(_A_TIME, annotation) else annotation
    return annotation


def _standard(cls: type) -> Any:
    return next(base for base in cls.__mro__ if base.__module__ == "datetime")


class STANDARD:
    """The classes ``datetime`` and ``date`` of the standard library, whatever stands for them."""

    datetime: Final[type[clock.datetime]] = _standard(clock.datetime)
    date: Final[type[clock.date]] = _standard(clock.date)


_A_TIME: Final = STANDARD.datetime(2000, 1, 1, tzinfo=UTC)

# The unusual forms are compiled when they are met, and kept by ``re``.
_DIGITS: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_OTHER_FORMS: Final = rf"urn:uuid:({_DIGITS})|\{{({_DIGITS})\}}|([0-9a-fA-F]{{32}})"

_IN_UTC: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?Z"
)
"""The usual form of a timestamp, which the standard library reads as the contract says."""

_RFC3339: Final = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:)"
    r"([0-5][0-9]|60)(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))"
)

_TWO: Final = tuple(f"{number:02}" for number in range(100))
"""Pairs of digits, of which times are written: in a third of the time of ``isoformat``."""

MAX_TEXT_TIME: Final = 100
"""How many characters a text time may have; dateutil takes long over long texts."""


# What parse_uuid calls: every frame has UUIDs.
_octets_of: Final = bytes.fromhex
_number_of: Final = int.from_bytes
_new: Final = object.__new__
_set_int: Final = vars(UUID)["int"].__set__
_set_is_safe: Final = vars(UUID)["is_safe"].__set__
_UNKNOWN: Final = SafeUUID.unknown


def parse_uuid(text: str) -> UUID | None:
    """Read a UUID in one of the contract's forms.

    Args:
        text: What may be a UUID; not stripped.

    Returns:
        The UUID, or None if the text is in none of the forms.
    """
    if len(text) == 36 and text[8:24:5] == "----":
        digits = text.replace("-", "")
    elif match := re.fullmatch(_OTHER_FORMS, text):
        digits = match[match.lastindex or 0].replace("-", "")
    else:
        return None
    try:
        octets = _octets_of(digits)
    except ValueError:
        return None
    if len(octets) != 16:  # fewer, if there were white space or more hyphens among the digits
        return None
    # Without the constructor, which would take three times as long to check what is checked.
    uuid = _new(UUID)
    _set_int(uuid, _number_of(octets))
    _set_is_safe(uuid, _UNKNOWN)
    return uuid


def format_uuid(uuid: UUID) -> str:
    """Write a UUID: lower case, with hyphens."""
    pairs = uuid.int.to_bytes(16).hex("-", 2)  # in half the time of str(uuid)
    return f"{pairs[:4]}{pairs[5:29]}{pairs[30:34]}{pairs[35:]}"


def new_uuid() -> UUID:
    """Make a random UUID, version 4."""
    return uuid4()


def parse_timestamp(text: str) -> clock.datetime | None:
    """Read an RFC 3339 date-time.

    Args:
        text: What may be a timestamp; not stripped.

    Returns:
        The time in UTC, or None if the text is not an RFC 3339 date-time, or names a day that
        does not exist or an instant outside the years 1 to 9999.
    """
    if _IN_UTC.fullmatch(text):
        try:
            return STANDARD.datetime.fromisoformat(text)
        except ValueError:
            return None
    match = re.fullmatch(_RFC3339, text)
    if match is None:
        return None
    minute, second, fraction, offset = match.groups()
    if second == "60":
        second, fraction = "59", "999999"
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        local = STANDARD.datetime.fromisoformat(f"{minute}{second}.{micros}{offset or '+00:00'}")
        return local.astimezone(UTC) if offset else local
    except (ValueError, OverflowError):
        return None


def format_timestamp(moment: clock.datetime) -> str | None:
    """Write a time as RFC 3339 in UTC.

    Args:
        moment: An aware time, of any zone.

    Returns:
        The text, or None if the time is naive or has no place in UTC.
    """
    if moment.tzinfo is not UTC:
        try:
            if moment.utcoffset() is None:
                return None
            moment = moment.astimezone(UTC)
        except (OverflowError, ValueError):
            return None
    year, micros = moment.year, moment.microsecond
    text = (
        f"{_TWO[year // 100]}{_TWO[year % 100]}-{_TWO[moment.month]}-{_TWO[moment.day]}"
        f"T{_TWO[moment.hour]}:{_TWO[moment.minute]}:{_TWO[moment.second]}"
    )
    if not micros:
        return f"{text}Z"
    fraction = f"{_TWO[micros // 10_000]}{_TWO[micros // 100 % 100]}{_TWO[micros % 100]}"
    return f"{text}.{fraction if micros % 1000 else fraction[:3]}Z"


def utc_now() -> clock.datetime:
    """Return the present time in UTC."""
    return clock.datetime.now(UTC)


def parse_text_time(text: str) -> clock.datetime | None:
    """Read a time from free text, as leniently as python-dateutil does.

    Args:
        text: At most 100 characters; ``2026-03-01T02:00:00Z``, ``1 March 2026 02:00`` and so on.
            Without a zone it is taken as UTC; a zone that is only a name must be ``UTC`` or
            ``GMT``, since other names mean different things in different places.

    Returns:
        An aware time, or None if no time can be made out.
    """
    if len(text) > MAX_TEXT_TIME:
        return None
    from dateutil.parser import parse

    try:
        moment = parse(text, tzinfos=_zone)
        return moment if moment.utcoffset() is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def read_text_time(text: str, field: str) -> clock.datetime:
    """Read a text time of a message.

    Args:
        text: The field's value.
        field: The field's name, for the error.

    Returns:
        An aware time; UTC where the text names no zone.

    Raises:
        InvalidMessageError: No time can be made out.
    """
    moment = parse_text_time(text)
    if moment is None:
        raise InvalidMessageError(errors=[FieldError(f"$.payload.{field}", "a date and a time")])
    return moment


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name is not None:
        raise ValueError("a time zone that is only a name")
    return None
