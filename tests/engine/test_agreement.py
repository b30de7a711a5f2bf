"""What the engine takes, the converter takes with an equal result, and writes as the same text."""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from support.conformance import VECTORS

import tachikoma_proto as tp
from engine import generate
from engine.agreement import Pair

FORMS: dict[str, Callable[[str], Any]] = {
    "str": lambda text: text,
    "bytes": lambda text: text.encode(errors="surrogatepass"),
    "bytearray": lambda text: bytearray(text.encode(errors="surrogatepass")),
    "memoryview": lambda text: memoryview(text.encode(errors="surrogatepass")),
}


@pytest.fixture(scope="module", params=[False, True], ids=["lenient", "strict"])
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(forbid_unknown_fields=request.param)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_vectors_are_judged_alike(pair: Pair, form: Any) -> None:
    done = Counter(pair.check(vector["side"], form(vector["frame"])) for vector in VECTORS)
    assert done["yes"] >= 250, "a good frame is for the engine"
    assert done["unsure"] <= 20


def test_the_engine_takes_every_good_vector_but_those_of_odd_keys() -> None:
    pair = Pair()
    for vector in VECTORS:
        verdict = pair.check(vector["side"], vector["frame"])
        assert verdict == ("yes" if vector["verdict"] == "accept" else "refused"), vector["label"]


def test_spoilt_vectors_are_judged_alike(pair: Pair, effort: int) -> None:
    source = random.Random(20260301)
    for _ in range(4000 * effort):
        vector = source.choice(VECTORS)
        text = generate.spoil(
            source, vector["frame"][:2000], lambda: source.choice(VECTORS)["frame"]
        )
        pair.check(vector["side"], source.choice(list(FORMS.values()))(text))


def test_bytes_that_are_no_utf8_are_judged_alike(pair: Pair, effort: int) -> None:
    source = random.Random(20260302)
    for _ in range(1000 * effort):
        vector = source.choice(VECTORS)
        frame = bytearray(vector["frame"][:2000].encode(errors="surrogatepass"))
        for _ in range(source.randint(1, 3)):
            frame[source.randrange(len(frame))] = source.randrange(256)
        pair.check(vector["side"], bytes(frame))


@pytest.mark.parametrize("seed", range(40))
def test_extensions_are_read_and_written_alike(seed: int, effort: int) -> None:
    for number in range(effort):
        source = random.Random(seed + 1000 * number)
        registry = generate.extension(source)
        pair = Pair(registry, forbid_unknown_fields=source.random() < 0.3)
        for _ in range(60):
            side, text = generate.frame(source, registry)
            if source.random() < 0.3:
                other = generate.frame(source, registry)[1]
                text = generate.spoil(source, text, other.__str__)
            pair.check(side, source.choice(list(FORMS.values()))(text))


def test_a_good_frame_of_an_extension_is_for_the_engine() -> None:
    for seed in range(30):
        registry = generate.extension(random.Random(seed))
        pair = Pair(registry)
        for side, text in generate.plain_frames(registry):
            assert pair.check(side, text) == "yes", text


def test_members_in_any_order_are_for_the_engine() -> None:
    pair = Pair()
    source = random.Random(3)
    for side, text in generate.plain_frames(pair.registry):
        frame = json.loads(text)
        for _ in range(20):
            members = list(frame.items())
            source.shuffle(members)
            shuffled = dict(members)
            if "payload" in frame:
                payload = list(frame["payload"].items())
                source.shuffle(payload)
                shuffled["payload"] = dict(payload)
            assert pair.check(side, json.dumps(shuffled, indent=1)) == "yes"


def test_a_size_limit_holds_for_what_is_read_and_written() -> None:
    message = tp.OutgoingMessage(type="error", payload=tp.ErrorResponse(code="é", message="ü" * 50))
    text = tp.Codec().encode_message(message)
    size = len(text.encode())
    for limit in (size - 1, size):
        pair = Pair(max_size=limit)
        assert pair.check("server", text) == ("yes" if limit == size else "unsure")
        assert pair.check("server", text.encode()) == ("yes" if limit == size else "unsure")
        pair.check_written(message)
    with pytest.raises(tp.EncodeError):
        tp.Codec(max_size=size - 1).encode_message(message)


@pytest.mark.parametrize("depth", [126, 127, 128, 129, 200, 100_000])
@pytest.mark.parametrize("shape", ["[", '{"a":'])
def test_nesting_is_limited_alike(depth: int, shape: str) -> None:
    closing = "]" if shape == "[" else "}"
    inner = shape * depth + "1" + closing * depth
    pair = Pair()
    for place in ('"details":', '"unknown":'):
        text = (
            '{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","type":"error",'
            '"timestamp":"2026-01-02T03:04:05Z","payload":{"code":"a","message":"b",'
            + place
            + inner
            + "}}"
        )
        assert pair.check("server", text) == ("yes" if depth <= 126 else "refused")


def test_many_unknown_keys_are_told_apart() -> None:
    pair = Pair()
    for count in (7, 8, 9, 30):
        keys = ",".join(f'"key{number}":{number}' for number in range(count))
        for extra, verdict in (
            ("", "yes"),
            (',"key3":1', "refused"),
            (',"ke\\u00793":1', "refused"),
        ):
            text = f'{{"type":"ping","payload":{{{keys}{extra}}},{keys}}}'
            assert pair.check("client", text) == verdict
            text = f'{{"type":"ping","payload":{{"in":{{{keys}{extra}}}}}}}'
            assert pair.check("client", text) == verdict


@pytest.mark.parametrize("number", [2**64, -(2**64), -3 * 2**64, -(2**128)])
def test_a_multiple_of_what_64_bits_hold_is_read_as_an_integer(number: int) -> None:
    text = (
        '{"id":"67e55044-10b1-426f-9247-bb680e5fe0c8","type":"error",'
        '"timestamp":"2026-01-02T03:04:05Z","payload":{"code":"a","message":"b",'
        f'"details":{{"a":{number}}}}}}}'
    )
    assert Pair().check("server", text) == "yes"


@pytest.mark.parametrize("tag", ['a"b', "a\\b", "a\\"], ids=["quote", "backslash", "end"])
def test_a_tag_is_read_as_json(tag: str) -> None:
    category = tp.Category("odd")

    @category.command("go", tag=tag)
    @attrs.frozen(kw_only=True)
    class Go(tp.Command[tp.AckResponse]):
        pass

    pair = Pair(tp.Registry([category]))
    for written in (f'"{tag}"', json.dumps(tag)):
        payload = f'{{"category":"odd","command":{written}}}'
        pair.check("client", f'{{"type":"go","payload":{payload}}}')
    assert pair.whole.decode_command(pair.whole.encode(Go())).payload == Go()
