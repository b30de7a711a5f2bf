"""Run tests with the engine built with sanitizers: ``python tests/engine/sanitized.py TEST…``.

They are run twice: the second time the engine does without SSE2, as on other processors.
Where there is no C compiler, there is nothing to test, unless ``NOTHING_SKIPPED`` is set.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

BUILD = [sys.executable, str(Path(__file__).with_name("build.py"))]


def main(tests: list[str]) -> int:
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None and not os.environ.get("NOTHING_SKIPPED"):
        print("there is no C compiler: the engine is not tested")
        return 0
    library = subprocess.run(
        [*compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    environment = {
        "ASAN_OPTIONS": "detect_leaks=0",
        "LD_PRELOAD": library,
        "PYTHONMALLOC": "malloc",
        "TACHIKOMA_ENGINE": "1",
    }
    command = [sys.executable, "-m", "pytest", *tests]
    status = 0
    for options in ([], ["--plain"]):
        subprocess.run([*BUILD, "--sanitize", *options], check=True)
        status = status or subprocess.run(command, env={**os.environ, **environment}).returncode
    subprocess.run(BUILD, check=True)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
