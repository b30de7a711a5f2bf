"""The command ``tachikoma-proto``.

Rules:

* Results go to standard output, everything else to standard error.
* Exit status: 0 all went well, 1 a frame was bad or a server refused, 2 the command could not be
  carried out, 130 interrupted, 141 the reader of the output went away.
* An argument that is not understood is not shown: it may be a token.
* The libraries of the extra ``cli`` are imported by :mod:`tachikoma_proto.cli.app` and what that
  imports, so that this module can say what to install where they are missing.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

FAILED: Final = 2

_LIBRARIES: Final = ("click", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: What follows the command's name; ``sys.argv`` if left out.

    Returns:
        The exit status.
    """
    for library in _LIBRARIES:
        try:
            import_module(library)
        except ImportError:
            text = f"the command needs {library}: pip install 'tachikoma-proto[cli]'"
            print(f"tachikoma-proto: {text}", file=sys.stderr)
            return FAILED
    from tachikoma_proto.cli.app import run

    return run(sys.argv[1:] if arguments is None else arguments)
