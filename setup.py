"""The compiled engine, which is built where that can be done; the rest is in setup.cfg.

Rules:

* Where there is no compiler, the installation succeeds, and the converter does everything.
* ``TACHIKOMA_PURE=1`` leaves the engine out: that makes a wheel for every platform.
* ``TACHIKOMA_ENGINE=1`` insists on it: an engine that does not build is an error.
"""

import os
import platform
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

ENGINE = Path("src/tachikoma_proto/codec/engine")


def engine() -> list[Extension]:
    """Give the engine's extension module, if this Python can have it."""
    is_able = platform.python_implementation() == "CPython" and not sysconfig.get_config_var(
        "Py_GIL_DISABLED"
    )
    if os.environ.get("TACHIKOMA_PURE", "0") != "0" or not is_able:
        return []
    return [
        Extension(
            "tachikoma_proto.codec._engine",
            sources=sorted(path.as_posix() for path in ENGINE.glob("*.c")),
            depends=sorted(path.as_posix() for path in ENGINE.glob("*.h")),
            extra_compile_args=[] if sys.platform == "win32" else ["-O3", "-fvisibility=hidden"],
            optional=os.environ.get("TACHIKOMA_ENGINE", "0") == "0",
        )
    ]


setup(ext_modules=engine())
