"""Errors: what went wrong, where, and whose mistake it was.

The tree::

    ProtocolError               what a peer sent, or asked for, cannot be used
    ├── InvalidMessageError     a frame, or a field of it, is not what the contract says
    │   └── EncodeError         the same of a message of our own: nothing was written
    ├── UnknownMessageError     the message type is not one that this side reads
    └── MessageTooLargeError    the frame was over the limit and was not looked at
    RegistryError               the programmer's: a declaration that cannot stand
    └── PluginError             the programmer's: an installed extension that cannot be loaded
    RemoteError                 the peer's own: it answered a command with an error
    ConnectionLostError         nobody's: the connection ended before the answer came

Rules:

* Decoding raises :class:`ProtocolError` or a subclass, and nothing else, whatever the bytes.
* No text of an error holds a value that was received: it says where, and what was expected.
* Everything that a peer may be told is in ``code``, ``message`` and ``errors``.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar
from uuid import UUID

from attrs import frozen

MAX_REPORTED = 100
"""How many faults one error lists at most, so that a bad frame cannot ask for a huge answer."""


@frozen
class FieldError:
    """One fault of a message.

    Attributes:
        path: Where, as a JSON path from the frame's root, such as ``$.payload.total_specs``.
        expected: What should have stood there, as a noun phrase: ``an integer from 0 to 10``.
    """

    path: str
    expected: str

    def __str__(self) -> str:
        return f"{self.path}: expected {self.expected}"


class ProtocolError(Exception):
    """What a peer sent, or asked for, cannot be used; fit to be sent back as it is.

    Handlers may raise it themselves, with a code of the contract or of their own::

        raise ProtocolError("mission not found", code="not_found")

    Args:
        message: One sentence for a person; made from ``errors`` when left out.
        code: The wire's error code; the class's own when left out.
        errors: The faults, each with its place.
        message_id: The ``id`` of the frame at fault, where it could be read.
    """

    default_code: ClassVar[str] = "invalid_message"

    def __init__(
        self,
        message: str = "",
        *,
        code: str | None = None,
        errors: Iterable[FieldError] = (),
        message_id: UUID | None = None,
    ) -> None:
        self.errors: tuple[FieldError, ...] = tuple(errors)
        self.message: str = message or summary(self.errors) or self.default_code
        self.code: str = code or self.default_code
        self.message_id: UUID | None = message_id
        super().__init__(self.message)


class InvalidMessageError(ProtocolError):
    """A frame, or a field of it, is not what the contract says (code ``invalid_message``)."""


class EncodeError(InvalidMessageError):
    """A message of our own cannot be written for a peer to read; nothing was written.

    It is this side's mistake, so its code is ``internal_error``: a server that sends it back
    does not blame the client.
    """

    default_code = "internal_error"


class UnknownMessageError(ProtocolError):
    """The message type is not one that this side reads or handles (code ``unknown_message``)."""

    default_code = "unknown_message"


class MessageTooLargeError(ProtocolError):
    """The frame is over ``max_size`` and was not looked at (code ``message_too_large``)."""

    default_code = "message_too_large"


class RegistryError(Exception):
    """A category or one of its messages is declared in a way that cannot stand."""


class PluginError(RegistryError):
    """An installed extension cannot be loaded."""


class RemoteError(Exception):
    """The server answered a command with an error response.

    It is no :class:`ProtocolError`: a server that asks another one does not pass its errors on
    as if they were its own client's.

    Args:
        code: The wire's error code.
        message: One sentence for a person, in the server's words.
        details: What else the server says, as JSON.
    """

    def __init__(self, code: str, message: str, details: Any = None) -> None:
        self.code: str = code
        self.message: str = message
        self.details: Any = details
        super().__init__(f"{code}: {message}")


class ConnectionLostError(ConnectionError):
    """The connection ended before the answer came: the command may have been carried out or not.

    It is not sent again by itself.
    """


def summary(errors: Sequence[FieldError], shown: int = 3) -> str:
    """Put faults into one line: the first few in full, the others counted.

    Args:
        errors: The faults, in the order in which they were found.
        shown: How many are written out.

    Returns:
        The line; empty if there is no fault.
    """
    parts = [str(error) for error in errors[:shown]]
    if len(errors) > shown:
        parts.append(f"and {len(errors) - shown} more")
    return "; ".join(parts)
