"""Checks: a contestant really does the work that is timed.

Rules:

* Every value that it reads is compared, with its type; so is every frame that it writes.
* A strict contestant refuses every one of the refusals. One that is not strict accepts the
  rejected frame: it must not be sold short either.
* A contestant that fails is an error, and nothing is measured.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from benchmarks.cases import Case, samples, without_additions
from benchmarks.contestant import Contestant, Decode
from benchmarks.samples import REFUSALS, REJECTED

_MISSING: Final = object()
_UUIDS: Final = frozenset({"id", "reply_to", "mission_id", "session_id", "user_id", "deploy_id"})
_TAGS: Final = frozenset({"$.type", "$.payload.category", "$.payload.event", "$.payload.command"})
_FREE: Final = "$.payload.details"


class CheckFailed(Exception):
    """A contestant does not do what it is timed for."""


def check(contestant: Contestant, cases: list[Case]) -> None:
    """Check a contestant on all messages of the contract and on the frames to be timed.

    Args:
        contestant: Who is checked.
        cases: What will be timed.

    Raises:
        CheckFailed: It reads or writes something else, or accepts what it should refuse.
    """
    classes: dict[type, str] = {}
    everything = [*samples(), *cases]
    for case in everything:
        decode = contestant.decode(case)
        if decode is None and contestant.whole:
            raise CheckFailed(f"{contestant.name} cannot read {case.name}, and calls itself whole")
        if decode is not None and not case.refused:
            _check_values(contestant, case, decode)
    for case in samples() if contestant.typed else ():
        if decode := contestant.decode(case):
            cls = type(_member(decode(case.texts[0]), "payload"))
            if cls in classes:
                raise CheckFailed(f"{contestant.name}: {case.name} and {classes[cls]} are one")
            classes[cls] = case.name
    _check_refusals(contestant)


def _check_values(contestant: Contestant, case: Case, decode: Decode) -> None:
    encode = contestant.encode(case)
    send = contestant.send(case)
    for text, frame in zip(case.texts, case.frames, strict=True):
        wanted = json.loads(text)
        message = decode(frame)
        for fault in _faults(message, wanted, "$", typed=contestant.typed):
            raise CheckFailed(f"{contestant.name} reads {case.name} wrongly: {fault}")
        known = without_additions(wanted)
        if encode is None or (contestant.typed and _frame(encode(message)) != _frame(known)):
            raise CheckFailed(f"{contestant.name} writes {case.name} wrongly")
        if send is None or (contestant.typed and not _is_sent_anew(send(message), known)):
            raise CheckFailed(f"{contestant.name} sends {case.name} wrongly")


def _check_refusals(contestant: Contestant) -> None:
    for fault, text in REFUSALS.items() if contestant.strict else ():
        decode = contestant.decode(Case(fault, fault, "server", (text,)))
        if decode is not None and not _refuses(contestant, decode, text):
            raise CheckFailed(f"{contestant.name} does not refuse {fault}")
    if not contestant.strict:
        decode = contestant.decode(Case("rejected", "rejected", "server", (REJECTED,)))
        if decode is not None and _refuses(contestant, decode, REJECTED):
            raise CheckFailed(f"{contestant.name} is stricter than it says")


def _is_sent_anew(text: str | bytes, wanted: Any) -> bool:
    """Tell whether a frame has the payload, and an id and a time of its own."""
    sent = _frame(text)
    is_now = abs(sent["timestamp"] - datetime.now(UTC)) < timedelta(minutes=5)
    return bool(is_now and sent["id"] != wanted["id"] and sent["payload"] == wanted["payload"])


def _frame(text: str | bytes | Any) -> Any:
    """Read a frame, its timestamp as an instant: ``Z`` and ``+00:00`` are the same."""
    frame = json.loads(text) if isinstance(text, (str, bytes)) else text
    return {**frame, "timestamp": datetime.fromisoformat(frame["timestamp"])}


def _refuses(contestant: Contestant, decode: Decode, text: str) -> bool:
    try:
        decode(text)
    except contestant.refusals:
        return True
    return False


def _faults(found: object, wanted: Any, path: str, *, typed: bool) -> Iterator[str]:
    """Tell where what was read is not what the frame says."""
    if isinstance(wanted, dict) and path != _FREE:
        for name, value in without_additions(wanted).items():
            inner = f"{path}.{name}"
            member = _member(found, name)
            if member is _MISSING and typed and inner in _TAGS:
                continue  # its class says it
            yield from _faults(member, value, inner, typed=typed)
        return
    expected: Any = wanted
    if typed and path.rpartition(".")[2] in _UUIDS:
        expected = UUID(str(wanted))
    elif typed and path == "$.timestamp":
        expected = datetime.fromisoformat(str(wanted))
    elif isinstance(wanted, list):
        found = list(found) if isinstance(found, (list, tuple)) else found
    if type(found) is not type(expected) or found != expected:
        yield f"{path} is {found!r}"


def _member(found: object, name: str) -> object:
    if isinstance(found, dict):
        return found.get(name, _MISSING)
    return getattr(found, name, _MISSING)
