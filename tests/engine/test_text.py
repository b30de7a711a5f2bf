"""Text at every place of a run: the engine takes many bytes at a time, and must not miss one."""

import json
from collections.abc import Iterator
from typing import Literal
from uuid import UUID

import attrs
import pytest

import tachikoma_proto as tp
from engine.agreement import Pair

LENGTHS = (*range(36), 63, 64, 65, 255, 256, 257)
"""How much text may stand before a place, or behind it: around one and two runs of 8 or 16."""

PIECES = (
    *(r"\n", r"\"", r"\\", r"\/", r"\u0041", r"\u00e4", r"\u30d3", r"\ud83d\ude80"),
    *("ä", "ÿ", "Ā", "ビ", "\ud7ff", "\ue000", "\uffff", "🚀", "\U0010ffff", "\x7f", "\x80"),
    *("äöü" * 12, "ビルド" * 12, "🚀" * 12, r"\n" * 12, r"\u30d3" * 12),
)
FAULTS = ("\x00", "\x1f", "\n", r"\x", r"\u00g0", r"\u12", r"\ud83d", r"\ude80", r"\ud83dx", "\\")

FRAME = (
    '{"id":"0190b5a4-7c3e-7d52-8f0a-1b2c3d4e5f60","type":"event.forge",'
    '"timestamp":"2026-01-02T03:04:05Z","payload":{"category":"forge","event":"log",'
    '"session_id":"67e55044-10b1-426f-9247-bb680e5fe0c8","level":"info",'
    '"message":"%s","timestamp":"2026-01-02T03:04:05Z"}}'
)


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair()


def placed(pieces: tuple[str, ...]) -> Iterator[str]:
    """Put pieces between plain text of many lengths."""
    for piece in pieces:
        for before in LENGTHS:
            for after in (0, 1, 7, 8, 9, 15, 16, 17, 40):
                yield FRAME % ("a" * before + piece + "z" * after)


def test_the_frame_is_good(pair: Pair) -> None:
    assert pair.check("server", FRAME % "text") == "yes"


@pytest.mark.parametrize("piece", PIECES, ids=ascii)
def test_text_is_read_and_written_wherever_it_stands(pair: Pair, piece: str) -> None:
    for frame in placed((piece,)):
        assert pair.check("server", frame) == "yes"
        assert pair.check("server", frame.encode()) == "yes"


@pytest.mark.parametrize("fault", FAULTS, ids=ascii)
def test_a_fault_is_found_wherever_it_stands(pair: Pair, fault: str) -> None:
    for frame in placed((fault,)):
        assert pair.check("server", frame) == "refused"
        assert pair.check("server", frame.encode()) == "refused"


def test_a_frame_may_end_anywhere(pair: Pair) -> None:
    frame = FRAME % (r"a\n\u00e4\ud83d\ude80äビ🚀" + "z" * 20)
    whole = frame.encode()
    assert pair.check("server", whole) == "yes"
    for size in range(len(whole)):
        assert pair.check("server", whole[:size]) == "refused"
    for size in range(len(frame)):
        assert pair.check("server", frame[:size]) == "refused"


def test_a_lone_surrogate_is_not_written(pair: Pair) -> None:
    message = tp.Codec().decode_server_message(FRAME % "text")
    assert isinstance(message.payload, tp.ForgeLog)
    for before in LENGTHS:
        text = "a" * before + "\ud83d" + "ビ"
        object.__setattr__(message.payload, "message", text)
        assert pair.check_written(message) == "refused"


