"""Ready-made scalars: Decimal, date and timedelta, as strict as the wire's own types.

They are off unless a category asks for them, with ``category.scalar(Decimal)``. They exist because
the obvious declarations are too lax: ``Decimal`` itself reads ``NaN``, ``" 1 "`` and ``1_000``, and
writes equal values as two texts.

Rules:

* Only ASCII digits, and no white space, sign or separator that the form does not name.
* Equal values are written as one text, and what is written is read back as an equal value.
"""

import datetime
import re
from decimal import Decimal
from typing import Final

from tachikoma_proto.declare.shapes import ScalarDeclaration
from tachikoma_proto.wire.formats import STANDARD

MAX_DECIMAL: Final = 1000
"""How many characters a decimal may have: ``Decimal("1e999999")`` would be written as a million."""

_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DURATION: Final = re.compile(
    r"(-?)P(?=[0-9T])(?:([0-9]+)D)?"
    r"(?:T(?=[0-9])(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+)(?:\.([0-9]{1,6}))?S)?)?"
)


def _read_decimal(text: str) -> Decimal:
    if len(text) > MAX_DECIMAL or not _DECIMAL.fullmatch(text):
        raise ValueError("not a decimal")
    return Decimal(text)


def _write_decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError("not a finite number")
    if not value:
        return "0"
    if abs(value.adjusted()) > MAX_DECIMAL:
        raise ValueError("too many digits")
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if len(text) > MAX_DECIMAL:
        raise ValueError("too many digits")
    return text


def _read_date(text: str) -> datetime.date:
    if not _DATE.fullmatch(text):
        raise ValueError("not a date")
    return STANDARD.date.fromisoformat(text)


def _write_date(value: datetime.date) -> str:
    if isinstance(value, STANDARD.datetime):
        raise TypeError("a datetime is more than a date")
    return STANDARD.date.isoformat(value)


def _read_duration(text: str) -> datetime.timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not a duration")
    sign, days, hours, minutes, seconds, fraction = match.groups(default="0")
    duration = datetime.timedelta(
        days=int(days),
        hours=int(hours),
        minutes=int(minutes),
        seconds=int(seconds),
        microseconds=int(fraction.ljust(6, "0")),
    )
    return -duration if sign == "-" else duration


def _write_duration(value: datetime.timedelta) -> str:
    sign, value = ("-", -value) if value < datetime.timedelta() else ("", value)
    minutes, seconds = divmod(value.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else ""]
    parts.append(f"{seconds}{fraction}S" if seconds or fraction else "")
    time = "".join(parts)
    days = f"{value.days}D" if value.days else ""
    return f"{sign}P{days}{f'T{time}' if time else ''}" if days or time else "PT0S"


READY_MADE: Final = (
    ScalarDeclaration(
        cls=Decimal,
        wire=str,
        read=_read_decimal,
        write=_write_decimal,
        expected="a decimal number as a string, such as 12.50",
        runtime_class=Decimal,
        schema={
            "pattern": f"^{_DECIMAL.pattern}$",
            "maxLength": MAX_DECIMAL,
            "examples": ["12.5"],
        },
    ),
    ScalarDeclaration(
        cls=STANDARD.date,
        wire=str,
        read=_read_date,
        write=_write_date,
        expected="an ISO 8601 date, such as 2026-03-01",
        runtime_class=STANDARD.date,
        schema={
            "pattern": f"^{_DATE.pattern}$",
            "format": "date",
            "examples": ["2026-03-01"],
        },
    ),
    ScalarDeclaration(
        cls=datetime.timedelta,
        wire=str,
        read=_read_duration,
        write=_write_duration,
        expected="an ISO 8601 duration in days and smaller units, such as P1DT2H30M",
        runtime_class=datetime.timedelta,
        schema={"pattern": f"^{_DURATION.pattern}$", "examples": ["P1DT2H30M"]},
    ),
)
"""What ``category.scalar(cls)`` declares when it is told no more than the class."""
