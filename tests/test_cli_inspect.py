"""``inspect``, as a user calls it."""

import gzip
import io
import json
import lzma
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from support.cli_process import COMMAND as CHECKED, INTERRUPTIBLE, shown_on_a_terminal, wait_for

import tachikoma_proto as tp
from tachikoma_proto.cli import main
from tachikoma_proto.cli.capture import lines
from tachikoma_proto.cli.exchanges import MAX_WAITING
from tachikoma_proto.cli.inspect import LARGE
from tachikoma_proto.cli.summary import Latencies
from tachikoma_proto.connection.captures import (
    ESCAPED,
    RECORD_OVERHEAD,
    CapturedFrame,
    Withheld,
    capture_frame,
)
from tachikoma_proto.declare.declarations import Sender

GOOD = '{"type":"list_subscriptions"}'
BAD = '{"type":"unsubscribe","payload":{"topic":5}}'
COMMAND = [sys.executable, "-m", "tachikoma_proto"]
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
OTHER = UUID("16fd2706-8baf-433b-82eb-8c7fada847da")


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    return tmp_path / "capture.jsonl"


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 2**16)
    except OSError:  # how Linux says that the other end is closed
        return b""


def inspect_json(path: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[Any]:
    main(["inspect", "--json", *more, str(path)])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class TestShownFrames:
    def test_good_frames_are_shown_typed(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(f"{GOOD}\n\n{tp.Codec().encode(tp.AckResponse.ok())}\r\n")
        assert main(["inspect", str(capture)]) == 0
        out = capsys.readouterr().out
        assert "     1  client  list_subscriptions      ListSubscriptions()" in out
        assert "     3  server  ack                     AckResponse(success=True, " in out
        assert "2 frames, 2 read, 0 bad" in out

    def test_bad_frames_are_shown_with_their_faults(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(f"{BAD}\nnonsense\n{BAD}\n{GOOD}")
        assert main(["inspect", str(capture)]) == 1
        out = capsys.readouterr().out
        assert "     1  client  unsubscribe             BAD invalid_message" in out
        assert "          $.payload.topic: expected a string" in out
        assert "     2  ?       -                       BAD invalid_message" in out
        assert "4 frames, 1 read, 3 bad" in out
        assert "client  unsubscribe              2    2" in out
        assert "invalid_message  $.payload.topic: expected a string" in out

    def test_bad_only_hides_good_frames(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(f"{GOOD}\n{BAD}\n")
        main(["inspect", "--bad-only", str(capture)])
        out = capsys.readouterr().out
        assert "ListSubscriptions()" not in out
        assert "unsubscribe" in out

    def test_several_files_and_standard_input(
        self, capture: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        capture.write_text(GOOD)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
        assert main(["inspect", str(capture), "-"]) == 1
        out = capsys.readouterr().out
        assert f"{capture}:1  client  list_subscriptions" in out
        assert "-:1  client  unsubscribe" in out
        assert "2 frames, 1 read, 1 bad" in out

    def test_json_has_an_object_for_each_frame_and_the_summary(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(f"{GOOD}\n{BAD}\n")
        good, bad, summary = inspect_json(capture, capsys)
        assert good == {
            "source": None,
            "line": 1,
            "sender": "client",
            "type": "list_subscriptions",
            "class": "ListSubscriptions",
            "message": {
                "type": "list_subscriptions",
                "payload": {"category": "subscription", "command": "list_subscriptions"},
            },
        }
        assert bad["error"] == {
            "code": "invalid_message",
            "message": "$.payload.topic: expected a string",
            "message_id": None,
            "errors": [{"path": "$.payload.topic", "expected": "a string"}],
        }
        assert (summary["summary"]["frames"], summary["summary"]["bad"]) == (2, 1)

    def test_the_type_tells_who_sent_a_frame(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        unknown = '"id":"0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60","timestamp":"2026-01-02T03:04:05Z"'
        ping = '{"type":"ping","id":"0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"}'
        frames = [ping, '{"type":"pong"}', tp.Codec().encode(tp.PongResponse.now())]
        frames += [f'{{"type":"event.weather","payload":{{"event":"rain"}},{unknown}}}']
        frames += [f'{{"type":"brand_new",{unknown}}}', '{"type":"brand_new"}']
        capture.write_text("\n".join(frames))
        *found, _ = inspect_json(capture, capsys)
        assert [(one["sender"], one.get("class")) for one in found] == [
            ("client", "Ping"),
            ("client", "Pong"),
            ("server", "PongResponse"),
            ("server", "UnknownEvent"),
            (None, "UnknownMessage"),
            (None, None),
        ]

    def test_from_tells_who_sent_the_frames(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text('{"type":"ping"}')
        for sender in ("server", "client"):
            (found, _) = inspect_json(capture, capsys, "--from", sender)
            assert (found["sender"], found["class"]) == (sender, "Ping")
        capture.write_text('{"type":"brand_new"}')
        (found, _) = inspect_json(capture, capsys, "--from", "client")
        assert found["error"]["code"] == "unknown_message"

    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_secrets_are_masked(
        self, capture: Path, capsys: pytest.CaptureFixture[str], options: list[str]
    ) -> None:
        capture.write_text(tp.Codec().encode(tp.Authenticate(token="s3cr3t-t0ken")))
        assert main(["inspect", *options, str(capture)]) == 0
        out = capsys.readouterr().out
        assert "s3cr3t" not in out
        assert "***" in out

    def test_a_line_over_the_limit_takes_no_more_memory_than_the_limit(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_bytes(b"x" * 300_000 + b"\n" + GOOD.encode())
        with capture.open("rb") as stream:
            found = list(lines(stream, 1000))
        assert [number for number, _ in found] == [1, 2]
        assert 1000 < len(found[0][1]) <= ESCAPED * 1000 + RECORD_OVERHEAD
        large, good, _ = inspect_json(capture, capsys, "--max-size", "1000")
        assert large["error"]["code"] == "message_too_large"
        assert good["class"] == "ListSubscriptions"

    def test_a_frame_of_just_the_limit_is_read(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_bytes(GOOD.encode() + b"\r\n")
        good, _ = inspect_json(capture, capsys, "--max-size", str(len(GOOD)))
        assert good["class"] == "ListSubscriptions"

    def test_made_up_types_and_faults_are_not_counted_apart_without_end(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        frames = [f'{{"type":"made_up_{i}"}}' for i in range(500)]
        frames += [f'{{"type":"ping","k{i}":1,"k{i}":2}}' for i in range(500)]
        capture.write_text("\n".join(frames))
        *_, summary = inspect_json(capture, capsys)
        assert len(summary["summary"]["types"]) == 1
        assert len(summary["summary"]["faults"]) <= 201

    def test_a_missing_file_is_an_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", "/nowhere/at/all"]) == 2
        assert "No such file" in capsys.readouterr().err

    def test_the_reader_of_the_output_may_go_away(self, capture: Path) -> None:
        capture.write_text(f"{GOOD}\n" * 20_000)
        with subprocess.Popen(
            [*COMMAND, "inspect", str(capture)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141

    @pytest.mark.parametrize("columns", [80, 40, 20])
    def test_large_input_has_a_progress_bar_on_a_terminal(
        self, capture: Path, columns: int
    ) -> None:
        capture = capture.with_name("a-capture-whose-name-is-rather-long.jsonl")
        bad = BAD.replace("5", "[" + "5," * 50_000 + "5]")
        frames = LARGE // len(bad) + 1
        capture.write_text(f"{bad}\n" * frames)
        terminal, inside = pty.openpty()
        termios.tcsetwinsize(inside, (25, columns))
        result = capture.with_suffix(".out")
        with result.open("wb") as out:
            process = subprocess.Popen(
                [*COMMAND, "inspect", str(capture)], stdout=out, stderr=inside
            )
        os.close(inside)
        shown = b"".join(iter(lambda: read_terminal(terminal), b""))
        os.close(terminal)
        assert process.wait() == 1
        assert b"100%" in shown, "a bar shows how far it is"
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
        assert max(map(len, re.split(r"[\r\n]+", plain))) <= columns
        assert f"{frames} frames, 0 read, {frames} bad".encode() in result.read_bytes()

    def test_small_input_has_no_progress_bar(self, capture: Path) -> None:
        capture.write_text(GOOD)
        done = subprocess.run([*COMMAND, "inspect", str(capture)], check=True, capture_output=True)
        assert done.stderr == b""


def record(
    payload: Any, after: float = 0.0, *, session: str = "s1", reply_to: UUID | None = None
) -> CapturedFrame:
    """A recorded frame, so many seconds after the start."""
    sender = Sender.CLIENT if isinstance(payload, tp.Command) else Sender.SERVER
    return capture_frame(
        tp.Registry(),
        tp.Codec().encode(payload, reply_to=reply_to),
        time=START + timedelta(seconds=after),
        sender=sender,
        session=session,
        max_size=2**20,
    )


def id_of(frame: CapturedFrame) -> UUID:
    assert frame.frame is not None
    return UUID(json.loads(frame.frame)["id"])


def write(path: Path, *records: CapturedFrame) -> None:
    path.write_text("".join(f"{record.to_line()}\n" for record in records), encoding="utf-8")


def exchange(
    command: tp.Command[Any], reply: tp.Response, after: float, took: float, session: str = "s1"
) -> list[CapturedFrame]:
    request = record(command, after, session=session)
    answer = record(reply, after + took, session=session, reply_to=id_of(request))
    return [request, answer]


def progress(mission_id: UUID) -> tp.MissionProgress:
    return tp.MissionProgress(
        mission_id=mission_id, current_spec="1", completed_specs=1, total_specs=2, percentage=50.0
    )


class TestKeepalives:
    """A bare ping is the server's; the client's is a command."""

    @pytest.mark.parametrize(
        ("frame", "sender", "cls"),
        [
            ('{"type":"ping"}', "server", "Ping"),
            ('{"type":"ping","payload":null}', "server", "Ping"),
            ('{"type":"ping","payload":{}}', "server", "Ping"),
            ('{"type":"ping","later":1}', "server", "Ping"),
            ('{"type":"pong"}', "client", "Pong"),
            ('{"type":"ping","payload":{"command":"ping"}}', "client", "Ping"),
            ('{"type":"ping","timestamp":"2026-01-02T03:04:05Z"}', "client", "Ping"),
            ('{"type":"ping","id":"0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60"}', "client", "Ping"),
        ],
    )
    def test_a_bare_ping_is_the_servers_and_a_bare_pong_the_clients(
        self,
        capture: Path,
        frame: str,
        sender: str,
        cls: str,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        capture.write_text(frame)
        (found, _) = inspect_json(capture, capsys)
        assert (found["sender"], found["class"]) == (sender, cls)

    def test_the_direction_of_a_record_says_whose_ping_it_is(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for sender in Sender:
            ping = CapturedFrame(time=START, sender=sender, session="s", frame='{"type":"ping"}')
            write(capture, ping)
            (found, _) = inspect_json(capture, capsys, "--from", "server")
            assert found["sender"] == sender.value


class TestFiles:
    """Files that are not what they seem."""

    def test_gzip_is_read(self, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
        capture.write_bytes(gzip.compress(GOOD.encode()) + gzip.compress(b"\n" + BAD.encode()))
        assert main(["inspect", str(capture)]) == 1
        assert "2 frames, 1 read, 1 bad" in capsys.readouterr().out

    def test_gzip_on_standard_input_is_read(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        data = io.BytesIO(gzip.compress(GOOD.encode()))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(data))
        assert main(["inspect"]) == 0
        assert "1 frame, 1 read, 0 bad" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("cut", "fault"), [(-12, "ends too early"), (-6, "ends too early"), (None, "is broken")]
    )
    def test_broken_gzip_is_told_after_what_could_be_read(
        self,
        cut: int | None,
        fault: str,
        capture: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        data = gzip.compress(b"\n".join([GOOD.encode()] * 10_000))
        capture.write_bytes(data[:cut] if cut else data + b"\x1f\x8bnonsense")
        assert main(["inspect", str(capture)]) == 2
        out, err = capsys.readouterr()
        assert re.search(r"\d{3,} frames, \d{3,} read, 0 bad", out)
        assert err == f"tachikoma-proto: {capture}: the gzip data {fault}\n"

    def test_a_byte_order_mark_is_told_and_skipped(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(f"{GOOD}\n{GOOD}", encoding="utf-8-sig")
        assert main(["inspect", str(capture)]) == 0
        out, err = capsys.readouterr()
        assert "2 frames, 2 read, 0 bad" in out
        assert "begins with a byte order mark (BOM)" in err

    @pytest.mark.parametrize(
        ("data", "what"),
        [
            (GOOD.encode("utf-16"), "UTF-16 text"),
            (GOOD.encode("utf-16-le"), "UTF-16 text"),
            (GOOD.encode("utf-16-be"), "UTF-16 text"),
            (GOOD.encode("utf-32"), "UTF-32 text"),
            (lzma.compress(GOOD.encode()), "compressed with xz"),
            (b"BZh91AY&SY", "compressed with bzip2"),
            (b"\x28\xb5\x2f\xfd\x00", "compressed with zstd"),
            (b"PK\x03\x04", "a zip archive"),
            (b"\xd4\xc3\xb2\xa1\x02\x00", "a pcap file"),
        ],
    )
    def test_other_formats_are_refused_by_name(
        self, data: bytes, what: str, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_bytes(data)
        assert main(["inspect", str(capture)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert f"{capture} is no capture: it is {what}, and not UTF-8 text or gzip" in err

    def test_lines_that_are_not_utf8_are_bad_and_counted_as_one_fault(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = '{"type":"unsubscribe","payload":{"topic":"Grüße"}}'
        capture.write_bytes("\n".join([text, f" {text}", GOOD]).encode("latin-1"))
        assert main(["inspect", str(capture)]) == 1
        out = capsys.readouterr().out
        assert "$: expected UTF-8 text; malformed at byte 44" in out
        assert re.search(r"invalid_message  \$: expected UTF-8 text; malformed at a byte +2$", out)

    @pytest.mark.parametrize("size", ["0", "-1", "1.5", "1e3", "", "x", "9" * 30])
    def test_max_size_must_be_a_whole_number_above_zero(
        self, size: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["inspect", "--max-size", size]) == 2
        err = capsys.readouterr().err
        assert err.endswith("invalid value for '--max-size': expected a whole number above 0\n")

    def test_an_empty_capture(self, capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
        capture.write_bytes(b"")
        assert main(["inspect", str(capture)]) == 0
        assert capsys.readouterr().out == "\n0 frames, 0 read, 0 bad\n"

    def test_what_was_read_before_a_missing_file_is_summed_up(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(GOOD)
        assert main(["inspect", str(capture), "/nowhere/at/all"]) == 2
        out, err = capsys.readouterr()
        assert "1 frame, 1 read, 0 bad" in out
        assert "No such file" in err

    def test_a_folder_is_an_error(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["inspect", str(tmp_path)]) == 2
        assert "Is a directory" in capsys.readouterr().err


class TestInterrupts:
    @pytest.mark.parametrize("options", [[], ["--json"]])
    def test_ctrl_c_shows_the_summary_so_far(self, options: list[str]) -> None:
        process = subprocess.Popen(
            [*INTERRUPTIBLE, "inspect", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(f"{GOOD}\n{BAD}\n")
        process.stdin.flush()
        wait_for(process.stdout, "unsubscribe")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
        assert (process.returncode, err) == (130, "")
        if options:
            summary = json.loads(out.splitlines()[-1])["summary"]
            assert (summary["frames"], summary["bad"]) == (2, 1)
        else:
            assert "2 frames, 1 read, 1 bad" in out


class TestRecords:
    def test_time_and_session_of_a_record_are_shown(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(capture, record(tp.Ping(), session="0190b5a4-7c3e"))
        assert main(["inspect", str(capture)]) == 0
        assert (
            "     1  2026-01-02T03:04:05Z  0190b5a4  client  ping                    Ping()"
            in capsys.readouterr().out
        )
        (found, _) = inspect_json(capture, capsys)
        assert (found["time"], found["session"]) == ("2026-01-02T03:04:05Z", "0190b5a4-7c3e")

    def test_records_may_stand_beside_bare_frames(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text(f"{record(tp.Ping()).to_line()}\n{GOOD}\n")
        first, second, _ = inspect_json(capture, capsys)
        assert (first["class"], second["class"]) == ("Ping", "ListSubscriptions")
        assert "time" not in second

    def test_a_frame_that_was_withheld_is_bad(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        withheld = Withheld(code="message_too_large", message="the frame is too large", size=70)
        write(
            capture, CapturedFrame(time=START, sender=Sender.CLIENT, session="s", withheld=withheld)
        )
        assert main(["inspect", str(capture)]) == 1
        out = capsys.readouterr().out
        assert "BAD message_too_large: the frame is too large (not captured: 70 bytes)" in out

    def test_a_broken_record_is_bad_and_its_faults_are_shown(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text('{"time":1,"direction":"up","session":"s","frame":"{}"}')
        assert main(["inspect", str(capture)]) == 1
        out = capsys.readouterr().out
        assert "BAD invalid_record" in out
        assert "$.time: expected an RFC 3339 date-time" in out
        assert '$.direction: expected "from client" or "from server"' in out

    def test_a_frame_in_a_record_has_its_own_size_limit(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        ping = CapturedFrame(time=START, sender=Sender.CLIENT, session="s" * 100, frame=GOOD)
        write(capture, ping)
        good, _ = inspect_json(capture, capsys, "--max-size", str(len(GOOD)))
        assert good["class"] == "ListSubscriptions"
        bad, _ = inspect_json(capture, capsys, "--max-size", str(len(GOOD) - 1))
        assert bad["error"]["code"] == "message_too_large"

    def test_a_frame_is_not_bad_for_its_masked_secrets(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        frame = '{"type":"unsubscribe","payload":{"topic":5}}'
        masked = CapturedFrame(
            time=START, sender=Sender.CLIENT, session="s", frame=frame, masked=("$.payload.topic",)
        )
        write(capture, masked)
        assert main(["inspect", str(capture)]) == 0
        assert "unsubscribe             {'topic': 5}" in capsys.readouterr().out
        (found, _) = inspect_json(capture, capsys)
        assert found["message"] == json.loads(frame)


class TestReplies:
    def test_requests_are_paired_with_replies_and_their_latency(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        start = tp.StartMission(mission_id=MISSION)
        write(
            capture,
            *exchange(start, tp.AckResponse.ok(), 0, 0.0015),
            *exchange(start, tp.ErrorResponse.not_found("mission"), 1, 0.5),
            record(start, 2),
        )
        assert main(["inspect", str(capture)]) == 0
        out = capsys.readouterr().out
        assert "↳ mission_start in line 1 after 1.5 ms" in out
        assert "↳ mission_start in line 3 after 500 ms" in out
        assert re.search(r"^request +requests +replies +errors +min +median +p95 +max$", out, re.M)
        row = r"^mission_start +3 +2 +1 +1.5 ms +1.5 ms +500 ms +500 ms$"
        assert re.search(row, out, re.M)

    def test_json_has_the_request_of_a_reply_and_latencies(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write(capture, *exchange(tp.Ping(), tp.PongResponse.now(), 0, 0.25))
        _, pong, summary = inspect_json(capture, capsys)
        assert pong["request"] == {"source": None, "line": 1, "type": "ping", "latency": 0.25}
        assert summary["summary"]["requests"] == [
            {
                "type": "ping",
                "requests": 1,
                "replies": 1,
                "errors": 0,
                "latency": {"min": 0.25, "median": 0.25, "p95": 0.25, "max": 0.25},
            }
        ]

    def test_a_reply_in_another_session_is_not_paired(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        request = record(tp.Ping(), session="a")
        write(capture, request, record(tp.PongResponse.now(), session="b", reply_to=id_of(request)))
        _, pong, _ = inspect_json(capture, capsys)
        assert "request" not in pong

    def test_a_bad_request_is_paired_with_its_error(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        request_id = UUID(int=7)
        bad = json.dumps({"id": str(request_id), **json.loads(BAD)})
        error = tp.Codec().encode(tp.ErrorResponse.invalid_message("no"), reply_to=request_id)
        capture.write_text(f"{bad}\n{error}\n")
        _, reply, summary = inspect_json(capture, capsys)
        assert reply["request"]["type"] == "unsubscribe"
        assert reply["request"]["latency"] is None
        assert summary["summary"]["requests"][0]["errors"] == 1

    def test_bare_frames_are_paired_without_a_latency(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        codec = tp.Codec()
        request = codec.encode(tp.Ping(), id=UUID(int=1))
        capture.write_text(
            f"{request}\n{codec.encode(tp.PongResponse.now(), reply_to=UUID(int=1))}"
        )
        assert main(["inspect", str(capture)]) == 0
        out = capsys.readouterr().out
        assert "↳ ping in line 1\n" in out
        assert "median" not in out

    def test_a_request_in_another_file_is_named_with_it(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        request, reply = exchange(tp.Ping(), tp.PongResponse.now(), 0, 0.001)
        write(capture, request)
        other = capture.with_suffix(".2")
        write(other, reply)
        assert main(["inspect", str(capture), str(other)]) == 0
        assert f"↳ ping in {capture}:1 after 1 ms\n" in capsys.readouterr().out

    def test_a_limited_number_of_requests_is_remembered(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        codec = tp.Codec()
        ids = [UUID(int=number + 1) for number in range(MAX_WAITING + 1)]
        frames = [f'{{"id":"{one}","type":"ping"}}' for one in ids]
        frames += [codec.encode(tp.PongResponse.now(), reply_to=one) for one in (ids[0], ids[1])]
        capture.write_text("\n".join(frames))
        *_, forgotten, remembered, _ = inspect_json(capture, capsys)
        assert "request" not in forgotten
        assert remembered["request"]["line"] == 2

    def test_latencies_are_counted_to_two_digits(self) -> None:
        latencies = Latencies()
        for number in range(1, 1001):
            latencies.add(number / 1000)
        found = latencies.as_dict()
        assert (found["min"], found["max"]) == (0.001, 1.0)
        assert found["median"] == pytest.approx(0.5, rel=0.02)
        assert found["p95"] == pytest.approx(0.95, rel=0.02)


class TestSelection:
    @pytest.fixture
    def missions(self, capture: Path) -> Path:
        """Two missions, in two sessions, over some minutes."""
        ok = tp.AckResponse.ok()
        start, other = (tp.StartMission(mission_id=m) for m in (MISSION, OTHER))
        topic = tp.Subscribe(topic=tp.topics.mission(MISSION))
        filters = tp.SubscriptionFilters(mission_id=OTHER)
        write(
            capture,
            *exchange(topic, ok, 0, 0.1),
            *exchange(tp.Subscribe(topic="missions", filters=filters), ok, 1, 0.1, "s2"),
            *exchange(start, ok, 60, 0.1),
            *exchange(other, ok, 120, 0.1, "s2"),
            record(progress(MISSION), 180),
            record(progress(OTHER), 181, session="s2"),
            record(tp.ForgeStarted(session_id=OTHER, mission_id=MISSION, spec_id="1"), 182),
        )
        return capture

    @pytest.mark.parametrize(
        ("options", "found"),
        [
            (["--type", "mission_start"], [5, 6, 7, 8]),
            (["--type", "start"], [5, 6, 7, 8]),
            (["--type", "mission.start"], [5, 6, 7, 8]),
            (["--type", "event.mission"], [9, 10]),
            (["--type", "mission.progress"], [9, 10]),
            (["--type", "progress,forge.started"], [9, 10, 11]),
            (["--type", "progress", "--type", "forge.started"], [9, 10, 11]),
            (["--type", "ack"], [2, 4, 6, 8]),
            (["--mission", str(MISSION)], [1, 2, 5, 6, 9, 11]),
            (["--mission", MISSION.hex.upper()], [1, 2, 5, 6, 9, 11]),
            (["--mission", str(OTHER)], [3, 4, 7, 8, 10]),
            (["--session", "s2"], [3, 4, 7, 8, 10]),
            (["--session", "s"], list(range(1, 12))),
            (["--session", "2"], []),
            (["--session", str(OTHER)], [11]),
            (["--since", "2026-01-02T03:06:05Z"], [7, 8, 9, 10, 11]),
            (["--until", "2026-01-02T04:05:05+01:00"], [1, 2, 3, 4]),
            (["--since", "2026-01-02T03:05:05Z", "--until", "2026-01-02T03:06Z"], [5, 6]),
            (["--mission", str(MISSION), "--type", "mission_start"], [5, 6]),
            (["--mission", str(UUID(int=0))], []),
        ],
    )
    def test_options_choose_frames(
        self,
        missions: Path,
        options: list[str],
        found: list[int],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        *frames, summary = inspect_json(missions, capsys, *options)
        assert [frame["line"] for frame in frames] == found
        assert summary["summary"]["frames"] == len(found), "the summary is about them"

    def test_a_bad_frame_is_chosen_by_what_it_says(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bad = {"type": "event.mission", "payload": {"event": "failed", "mission_id": str(MISSION)}}
        capture.write_text(f"{json.dumps(bad)}\n{BAD}\nnonsense\n")
        for options in (["--type", "mission.failed"], ["--mission", str(MISSION)]):
            (found, _) = inspect_json(capture, capsys, *options)
            assert (found["line"], found["error"]["code"]) == (1, "invalid_message")

    def test_the_frames_own_time_counts_where_there_is_no_other(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        codec = tp.Codec()
        frames = [codec.encode(tp.Ping(), timestamp=START + timedelta(hours=h)) for h in range(3)]
        capture.write_text("\n".join([*frames, GOOD]))
        (found, _) = inspect_json(capture, capsys, "--since", "2026-01-02T05:00:00Z")
        assert found["line"] == 3

    def test_a_type_that_is_not_known_is_told(
        self, capture: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        capture.write_text('{"type":"weather","id":"x"}')
        main(["inspect", "--type", "weather", "--type", "ack", str(capture)])
        out, err = capsys.readouterr()
        assert err == (
            "tachikoma-proto: --type: no known message is called 'weather'; "
            "--plugins knows the messages of installed extensions\n"
        )
        assert "1 frame," in out, "it is asked for all the same"


class TestNarrowTerminals:
    def test_nothing_is_lost_on_40_columns(self, capture: Path) -> None:
        write(capture, *exchange(tp.StartMission(mission_id=MISSION), tp.AckResponse.ok(), 0, 1))
        status, shown = shown_on_a_terminal([*CHECKED, "inspect", str(capture)], columns=40)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        assert status == 0, shown
        assert f"StartMission(mission_id=UUID('{MISSION}'))" in plain
        assert "↳ mission_start in line 1 after 1 s" in plain
        tables = plain.partition("2 frames, 2 read, 0 bad")[2]
        assert max(map(len, tables.splitlines())) <= 40
        assert "mission_start" in tables
