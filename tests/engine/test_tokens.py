"""Every small change of every frame: each token deleted, doubled, swapped, replaced, inserted.

In a prototype of the engine a missing comma between two tags was accepted; all vectors passed, and
of two fuzzers one missed it. This finds such a thing for sure.

With ``TACHIKOMA_EFFORT`` above 1 the frames of extensions are changed, too, and by more tokens.
"""

import json
import random
import re
from collections.abc import Iterator

import pytest

from engine import generate
from engine.agreement import Pair

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^{}\[\]:,"\s]+|\s+')

FEW = ["{", "}", "[", "]", ":", ",", '"', '"id"', '"x"', "null", "1", " "]
MORE = [
    *FEW,
    "{}",
    "[]",
    "true",
    "-0",
    "1e400",
    "1.5",
    '"event"',
    '"type"',
    '"\\ud800"',
    '"a":1',
    "-",
]


def changes(text: str, alphabet: list[str]) -> Iterator[str]:
    tokens = TOKEN.findall(text)
    assert "".join(tokens) == text
    for i, token in enumerate(tokens):
        before, after = tokens[:i], tokens[i + 1 :]
        yield "".join(before + after)
        yield "".join([*before, token, token, *after])
        if after:
            yield "".join([*before, after[0], token, *after[1:]])
        for other in alphabet:
            yield "".join([*before, other, *after])
            yield "".join([*before, other, token, *after])
    for other in alphabet:
        yield text + other


BUILTIN = Pair()


@pytest.mark.parametrize(
    ("side", "text"),
    [
        pytest.param(*frame, id=f"{number}")
        for number, frame in enumerate(generate.plain_frames(BUILTIN.registry))
    ],
)
def test_every_change_of_a_builtin_frame_is_judged_alike(side: str, text: str, effort: int) -> None:
    assert BUILTIN.check(side, text) == "yes"
    for changed in changes(text, MORE if effort > 1 else FEW):
        BUILTIN.check(side, changed)


@pytest.mark.parametrize("message_type", ["event.mission", "subscribe", "mission_status_result"])
def test_every_change_of_a_frame_whose_payload_comes_first_is_judged_alike(
    message_type: str,
) -> None:
    frames = [(side, json.loads(text)) for side, text in generate.plain_frames(BUILTIN.registry)]
    side, frame = next((side, frame) for side, frame in frames if frame["type"] == message_type)
    payload = dict(sorted(frame.pop("payload").items()))
    text = json.dumps({"payload": payload, **frame}, separators=(",", ":"))
    assert BUILTIN.check(side, text) == "yes"
    for changed in changes(text, MORE):
        BUILTIN.check(side, changed)


def test_every_change_of_an_extensions_frame_is_judged_alike(effort: int) -> None:
    for seed in range(20 if effort > 1 else 1):
        pair = Pair(generate.extension(random.Random(seed)))
        for side, text in generate.plain_frames(pair.registry):
            if "things" in text:
                for changed in changes(text, MORE if effort > 1 else FEW[:6]):
                    pair.check(side, changed)
