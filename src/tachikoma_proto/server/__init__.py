"""The server: handlers, connections, and how they are served.

Rules:

* ``serve`` listens on a socket; ``Server.handle`` serves a connection of any WebSocket library.
* A connection that is slow, misbehaves or is lost affects no other one.
* A handler that raises gives ``internal_error`` and a log record. The client is told nothing of
  the exception, and no record holds a secret field.
"""

from tachikoma_proto.server.connection import (
    Authenticator,
    MaySubscribe,
    OnSubscribe,
    RequestAuthenticator,
    SessionLifespan,
)
from tachikoma_proto.server.server import Server
from tachikoma_proto.server.serving import run, serve

__all__ = [
    "Authenticator",
    "MaySubscribe",
    "OnSubscribe",
    "RequestAuthenticator",
    "Server",
    "SessionLifespan",
    "run",
    "serve",
]
