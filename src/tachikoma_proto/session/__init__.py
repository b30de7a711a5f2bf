"""Sessions: one connection's state, without I/O.

Rules:

* Text goes in by ``receive``, time by its argument ``now`` and by ``tick``; texts come out of
  ``take``, and what somebody else has to do comes back as a typed happening.
* ``now`` is a monotonic time in seconds; ``deadline`` says when ``tick`` wants to be called.
* ``closing`` says that the connection is to be closed, how, and why. Nothing is read after it.
* A peer's fault never raises: it is answered, or the connection is closed.
* No token is in a log, a repr or an error.
"""

from tachikoma_proto.session.client_session import ClientSession
from tachikoma_proto.session.config import ClientConfig, ServerConfig
from tachikoma_proto.session.conversation import Closing, Conversation
from tachikoma_proto.session.happenings import (
    Answered,
    AuthenticationRequested,
    CommandReceived,
    Pushed,
)
from tachikoma_proto.session.hub import Hub
from tachikoma_proto.session.server_session import ServerSession
from tachikoma_proto.session.session import Identity, Session

__all__ = [
    "Answered",
    "AuthenticationRequested",
    "ClientConfig",
    "ClientSession",
    "Closing",
    "CommandReceived",
    "Conversation",
    "Hub",
    "Identity",
    "Pushed",
    "ServerConfig",
    "ServerSession",
    "Session",
]