def test_malformed_utf8_is_found_wherever_it_stands(pair: Pair) -> None:
    """All first bytes, with second ones from both sides of every limit, and too few or too many."""
    head, tail = FRAME.encode().split(b"%s")
    seconds = (b"", b"\x7f", b"\x80", b"\x8f", b"\x90", b"\x9f", b"\xa0", b"\xbf", b"\xc0")
    for first in range(0x80, 0x100):
        for second in seconds:
            for more in range(4):
                piece = bytes([first]) + second + b"\x80" * more
                for before in (0, 12, 13, 14, 15, 16, 40):
                    text = b"a" * before + piece + b"b" * (before % 3 * 20)
                    verdict = pair.engine.decode_server_message(head + text + tail)
                    assert isinstance(verdict, tp.OutgoingMessage) == is_utf8(text), text


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("place", range(38))
def test_every_character_of_a_uuid_counts(pair: Pair, place: int) -> None:
    quoted = '"67e55044-10b1-426f-9247-bb680e5fe0c8"'
    for code in (*range(0x20, 0x80), 0xE4, 0x130):
        spoilt = quoted[:place] + chr(code) + quoted[place + 1 :]
        pair.check("server", (FRAME % "text").replace(quoted, spoilt))
        pair.check("server", (FRAME % "text").replace(quoted, spoilt).encode())


@pytest.mark.parametrize("place", range(29))
def test_every_character_of_a_time_counts(pair: Pair, place: int) -> None:
    quoted = '"2026-01-02T03:04:05.123456Z"'
    frame = (FRAME % "text").replace('"2026-01-02T03:04:05Z"', quoted)
    for code in (*range(0x20, 0x80), 0xE4, 0x130):
        spoilt = quoted[:place] + chr(code) + quoted[place + 1 :]
        pair.check("server", frame.replace(quoted, spoilt, 1))


def test_members_are_found_in_any_order_and_form(pair: Pair) -> None:
    """A key is compared as it is mostly written; written otherwise, it is the same key."""
    members = [
        ('"session_id"', '"67e55044-10b1-426f-9247-bb680e5fe0c8"'),
        ('"level"', '"info"'),
        ('"message"', '"text"'),
        ('"timestamp"', '"2026-01-02T03:04:05Z"'),
    ]
    head, tail = FRAME.split('"session_id"')[0], "}}"
    for turn in range(4):
        turned = members[turn:] + members[:turn]
        for between in (":", " :", ": ", " : ", "\t:\n"):
            text = ",".join(key + between + value for key, value in turned)
            assert pair.check("server", head + text + tail) == "yes"
            escaped = text.replace('"session_id"', r'"s\u0065ssion_id"')
            assert pair.check("server", head + escaped + tail) == "yes"
            repeated = text + r',"\u006cevel":"info"'
            assert pair.check("server", head + repeated + tail) == "refused"


def test_names_and_values_of_any_script_are_read_and_written() -> None:
    category = tp.Category("size")

    @category.response("size_result")
    @attrs.frozen(kw_only=True)
    class SizeResponse(tp.Response):
        größe: Literal["groß", "большой", "大きい", "plain"]
        имя: str
        名前: str | None = None
        marks: frozenset[str] = frozenset()

    pair = Pair(tp.Registry([category]))
    for size in ("groß", "большой", "大きい", "plain"):
        for name in ("a", "ä", "я", "🚀", 'a"b', "я\n" * 20, "🚀\x1f" * 20):
            for other in (None, "ö", "名前"):
                for marks in ((), ("b", "a"), ("ö", "名")):
                    made = SizeResponse(
                        größe=size,
                        имя=name,
                        名前=other,
                        marks=frozenset(marks),
                    )
                    text = pair.whole.encode(made, reply_to=UUID(int=1))
                    assert pair.check("server", text) == "yes"
                    assert pair.check("server", text.encode()) == "yes"


@pytest.mark.parametrize("text", ["a" * 50, "ä" * 50, "ビ" * 50, "🚀" * 50, '"\n\x00я'], ids=ascii)
def test_what_is_written_may_have_the_largest_size_and_no_more(text: str) -> None:
    message = tp.Codec().decode_server_message(FRAME % json.dumps(text, ensure_ascii=False)[1:-1])
    size = len(tp.Codec(accelerated=False).encode_message(message).encode())
    for limit in range(size - 5, size + 5):
        codec = tp.Codec(max_size=limit)
        if limit >= size:
            assert len(codec.encode_message(message).encode()) == size
        else:
            with pytest.raises(tp.EncodeError):
                codec.encode_message(message)
