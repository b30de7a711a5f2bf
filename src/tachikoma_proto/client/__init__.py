"""The client: one session of work with a server, over as many connections as it takes.

Rules:

* A lost connection is opened again; the client authenticates and subscribes again, and its
  streams say so (``Disconnected``, ``Reconnected``).
* A command is sent once. If the connection ends before the response comes, its request fails.
* What trying again cannot mend, such as a refused token, ends the client: requests and streams
  raise it.
* No token is in a log, a repr or an error.
"""

from tachikoma_proto.client.client import Client, connect
from tachikoma_proto.client.reconnector import ClientState
from tachikoma_proto.client.streams import (
    Disconnected,
    EventsMissed,
    EventStream,
    Notice,
    Reconnected,
    SubscriptionLost,
    SubscriptionRestored,
)

__all__ = [
    "Client",
    "ClientState",
    "Disconnected",
    "EventStream",
    "EventsMissed",
    "Notice",
    "Reconnected",
    "SubscriptionLost",
    "SubscriptionRestored",
    "connect",
]
