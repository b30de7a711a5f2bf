"""A server over aiohttp's WebSockets.

Run it, and stop it with SIGTERM or Ctrl+C:

    TACHIKOMA_TOKEN=… python examples/aiohttp_server.py --port 8765
"""

from aiohttp import web
from shared import MAX_FRAME, make_server, read_options

from tachikoma_proto.transports.aiohttp import setup


def main() -> None:
    """Serve until a signal comes."""
    options = read_options(__doc__)
    app = web.Application()
    setup(app, make_server(options.token), path="/", origins=options.origins, max_size=MAX_FRAME)
    web.run_app(app, sock=options.listen(), print=None)


if __name__ == "__main__":
    main()
