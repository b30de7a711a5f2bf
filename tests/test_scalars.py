"""The text forms of UUIDs and times."""

import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122, UUID, SafeUUID

import pytest
from hypothesis import given, strategies as st

from tachikoma_proto.wire.formats import (
    format_timestamp,
    format_uuid,
    new_uuid,
    parse_text_time,
    parse_timestamp,
    parse_uuid,
)

PLAIN = "67e55044-10b1-426f-9247-bb680e5fe0c8"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.upper(),
        PLAIN.replace("-", ""),
        f"urn:uuid:{PLAIN}",
        f"{{{PLAIN}}}",
        "67E55044-10b1-426F-9247-BB680e5fe0c8",
    ],
)
def test_a_uuid_is_read_in_four_forms(text: str) -> None:
    assert parse_uuid(text) == UUID(PLAIN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nope",
        PLAIN[:-1],
        PLAIN + "0",
        f" {PLAIN}",
        f"{PLAIN}\n",
        PLAIN.replace("-", "_"),
        PLAIN.replace("6", "\uff16", 1),
        "67e5-504410b1-426f-9247-bb680e5fe0c8",
        f"urn:uuid:{PLAIN.replace('-', '')}",
        f"URN:UUID:{PLAIN}",
        f"uuid:{PLAIN}",
        f"{{{PLAIN}",
        f"{PLAIN}}}",
        f"{{{PLAIN.replace('-', '')}}}",
        f"urn:uuid:{{{PLAIN}}}",
        f"{{urn:uuid:{PLAIN}}}",
        "6_e5504410b1426f9247bb680e5fe0c8",
        "67e55044-10b1-426f-9247-bb680e5f 0c8",
        "67e55044-10b1-426f-9247-bb680e5fe0 8",
        "67e55044-10b1-426f-9247-bb  680e5fe0",
        "67e5504 -10b1-426f-9247-bb680e5fe0c8",
        "67e55044-10b1-426f-9247-bb680e5fe-c8",
        "-7e55044-10b1-426f-9247-bb680e5fe0c8",
        "67e55044-10b1-426f-9247-bb680e5fe0cg",
        "67e55044-10b1-426f-9247-bb680e5fe0\n\t",
    ],
)
def test_other_uuid_forms_are_refused(text: str) -> None:
    assert parse_uuid(text) is None


@given(st.uuids())
def test_every_uuid_is_read_in_every_form(uuid: UUID) -> None:
    for text in (str(uuid), uuid.hex, uuid.urn, f"{{{uuid}}}", str(uuid).upper()):
        assert parse_uuid(text) == uuid


@given(st.uuids())
def test_every_uuid_is_written_as_str_does(uuid: UUID) -> None:
    assert format_uuid(uuid) == str(uuid)


def test_a_uuid_that_was_read_equals_one_that_was_constructed() -> None:
    uuid = parse_uuid(PLAIN)
    assert type(uuid) is UUID
    assert uuid.is_safe is SafeUUID.unknown
    assert (repr(uuid), hash(uuid)) == (repr(UUID(PLAIN)), hash(UUID(PLAIN)))
    with pytest.raises(TypeError, match="immutable"):
        uuid.int = 0  # type: ignore[misc]


