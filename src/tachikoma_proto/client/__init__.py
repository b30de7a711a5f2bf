"""The client: one conversation with a server, over as many connections as it takes.

Rules:

* A lost connection is opened again, with growing delays; the client authenticates and subscribes
  again, and ``events()`` says so with ``Reconnected``.
* A command is sent once. If the connection ends before the answer comes, its request fails.
* What cannot be mended by trying again, such as a refused token, ends the client: requests and
  ``events()`` raise it.
* No token is in a log, a repr or an error.
"""

from tachikoma_proto.client.client import Client
from tachikoma_proto.client.connect import connect
from tachikoma_proto.client.events import EventsMissed, Reconnected

__all__ = ["Client", "EventsMissed", "Reconnected", "connect"]
