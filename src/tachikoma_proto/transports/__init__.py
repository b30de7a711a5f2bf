"""Transports: what carries the frames of a connection.

``serve`` and ``connect`` choose one by themselves. The modules here are for everything else:

* ``starlette``: routes and a lifespan for Starlette and FastAPI.
* ``aiohttp``: a request handler for aiohttp.
* ``websockets`` and ``picows``: the backends of ``serve``.
* ``memory``: both ends of a connection in one event loop, for tests.

Each imports its library when it is imported itself.
"""

from tachikoma_proto.transports.transport import (
    CallbackTransport,
    ConnectionRequest,
    FrameReceiver,
    Headers,
    Transport,
)

__all__ = ["CallbackTransport", "ConnectionRequest", "FrameReceiver", "Headers", "Transport"]
