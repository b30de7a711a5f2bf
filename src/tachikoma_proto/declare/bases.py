"""The bases of messages: commands, events and responses.

Rules:

* A message is a frozen attrs class, keyword-only, with slots, and hashable where its fields are.
* ``R`` of ``Command[R]`` is the response class that answers the command. It is there for type
  checkers and for whoever asks the registry; nothing of it is on the wire.
"""

from typing import Generic, TypeVar


class Message:
    """Base of commands, events, responses and envelopes; supports weak references."""

    __slots__ = ("__weakref__",)


class Response(Message):
    """Base of what a server answers: flat on the wire, without a tag."""

    __slots__ = ()


R = TypeVar("R", bound=Response)
"""The response that answers a command."""


class Command(Message, Generic[R]):
    """Base of what a client asks for: ``class StartMission(Command[AckResponse])``."""

    __slots__ = ()


class Event(Message):
    """Base of what a server pushes to its subscribers."""

    __slots__ = ()
