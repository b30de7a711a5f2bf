"""What a declaration says, as data: one message of a category.

Rules:

* A declaration is made by a category's decorators, and never changes.
* Whoever needs to know how a message is written asks its declaration, not its class.
"""

import enum
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar, get_args, get_origin

from tachikoma_proto.declare.annotations import evaluate, name_of, unaliased
from tachikoma_proto.declare.bases import Command, Response
from tachikoma_proto.declare.frozen import frozen
from tachikoma_proto.errors import RegistryError

EVENT_PREFIX: Final = "event."
"""What stands before the category's name in the message type of an event."""


class Sender(enum.Enum):
    """Which side of the connection sends a message."""

    CLIENT = "client"
    SERVER = "server"

    __hash__ = object.__hash__  # in C: who sent it is in the key of every look-up of a message


class MessageKind(enum.Enum):
    """What a message is for; the value is also the name of its tag, where it has one."""

    COMMAND = "command"
    EVENT = "event"
    RESPONSE = "response"
    KEEPALIVE = "keepalive"

    __hash__ = object.__hash__  # as above


@frozen
class MessageDeclaration:
    """One declared message.

    Attributes:
        cls: The class.
        kind: What it is for.
        sender: Which side sends it.
        message_type: The wire's message type.
        category: The category's name.
        tag: What tells it from the others of its category in the payload; empty for a response.
        public: Whether a client may send it before it is authenticated.
        deprecated: What to use instead, where it should no longer be sent; else None.
    """

    cls: type[Any]
    kind: MessageKind
    sender: Sender
    message_type: str
    category: str
    tag: str = ""
    public: bool = False
    deprecated: str | None = None

    @property
    def tags(self) -> Mapping[str, str]:
        """The payload's members that the message type fixes, in the order written."""
        if self.kind in (MessageKind.COMMAND, MessageKind.EVENT):
            return {"category": self.category, self.kind.value: self.tag}
        return {}

    @property
    def reply(self) -> type[Response] | None:
        """The response class that answers the command; None for another message.

        Raises:
            RegistryError: The command names no class that could answer it.
        """
        return None if self.kind is not MessageKind.COMMAND else reply_of(self.cls)

    @property
    def owner(self) -> str:
        """The class with its module, for errors and tables."""
        return f"{self.cls.__module__}.{self.cls.__qualname__}"


def reply_of(cls: type[Command[Any]]) -> type[Response]:
    """Return the response class that answers a command.

    ``R`` is followed through the bases: ``class Base(Command[R])``, ``class Start(Base[Started])``.

    Args:
        cls: The command's class.

    Raises:
        RegistryError: ``R`` is no response class, or none is named.
    """
    where = f"{cls.__module__}.{cls.__qualname__}"
    found = {unaliased(_without_default(named), where): None for named in _replies(cls, where)}
    match list(found):
        case [reply] if isinstance(reply, type) and issubclass(reply, Response):
            return reply
        case [] | [None | types.NoneType | typing.Never]:
            named = "nothing"
        case [one]:
            named = f"no response class: {name_of(one)}"
        case several:
            named = " and ".join(map(name_of, several))
    raise RegistryError(
        f"{where} names {named} as its response: derive it from Command[R] with the class "
        "of the response that answers it, such as Command[AckResponse]"
    )


def _replies(cls: type, where: str) -> Iterator[Any]:
    """Go through what stands for ``R`` in each ``Command[R]`` from which a class derives."""
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = get_origin(base) or base
        if not isinstance(origin, type) or not issubclass(origin, Command):
            continue
        arguments = [evaluate(part, cls, where) for part in get_args(base)]
        if origin is Command:
            yield from arguments
            continue
        given: dict[Any, Any] = dict(
            zip(getattr(origin, "__parameters__", ()), arguments, strict=False)
        )
        for reply in _replies(origin, where):
            yield given.get(reply, reply) if isinstance(reply, TypeVar) else reply


def _without_default(reply: Any) -> Any:
    """Return the default of a type parameter that was left out, if it has one."""
    has_default = isinstance(reply, TypeVar) and getattr(reply, "has_default", bool)()
    return getattr(reply, "__default__") if has_default else reply  # noqa: B009 - new in Python 3.13
