"""Times on the wire: RFC 3339 date-times for envelopes, free text for some fields.

Rules:

* A timestamp has seconds and an offset, with ``T`` between date and time. Any number of
  fraction digits is read and truncated to microseconds; what is read is in UTC.
* It is written with ``Z``, without a fraction when that is zero, else with 3 or 6 digits.
* A leap second (``:60``) has no place in ``datetime``: it is read as the last microsecond of
  its minute, which keeps the order of times.
* Text times (``starts_at`` and its like) stay text. :func:`parse_text_time` reads them as
  leniently as python-dateutil does, which is imported only then.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from tachikoma_proto.errors import FieldError, InvalidMessageError

_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:)"
    r"([0-5][0-9]|60)(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-](?:[01][0-9]|2[0-3]):[0-5][0-9]))"
)

ZEROED: Final = bytes(ord("0") if chr(byte) in "0123456789" else byte for byte in range(256))
"""A table for ``bytes.translate`` that makes each digit a zero."""

UTC_FORMS: Final = frozenset(
    f"0000-00-00T00:00:00{fraction}Z".encode()
    for fraction in ("", *("." + "0" * digits for digits in range(1, 10)))
)
"""The forms that the reference and we write, with each digit a zero. To look a text up here takes
half the time of a pattern. ``datetime.fromisoformat`` must not be given other texts, since it reads
many that are no timestamps; of these it refuses days and times that do not exist, but for the hour
24, which later versions read."""


def _reads_hour_24() -> bool:
    try:
        return bool(datetime.fromisoformat("2026-01-02T24:00:00Z"))
    except ValueError:
        return False


READS_HOUR_24: Final = _reads_hour_24()
"""Whether ``datetime.fromisoformat`` is of a later version, and has to be kept from the hour 24."""

_TWO: Final = tuple(f"{number:02}" for number in range(100))

MAX_TEXT_TIME: Final = 100
"""How many characters a text time may have before it is taken for something else."""


def parse_timestamp(text: str) -> datetime | None:
    """Read an RFC 3339 date-time.

    Args:
        text: What may be a timestamp; not stripped.

    Returns:
        The time in UTC, or None if the text is not an RFC 3339 date-time, or names a day that
        does not exist or an instant outside the years 1 to 9999.
    """
    try:
        is_usual = text.encode().translate(ZEROED) in UTC_FORMS
        if is_usual and not (READS_HOUR_24 and text[11:13] == "24"):
            return datetime.fromisoformat(text)
    except ValueError:  # a leap second, a time that is none, or no text at all
        pass
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    minute, second, fraction, offset = match.groups()
    if second == "60":
        second, fraction = "59", "999999"
    micros = (fraction or "")[:6].ljust(6, "0")
    try:
        local = datetime.fromisoformat(f"{minute}{second}.{micros}{offset or '+00:00'}")
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_timestamp(moment: datetime) -> str | None:
    """Write a time as RFC 3339 in UTC.

    Args:
        moment: An aware time, of any zone.

    Returns:
        The text, or None if the time is naive or has no place in UTC.
    """
    if moment.tzinfo is not UTC:
        if moment.utcoffset() is None:
            return None
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            return None
    year, micros = moment.year, moment.microsecond
    # Looked up: to format seven numbers takes twice as long.
    return (
        f"{_TWO[year // 100]}{_TWO[year % 100]}-{_TWO[moment.month]}-{_TWO[moment.day]}"
        f"T{_TWO[moment.hour]}:{_TWO[moment.minute]}:{_TWO[moment.second]}"
        f"{_fraction(micros) if micros else ''}Z"
    )


def _fraction(micros: int) -> str:
    digits = str(1_000_000 + micros)
    return f".{digits[1:] if micros % 1000 else digits[1:4]}"


def utc_now() -> datetime:
    """Give the present time in UTC."""
    return datetime.now(UTC)


def parse_text_time(text: str) -> datetime | None:
    """Read a time from free text, as leniently as python-dateutil does.

    Args:
        text: At most 100 characters; ``2026-03-01T02:00:00Z``, ``1 March 2026 02:00`` and so on.
            Without a zone it is taken as UTC; a zone that is only a name must be ``UTC`` or its
            like, since other names mean different things in different places.

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


def read_text_time(text: str, field: str) -> datetime:
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
