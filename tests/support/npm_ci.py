"""Install the npm packages of a folder: ``python tests/support/npm_ci.py web``.

Where there is no npm, the tests that need them are skipped, unless ``NOTHING_SKIPPED`` is set.
"""

import os
import shutil
import subprocess
import sys


def main(folder: str) -> int:
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not installed: what needs it is skipped")
        return 1 if os.environ.get("NOTHING_SKIPPED") else 0
    return subprocess.run([npm, "--prefix", folder, "ci", "--ignore-scripts"]).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
