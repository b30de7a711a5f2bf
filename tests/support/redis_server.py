"""A ``redis-server`` of one's own, in a temporary folder, for tests that need Redis.

Rules:

* A module that needs it calls ``require_redis()`` first: it is skipped where something is missing,
  unless ``BROKERS_REQUIRED`` is set.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from support.live import PATIENCE, free_port


def require_redis() -> None:
    """Skip the module that is being imported if there is no redis-server, or no redis-py."""
    missing = [] if shutil.which("redis-server") else ["redis-server"]
    missing += [] if find_spec("redis") else ["redis"]
    if missing and not os.environ.get("BROKERS_REQUIRED"):
        pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)


def has_tls() -> bool:
    """Return whether redis-server was built with TLS; else it takes the option for a mistake."""
    command = ["redis-server", "--tls-port", "0", "--port", "none"]
    refused = subprocess.run(command, capture_output=True, text=True)
    return "tls-port" not in refused.stdout + refused.stderr


class RedisServer:
    """A redis-server that can be killed and started again, at the same address.

    Attributes:
        folder: Where it runs and keeps its data.
        port: Its port on the loopback address.
        url: Its URL.
    """

    def __init__(self, folder: Path, arguments: Sequence[str], url: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = url.format(port=self.port)
        self._arguments = [argument.format(port=self.port) for argument in arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        place = (
            "--bind",
            "127.0.0.1",
            "127.0.0.2",
            "--port",
            str(self.port),
            "--dir",
            str(self.folder),
        )
        options = ("--save", "", "--enable-debug-command", "yes")
        command = ["redis-server", *place, *options, *self._arguments]
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)

    def _is_ready(self) -> bool:
        from redis.exceptions import RedisError

        try:
            return bool(self.run("PING"))
        except RedisError:
            return False

    def kill(self) -> None:
        """Kill it: what it has not written is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Stop it where it is, as a machine without a network would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def run(self, *command: str | int) -> Any:
        """Run a command on a connection of its own, as an operator would."""
        import redis

        with redis.Redis.from_url(self.url, protocol=2, decode_responses=True) as client:
            return client.execute_command(*command)

    def kill_clients(self, command: str) -> int:
        """Cut the connections that run a command, or ran it last; return how many those were."""
        text: str = self.run("CLIENT", "LIST")
        ids = [
            line.split()[0].partition("=")[2]
            for line in text.splitlines()
            if f" cmd={command} " in line
        ]
        return sum(self.run("CLIENT", "KILL", "ID", number) for number in ids)


@contextmanager
def redis_server(*arguments: str, url: str = "redis://127.0.0.1:{port}") -> Iterator[RedisServer]:
    """Have a redis-server while the block runs, which writes nothing to disk unless told to.

    Args:
        arguments: Further arguments of its command line; they may name the ``{port}``.
        url: How to connect to it.
    """
    with TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder), arguments, url)
        server.start()
        try:
            yield server
        finally:
            server.kill()
