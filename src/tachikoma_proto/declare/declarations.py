"""What a declaration says, as data: one message, or one scalar of a category's own.

Rules:

* A declaration is made by a category's decorators, and never changed.
* Whoever needs to know how a message is written asks its declaration, not its class.
"""

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args, get_origin

from attrs import frozen

from tachikoma_proto.declare.bases import Command, Response

EVENT_PREFIX: Final = "event."
"""What stands before the category's name in the message type of an event."""


class Sender(enum.Enum):
    """Which side of the connection says something."""

    CLIENT = "client"
    SERVER = "server"


class MessageKind(enum.Enum):
    """What a message is for; the value is also the name of its tag, where it has one."""

    COMMAND = "command"
    EVENT = "event"
    RESPONSE = "response"
    KEEPALIVE = "keepalive"


@frozen
class MessageDeclaration:
    """One declared message.

    Attributes:
        cls: The class.
        kind: What it is for.
        sender: Who says it.
        message_type: The wire's message type.
        category: The category's name.
        tag: What tells it from its siblings in the payload; empty for a response.
        public: Whether a client may send it before it is authenticated.
    """

    cls: type[Any]
    kind: MessageKind
    sender: Sender
    message_type: str
    category: str
    tag: str = ""
    public: bool = False

    @property
    def tags(self) -> Mapping[str, str]:
        """The payload's fields that are fixed by the message's type, in the order written."""
        if self.kind in (MessageKind.COMMAND, MessageKind.EVENT):
            return {"category": self.category, self.kind.value: self.tag}
        return {}

    @property
    def reply(self) -> type[Response] | None:
        """The response that answers a command, where one class does."""
        for cls in self.cls.__mro__:
            for base in vars(cls).get("__orig_bases__", ()):
                if get_origin(base) is Command:
                    (reply,) = get_args(base)
                    return reply if isinstance(reply, type) else None
        return None

    @property
    def owner(self) -> str:
        """The class with its module, for errors and tables."""
        return f"{self.cls.__module__}.{self.cls.__qualname__}"


@frozen
class Scalar:
    """A type of an extension's own, read and written as one JSON value.

    Attributes:
        cls: The type.
        wire: The JSON scalar that stands for it on the wire.
        read: Makes a value of one of the wire's.
        write: The reverse.
        expected: What the type is, as a noun phrase, for errors.
    """

    cls: type[Any]
    wire: Any
    read: Callable[[Any], Any]
    write: Callable[[Any], Any]
    expected: str
