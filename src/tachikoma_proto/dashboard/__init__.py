"""The page that shows the missions of a server as they run, and what serves it.

A browser cannot be given the server's token: whatever a page knows, its extensions and the tools of
the browser know. So the page talks to the process that serves it, which relays to the server and
authenticates there itself.

Rules:

* The page is served on loopback alone, to whoever was given its address
  (:mod:`tachikoma_proto.dashboard.access`).
* Frames pass unchanged, in both directions, and none is kept or logged.
* What is served is in ``page/``: it is built from ``web/dashboard`` and shipped with the package,
  so that nothing is loaded from elsewhere.
"""

from tachikoma_proto.dashboard.dashboard import Dashboard
from tachikoma_proto.dashboard.relay import (
    CLOSE_TIMEOUT,
    OPEN_TIMEOUT,
    OpenServer,
    UnreachableError,
    authenticate,
)

__all__ = [
    "CLOSE_TIMEOUT",
    "OPEN_TIMEOUT",
    "Dashboard",
    "OpenServer",
    "UnreachableError",
    "authenticate",
]
