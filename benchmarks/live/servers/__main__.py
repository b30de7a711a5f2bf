"""``python -m benchmarks.live.servers NAME``: serve until standard input is closed.

Rules:

* The port is the first line of the output; from then on connections are taken.
* The process cannot outlive the one that started it.
"""

import asyncio
import os
import socket
import sys
import threading

from benchmarks.live.servers import (
    BACKENDS,
    ECHO,
    ECHO_PICOWS,
    HANDLERS,
    PYDANTIC,
    own_name,
)
from tachikoma_proto.server.serving import Backend


def main(name: str) -> None:
    """Serve.

    Args:
        name: Which server.
    """
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print(listening.getsockname()[1], flush=True)
    asyncio.run(_serve(name, listening))


async def _serve(name: str, listening: socket.socket) -> None:
    ours: dict[str, tuple[Backend, str]] = {
        own_name(backend, handler): (backend, handler)
        for backend in BACKENDS
        for handler in HANDLERS
    }
    if name in (ECHO, ECHO_PICOWS):
        from benchmarks.live.servers import echo

        await (echo.serve(listening) if name == ECHO else echo.serve_picows(listening))
    elif name in ours:
        from benchmarks.live.servers import tachikoma

        await tachikoma.serve(listening, *ours[name])
    elif name == PYDANTIC:
        from benchmarks.live.servers import fastapi_app

        await fastapi_app.serve(listening)
    else:
        raise SystemExit(f"no server is called {name!r}")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
