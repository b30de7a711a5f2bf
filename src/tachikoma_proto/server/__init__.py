"""The server: many connections on asyncio, over any WebSocket library.

Rules:

* It opens no socket: a WebSocket library accepts connections, and gives each to ``handle``.
* A connection that is slow, sends bad frames or is lost does not affect the others.
* A handler that raises gives ``internal_error`` and a log record. What a client is told holds
  nothing of the exception, and no record holds a secret field.
"""

from tachikoma_proto.server.connection import Authenticator
from tachikoma_proto.server.server import Server

__all__ = ["Authenticator", "Server"]
