"""A ``nats-server`` of one's own, in a temporary folder, for tests that need NATS.

Rules:

* A module that needs it calls ``require_nats()`` first: it is skipped where something is missing,
  unless ``BROKERS_REQUIRED`` is set.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.live import PATIENCE, free_port

# Debian has it where the path of ordinary users does not lead.
NATS_SERVER = os.environ.get("NATS_SERVER") or shutil.which(
    "nats-server", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
)


def require_nats() -> None:
    """Skip the module that is being imported if there is no nats-server, or no nats-py."""
    missing = [] if NATS_SERVER else ["nats-server"]
    missing += [] if find_spec("nats") else ["nats-py"]
    if missing and not os.environ.get("BROKERS_REQUIRED"):
        pytest.skip(f"not installed: {', '.join(missing)}", allow_module_level=True)


class NatsServer:
    """A nats-server with JetStream that can be killed and started again, at the same address.

    Attributes:
        folder: Where it runs.
        files: Where JetStream keeps its data.
        url: Its URL.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.files = folder / "files"
        self.port = free_port()
        self.url = f"nats://127.0.0.1:{self.port}"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        common = ("-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.files))
        assert NATS_SERVER is not None
        log = self.folder / "log"
        before = log.read_text().count("Server is ready") if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [NATS_SERVER, *common, *self._arguments], stdout=output, stderr=output
            )
        deadline = time.monotonic() + PATIENCE
        while log.read_text().count("Server is ready") == before:
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill it: what it has not written is lost."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Stop it in order: it writes all that it has."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._process = None

    def pause(self) -> None:
        """Stop it where it is, as a machine without a network would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until all its threads have stopped

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def copy_files(self, name: str) -> Path:
        """Copy what JetStream keeps; only while the server does not run."""
        assert self._process is None
        return Path(shutil.copytree(self.files, self.folder / name))

    def restore_files(self, copy: Path | None) -> None:
        """Replace what JetStream keeps with a copy, or with nothing."""
        assert self._process is None
        shutil.rmtree(self.files)
        if copy is not None:
            shutil.copytree(copy, self.files)


@contextmanager
def nats_cluster(size: int = 3) -> Iterator[list[NatsServer]]:
    """Have a cluster of nats-servers while the block runs."""
    with TemporaryDirectory(prefix="nats-") as folder:
        routes = [f"nats://127.0.0.1:{free_port()}" for _ in range(size)]
        servers = []
        for number, route in enumerate(routes):
            home = Path(folder, str(number))
            home.mkdir()
            names = ("-n", f"n{number}", "--cluster_name", "c", "--cluster", route)
            servers.append(NatsServer(home, *names, "--routes", ",".join(routes)))
        for server in servers:
            server.start()
        try:
            yield servers
        finally:
            for server in servers:
                server.kill()


@contextmanager
def nats_server(*arguments: str) -> Iterator[NatsServer]:
    """Have a nats-server while the block runs.

    Args:
        arguments: Of its command line, beside those for its address and its files.
    """
    with TemporaryDirectory(prefix="nats-") as folder:
        server = NatsServer(Path(folder), *arguments)
        server.start()
        try:
            yield server
        finally:
            server.kill()
