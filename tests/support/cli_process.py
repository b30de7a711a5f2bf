"""The command line in processes of its own, with and without a terminal."""

import os
import pty
import subprocess
import sys
import termios
from typing import IO

from support.cli_server import PATIENCE

COMMAND = [sys.executable, "-X", "dev", "-W", "error", "-m", "tachikoma_proto"]
_MAIN = """
import signal, sys
from tachikoma_proto.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
"""
INTERRUPTIBLE = [*COMMAND[:-2], "-c", _MAIN]
"""The command where this process ignores interrupts, as one in the background does."""


def started(*command: str, program: list[str] = COMMAND) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*program, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(stream: IO[str] | None, text: str) -> None:
    """Read lines until one has a text."""
    assert stream is not None
    for line in stream:
        if text in line:
            return
    raise AssertionError(f"the stream ended without {text!r}")


def shown_on_a_terminal(command: list[str], columns: int, lines: int = 25) -> tuple[int, str]:
    """Run a command on a terminal of its own; give its status and what it wrote."""
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(inside, (lines, columns))
    # COLUMNS would be the width of another terminal: pytest-xdist sets it.
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, env=environment)
    os.close(inside)
    shown = b""
    while part := _read(terminal):
        shown += part
    os.close(terminal)
    return process.wait(PATIENCE), shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 2**16)
    except OSError:  # how Linux says that the other end is closed
        return b""


def without_debug(text: str) -> list[str]:
    """Take off what asyncio says on a slow machine in its debug mode."""
    return [line for line in text.splitlines() if not line.startswith("Executing <")]
