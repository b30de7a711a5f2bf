"""Build the engine in place, for a checkout: ``python tests/engine/build.py [OPTION…]``.

Warnings are errors. With ``--sanitize`` it is built with the address and the undefined-behaviour
sanitizer; the interpreter then has to be started with ``LD_PRELOAD`` naming the former. With
``--plain`` it is built without SSE2, as it is for other processors than x86-64.
"""

import os
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

CODEC = Path(__file__).parent.parent.parent / "src" / "tachikoma_proto" / "codec"

WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SANITIZERS = [
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=undefined",
    "-fno-omit-frame-pointer",
    "-O1",
]


def build(*, sanitized: bool, plain: bool) -> Path:
    """Compile the engine beside its package.

    Args:
        sanitized: Whether with sanitizers.
        plain: Whether without SSE2.

    Returns:
        The extension module.
    """
    target = CODEC / f"_engine{sysconfig.get_config_var('EXT_SUFFIX')}"
    command = [
        *shlex.split(os.environ.get("CC", "cc")),
        *("-O3", "-g", "-fPIC", "-shared", "-fvisibility=hidden"),
        *WARNINGS,
        *(SANITIZERS if sanitized else ["-DNDEBUG"]),
        *(["-U__SSE2__"] if plain else []),
        f"-I{sysconfig.get_path('include')}",
        *sorted(str(path) for path in (CODEC / "engine").glob("*.c")),
        *("-lm", "-o", str(target)),
    ]
    subprocess.run(command, check=True)
    return target


if __name__ == "__main__":
    print(build(sanitized="--sanitize" in sys.argv[1:], plain="--plain" in sys.argv[1:]))
