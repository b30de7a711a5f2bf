"""``python -m tachikoma_proto`` is the command ``tachikoma-proto``."""

import sys

from tachikoma_proto.cli import main

if __name__ == "__main__":
    sys.exit(main())
