"""Under freezegun, whatever was imported, declared or first used there.

freezegun puts other classes in the place of ``datetime`` and ``date`` in every module that it
finds, so each case runs in a process of its own.
"""

import subprocess
import sys

import pytest

DECLARE = """
from attrs import field, frozen
from datetime import UTC, date, datetime, timedelta

def declare(date=date, datetime=datetime):
    category = tp.Category("x")
    category.scalar(date)
    category.scalar(timedelta)

    @category.event("happened")
    @frozen(kw_only=True)
    class Happened(tp.Event):
        day: date
        at: datetime
        lasted: timedelta = timedelta(1)
        maybe_day: date | None = None
        maybe_at: datetime | None = None
        days: tuple[date, ...] = ()
        times: dict[str, datetime] = field(factory=dict)

    return category, Happened

def filled(cls, date=date, datetime=datetime):
    now, today = datetime.now(UTC), date.today()
    return cls(day=today, at=now, maybe_day=today, maybe_at=now, days=(today,), times={"a": now})

def check(codec, event, year=None):
    message = codec.decode_server_message(codec.encode(event))
    assert message.payload == event, message
    assert type(message.timestamp).__name__ == "datetime", type(message.timestamp)
    assert year is None or message.timestamp.year == year, message
    assert codec.converter.structure(codec.unstructure(event), type(event)) == event
"""

CASES = {
    "everything is imported, declared and used inside, and used again outside": """
        with freeze_time("2001-02-03"):
            import tachikoma_proto as tp
            exec(DECLARE)
            category, cls = declare()
            codec = tp.Codec(tp.Registry([category]))
            event = filled(cls)
            assert event.day.year == 2001
            check(codec, event, 2001)
            pong = tp.PongResponse.now()
            assert pong.timestamp == "2001-02-03T00:00:00Z"
            assert pong.timestamp_datetime == datetime(2001, 2, 3, tzinfo=UTC)
        import datetime as real
        later = filled(cls, real.date, real.datetime)
        for one in (codec, tp.Codec(codec.registry)):
            check(one, event)
            check(one, later)
            assert later.day.year > 2001
        with freeze_time("2030-01-01"):
            check(codec, event, 2030)
            check(tp.Codec(tp.Registry([category])), later, 2030)
    """,
    "it is imported outside, and declared and used inside": """
        import tachikoma_proto as tp
        before = tp.Codec()
        before.encode(tp.Ping())
        with freeze_time("2001-02-03"):
            exec(DECLARE)
            category, cls = declare()
            codec = tp.Codec(tp.Registry([category]))
            check(codec, filled(cls), 2001)
            assert '"timestamp":"2001-02-03T00:00:00Z"' in before.encode(tp.Ping())
            assert tp.Envelope(type="ping", payload=tp.Ping()).timestamp.year == 2001
        check(codec, filled(cls, real.date, real.datetime))
    """,
    "it is declared outside, and used inside": """
        import tachikoma_proto as tp
        exec(DECLARE)
        category, cls = declare()
        registry = tp.Registry([category])
        with freeze_time("2001-02-03"):
            check(tp.Codec(registry), filled(cls, date, datetime), 2001)
    """,
    "annotations are evaluated inside": """
        import tachikoma_proto as tp
        source = "from __future__ import annotations" + DECLARE
        source = source.replace("date=date, datetime=datetime", "")
        source = source.replace("filled(cls, )", "filled(cls)")
        exec(compile(source, "declared", "exec"))
        category, cls = declare()
        with freeze_time("2001-02-03"):
            codec = tp.Codec(tp.Registry([category]))
            check(codec, filled(cls), 2001)
        check(codec, filled(cls))
    """,
    "a scalar of one's own is declared inside": """
        with freeze_time("2001-02-03"):
            import tachikoma_proto as tp
            exec(DECLARE)
            own = tp.Category("own")
            own.scalar(
                date, wire=str, read=date.fromisoformat, write=date.isoformat, expected="a day"
            )
            @own.response("day")
            @frozen(kw_only=True)
            class Day(tp.Response):
                day: date
                days: tuple[date | None, ...] = (None,)
            codec = tp.Codec(tp.Registry([own]))
            day = Day(day=date.today())
            assert codec.decode_server_message(codec.encode(day)).payload == day
        for day in (day, Day(day=real.date(2026, 1, 2))):
            assert codec.decode_server_message(codec.encode(day)).payload == day
    """,
    "a scalar of one's own is declared outside, and a field inside": """
        import tachikoma_proto as tp
        from attrs import frozen
        own = tp.Category("own")
        own.scalar(
            real.date, wire=str, read=real.date.fromisoformat, write=real.date.isoformat,
            expected="a day",
        )
        with freeze_time("2001-02-03"):
            from datetime import date
            @own.response("day")
            @frozen(kw_only=True)
            class Day(tp.Response):
                day: date
            codec = tp.Codec(tp.Registry([own]))
            day = Day(day=date.today())
            assert codec.decode_server_message(codec.encode(day)).payload == day
    """,
    "defaults are declared inside": """
        with freeze_time("2001-02-03"):
            import tachikoma_proto as tp
            exec(DECLARE)
            own = tp.Category("own")
            own.scalar(date)
            @own.response("day")
            @frozen(kw_only=True)
            class Day(tp.Response):
                day: date = date(2026, 1, 2)
                at: datetime = datetime(2026, 1, 2, tzinfo=UTC)
                made: datetime = field(factory=lambda: datetime.now(UTC))
            codec = tp.Codec(tp.Registry([own]))
            day = Day()
            assert codec.decode_server_message(codec.encode(day)).payload == day
        assert codec.decode_server_message(codec.encode(day)).payload == day
    """,
    "a converter of one's own is configured inside": """
        import tachikoma_proto as tp
        from cattrs import Converter
        from tachikoma_proto.codec.converter import configure_converter
        with freeze_time("2001-02-03"):
            exec(DECLARE)
            converter = Converter()
            configure_converter(converter, tp.Registry())
            @frozen
            class Mine:
                at: datetime
                answer: tp.AckResponse
            mine = Mine(datetime.now(UTC), tp.AckResponse.ok())
            wire = converter.unstructure(mine)
            assert wire == {"at": "2001-02-03T00:00:00Z", "answer": {"success": True}}
            assert converter.structure(wire, Mine) == mine
        assert converter.structure(wire, Mine) == mine
    """,
    "messages are made up inside": """
        with freeze_time("2001-02-03"):
            import tachikoma_proto as tp
            from tachikoma_proto.testing import check_round_trip
            exec(DECLARE)
            category, cls = declare()
            check_round_trip(category, examples=5)
        check_round_trip(category, examples=5)
    """,
    "messages are pickled inside": """
        import pickle
        with freeze_time("2001-02-03"):
            import tachikoma_proto as tp
            message = tp.OutgoingMessage(type="ack", payload=tp.AckResponse.ok())
            pickled = pickle.dumps(message)
            assert pickle.loads(pickled) == message
        assert pickle.loads(pickled) == message
    """,
}


@pytest.mark.parametrize("case", CASES)
def test_frozen_time_changes_nothing_but_the_time(case: str) -> None:
    from textwrap import dedent

    head = "import datetime as real\nfrom freezegun import freeze_time\n"
    code = f"{head}DECLARE = {DECLARE!r}\n{dedent(CASES[case])}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
