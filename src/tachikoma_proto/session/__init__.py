"""Sessions: one connection's state, without I/O.

A server's sessions are made by a ``Hub``, which knows who is subscribed to what; a client has one
``ClientSession`` for each connection. ``connection.driver`` puts either on asyncio.

Rules:

* No module here knows about sockets, tasks or event loops.
* No token is in a log, a repr or an error.
"""

from tachikoma_proto.session.base import BaseSession, Closing
from tachikoma_proto.session.client_session import ClientSession
from tachikoma_proto.session.config import ClientConfig, ServerConfig
from tachikoma_proto.session.events import (
    AuthenticationRequested,
    CommandReceived,
    MessageReceived,
    PositionReceived,
    ReauthenticationRequested,
    ResponseReceived,
    Subscribed,
    SubscriptionRequested,
)
from tachikoma_proto.session.hub import Hub
from tachikoma_proto.session.server_session import ServerSession
from tachikoma_proto.session.session import Identity, Session

__all__ = [
    "AuthenticationRequested",
    "BaseSession",
    "ClientConfig",
    "ClientSession",
    "Closing",
    "CommandReceived",
    "Hub",
    "Identity",
    "MessageReceived",
    "PositionReceived",
    "ReauthenticationRequested",
    "ResponseReceived",
    "ServerConfig",
    "ServerSession",
    "Session",
    "Subscribed",
    "SubscriptionRequested",
]
