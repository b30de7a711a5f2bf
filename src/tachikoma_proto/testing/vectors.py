"""Vectors: frames with verdicts, one JSON object a line.

Each has ``frame`` (the text), ``side`` (``client`` or ``server``: who sent it), ``verdict``
(``accept`` or ``reject``) and, where it is accepted, ``canonical``: the ``type``, the ``id`` and
the ``payload`` that are written. ``id`` and ``label`` name it. Other keys are ignored.

Rules:

* A null in ``canonical`` is what is not written; a number is equal whether it has a fraction or
  not; ``true`` is no number.
* A frame that is accepted is also read again, from what was written, as the same message.
* A byte order mark, which editors put before a file, is passed over.
* Blank lines are passed over. No vector at all is a failure.
"""

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.errors import ProtocolError
from tachikoma_proto.testing.source import Source, registry_of

_BOM: Final = "\ufeff"


def check_vectors(
    vectors: str | os.PathLike[str] | Iterable[str],
    source: Source = None,
    *,
    codec: Codec | None = None,
) -> int:
    """Check frames against their verdicts.

    Args:
        vectors: The path of a file of JSON lines, or its lines.
        source: The category or the registry; the built-in messages if left out.
        codec: Reads and writes; one of the source with the default options if left out.

    Returns:
        How many vectors there were.

    Raises:
        AssertionError: A frame has another verdict or other values, or a line is no vector. The
            text names every such vector.
    """
    if isinstance(vectors, (str, os.PathLike)):
        # Not splitlines(): that would split at separators which JSON text may hold.
        vectors = Path(vectors).read_text(encoding="utf-8").split("\n")
    wire = Codec(registry_of(source)) if codec is None else codec
    checked = [
        _check(wire, number, line.removeprefix(_BOM))
        for number, line in enumerate(vectors, start=1)
        if line.strip()
    ]
    failures = [f"  {failure}" for failure in checked if failure]
    if failures:
        head = f"{len(failures)} of {len(checked)} vectors fail:"
        raise AssertionError("\n".join([head, *failures]))
    if not checked:
        raise AssertionError("there are no vectors to check")
    return len(checked)


def _check(codec: Codec, number: int, line: str) -> str | None:
    """What is wrong with a line; None if nothing is."""
    try:
        vector: dict[str, Any] = json.loads(line)
        name = f"line {number}, {vector.get('id', '-')} ({vector.get('label', '-')})"
        side, verdict, frame = vector["side"], vector["verdict"], vector["frame"]
        if side not in ("client", "server") or verdict not in ("accept", "reject"):
            return f"{name}: its side or its verdict is none"
        canonical = vector["canonical"] if verdict == "accept" else None
    except (ValueError, KeyError, AttributeError) as error:
        return f"line {number}: no vector: {type(error).__name__}: {error}"
    try:
        fault = _fault(codec, side, frame, canonical)
    except Exception as error:  # noqa: BLE001 - whatever it is, the vector fails by its name
        fault = f"{type(error).__name__}: {error}"
    return f"{name}: {fault}" if fault else None


def _fault(codec: Codec, side: str, frame: str, canonical: dict[str, Any] | None) -> str | None:
    read: Any = codec.decode_command if side == "client" else codec.decode_server_message
    try:
        message = read(frame)
    except ProtocolError as error:
        return None if canonical is None else f"refused: {error.message}"
    if canonical is None:
        return f"accepted as {message.payload!r}"
    text = codec.encode_message(message)
    written = json.loads(text)
    for key in ("type", "id", "payload"):
        expected, found = _without_nulls(canonical.get(key)), _without_nulls(written.get(key))
        if not _is_same(expected or None, found or None):
            return f"{key} is {found!r}, not {expected!r}"
    return None if read(text) == message else "read again as another message"


def _without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _is_same(first: Any, second: Any) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(
            _is_same(item, second[key]) for key, item in first.items()
        )
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(_is_same, first, second))
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    return bool(first == second)
