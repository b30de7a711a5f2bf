"""A server over Starlette's WebSockets, run by uvicorn.

Run it, and stop it with SIGTERM or Ctrl+C:

    TACHIKOMA_TOKEN=… python examples/starlette_server.py --port 8765
"""

import uvicorn
from shared import MAX_FRAME, make_server, read_options
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from tachikoma_proto.transports.starlette import endpoint, lifespan


def main() -> None:
    """Serve until a signal comes."""
    options = read_options(__doc__)
    server = make_server(options.token)
    app = Starlette(
        routes=[WebSocketRoute("/", endpoint(server, origins=options.origins))],
        lifespan=lifespan(server),
    )
    config = uvicorn.Config(
        app,
        log_level="info",  # at debug, frames are logged, and so tokens
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the session has its own
    )
    uvicorn.Server(config).run(sockets=[options.listen()])


if __name__ == "__main__":
    main()