def test_new_uuids_are_random() -> None:
    uuids = {new_uuid() for _ in range(1000)}
    assert len(uuids) == 1000
    assert {(uuid.version, uuid.variant) for uuid in uuids} == {(4, RFC_4122)}


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05-00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-01T22:04:05-05:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.1Z", datetime(2026, 1, 2, 3, 4, 5, 100000, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456999Z", datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)),
        (
            "2026-01-02T03:04:05." + "9" * 40 + "Z",
            datetime(2026, 1, 2, 3, 4, 5, 999999, tzinfo=UTC),
        ),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2016-12-31T23:59:60.5Z", datetime(2016, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_timestamp_is_read_into_utc_and_truncated(text: str, moment: datetime) -> None:
    parsed = parse_timestamp(text)
    assert parsed == moment
    assert parsed is not None
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-02",
        "2026-01-02T03:04:05",
        "2026-01-02 03:04:05Z",
        "2026-01-02t03:04:05Z",
        "2026-01-02T03:04Z",
        "2026-01-02T03Z",
        "2026-1-2T3:4:5Z",
        "2026-01-02T03:04:05.Z",
        "2026-01-02T03:04:05,1Z",
        "2026-01-02T03:04:05+0000",
        "2026-01-02T03:04:05+00",
        "2026-01-02T03:04:05+24:00",
        "2026-01-02T03:04:05+00:60",
        "2026-01-02T03:04:05UTC",
        "2026-01-02T03:04:05 Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T24:00:00.000Z",
        "2026-01-02T30:00:00Z",
        "2026-01-02T03:04:05\ud800Z",
        "2026-01-02T03:60:05Z",
        "2026-01-02T03:04:61Z",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "10000-01-01T00:00:00Z",
        "-2026-01-02T03:04:05Z",
        "20260102T030405Z",
        "2026-W01-5T03:04:05Z",
        "2026-002T03:04:05Z",
        "２026-01-02T03:04:05Z",
        "2026-01-02T03:04:05Z\n",
        "1767323045",
        "2026-01-02T03:04:05.123456HELLOZ",
        "2026-01-02T03:04:05.1234567;DROPZ",
        "2026-01-02T03:04:05.123456,1Z",
        "2026-01-02T03:04:05.123456٣Z",
        "2026-01-02T03:04:05.899Z\0Z",
        "2026-01-02T03:04Z\0.41078819Z",
    ],
)
def test_other_timestamp_forms_are_refused(text: str) -> None:
    assert parse_timestamp(text) is None


STRICT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


@given(
    st.from_regex(r"2026-01-02T03:04:05\.?[0-9]{0,9}.?.?.?Z", fullmatch=True)
    | st.from_regex(
        r"[0-9]{4}-?[0-9W][0-9]-?[0-9]{1,2}.[0-9:]{4,9}[.,]?[0-9]*.{0,3}", fullmatch=True
    )
)
def test_any_text_but_rfc_3339_is_refused_as_a_timestamp(text: str) -> None:
    """What the standard library makes of some other texts must not come through."""
    if not STRICT.fullmatch(text):
        assert parse_timestamp(text) is None


def test_timestamps_are_written_in_utc_with_as_many_digits_as_needed() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2)))
    assert format_timestamp(moment) == "2026-01-02T01:04:05Z"
    assert format_timestamp(moment.replace(microsecond=120_000)) == "2026-01-02T01:04:05.120Z"
    assert format_timestamp(moment.replace(microsecond=1)) == "2026-01-02T01:04:05.000001Z"


def test_a_timestamp_without_a_time_in_utc_is_not_written() -> None:
    ahead = timezone(timedelta(hours=1))
    assert format_timestamp(datetime(2026, 1, 2)) is None  # naive on purpose
    assert format_timestamp(datetime(1, 1, 1, tzinfo=ahead)) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_timestamp_is_read_as_written(moment: datetime) -> None:
    text = format_timestamp(moment)
    assert text is not None
    assert parse_timestamp(text) == moment


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from([1, 1000, 10**6]))
def test_every_timestamp_is_written_as_isoformat_does(moment: datetime, unit: int) -> None:
    moment = moment.replace(microsecond=moment.microsecond // unit * unit)
    micros = moment.microsecond
    timespec = "microseconds" if micros % 1000 else "milliseconds" if micros else "seconds"
    assert format_timestamp(moment) == moment.isoformat(timespec=timespec)[: -len("+00:00")] + "Z"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T02:00:00Z", datetime(2026, 3, 1, 2, tzinfo=UTC)),
        ("2026-03-01 02:00", datetime(2026, 3, 1, 2, tzinfo=UTC)),
        ("Sun, 1 Mar 2026 04:00:00 +0200", datetime(2026, 3, 1, 2, tzinfo=UTC)),
        ("1 March 2026 2am UTC", datetime(2026, 3, 1, 2, tzinfo=UTC)),
    ],
)
def test_text_times_are_read_leniently_and_are_aware(text: str, moment: datetime) -> None:
    parsed = parse_text_time(text)
    assert parsed == moment
    assert parsed is not None
    assert parsed.utcoffset() is not None


@pytest.mark.parametrize(
    "text", ["", "soon", "10:00 FOO", "2026-01-01T00:00:00+99:99", "9" * 13, "9" * 5000, "\0"]
)
def test_text_that_is_no_time_is_parsed_as_none(text: str) -> None:
    assert parse_text_time(text) is None


@given(st.text(max_size=120))
def test_any_text_is_parsed_as_an_aware_time_or_none(text: str) -> None:
    moment = parse_text_time(text)
    assert moment is None or moment.utcoffset() is not None
