"""``python -m benchmarks.imports``: what it costs to import the library, and to its first frame.

Rules:

* Each figure is that of a fresh interpreter, taken inside it, and the contestants take turns.
* All are imported from bytecode, as whatever is installed: a first run, which is not counted,
  compiles them, into a folder of this benchmark's own.
* What counts is the ratio to importing cattrs, which reading and writing by the engine needs not.
"""

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Final

from attrs import frozen

ROUNDS: Final = 21

_FRAME: Final = (
    '{"type":"mission_start","payload":{"mission_id":"67e55044-10b1-426f-9247-bb680e5fe0c8"}}'
)


@frozen
class Contestant:
    """Something to import.

    Attributes:
        name: What the table calls it.
        code: What is timed.
        bar: The ratio to importing cattrs that it should not exceed.
    """

    name: str
    code: str
    bar: float | None = None


CONTESTANTS: Final = (
    Contestant("import cattrs", "import cattrs"),
    Contestant("import tachikoma_proto", "import tachikoma_proto", 1.3),
    Contestant(
        "to the first decoded frame",
        f"import tachikoma_proto as tp; tp.Codec().decode_command({_FRAME!r})",
        1.3,
    ),
    Contestant("import pydantic", "import pydantic; pydantic.BaseModel"),
)


def measure(contestant: Contestant, environ: Mapping[str, str]) -> float:
    """Run a contestant's code in a fresh interpreter.

    Args:
        contestant: What to run.
        environ: The interpreter's environment.

    Returns:
        How long it took, in milliseconds.
    """
    code = f"import time; t = time.perf_counter()\n{contestant.code}\n"
    code += "print((time.perf_counter() - t) * 1000)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ
    )
    return float(done.stdout)


def main() -> None:
    """Measure, and print medians with their ratios to the first contestant."""
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        _, *rounds = (
            [measure(contestant, environ) for contestant in CONTESTANTS] for _ in range(1 + ROUNDS)
        )
    print(f"{'':30} {'ms':>7} {'ratio':>6} {'bar':>5}")
    for index, contestant in enumerate(CONTESTANTS):
        time = statistics.median(times[index] for times in rounds)
        ratio = statistics.median(times[index] / times[0] for times in rounds)
        bar = "" if contestant.bar is None else f"{contestant.bar:.1f}"
        print(f"{contestant.name:30} {time:7.1f} {ratio:6.2f} {bar:>5}")


if __name__ == "__main__":
    main()
