"""Errors: what went wrong, where, and on which side.

The tree::

    TachikomaError
    ├── ProtocolError               the peer broke the contract
    │   ├── InvalidMessageError     a frame, or a field of it, is not what the contract says
    │   ├── UnknownMessageError     the message type is not one that this side reads
    │   └── MessageTooLargeError    the frame is over the size limit and was not parsed
    ├── CommandError                a handler refuses a command
    ├── RemoteError                 the server answered a request with an error
    ├── EncodeError                 a message of our own cannot be written
    ├── ConnectionLostError         the connection ended before the response came
    ├── BrokerError                 events cannot be passed on to other processes
    ├── RegistryError               a declaration is wrong
    └── PluginError                 an installed extension is broken

Rules:

* Decoding raises :class:`ProtocolError` or a subclass, and nothing else, whatever the bytes.
* No text of ours holds a received value: it says where, and what was expected.
* Everything that a peer may be told is in ``code``, ``message`` and ``errors``.
* Local and remote errors are siblings: a server that calls another server does not pass on the
  other's errors as if they were its own client's.
* Every error survives pickle, copy and deepcopy.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final
from uuid import UUID

from attrs import frozen

MAX_REPORTED: Final = 100
"""How many faults one error lists at most, so that a bad frame cannot ask for a huge response."""


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


class TachikomaError(Exception):
    """Base of every error that the library raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        # The default calls the class with ``args``, which hold the text and not the arguments.
        state = self.__getstate__()
        if isinstance(state, tuple):  # beside the dict those of a class with ``__slots__``
            state = {**(state[0] or {}), **state[1]}
        return _restore, (type(self), self.args), state


def _restore(cls: type[TachikomaError], args: tuple[Any, ...]) -> TachikomaError:
    error = cls.__new__(cls, *args)
    # Not the class's own constructor, which may take something else; but a ConnectionLostError has
    # an errno.
    base: Any = OSError if isinstance(error, OSError) else Exception
    base.__init__(error, *args)
    return error


class ProtocolError(TachikomaError):
    """The peer broke the contract; fit to be sent back with ``ErrorResponse.from_error``.

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


class UnknownMessageError(ProtocolError):
    """The message type is not one that this side reads or handles (code ``unknown_message``)."""

    default_code = "unknown_message"


class MessageTooLargeError(ProtocolError):
    """The frame is over ``max_size`` and was not parsed (code ``message_too_large``)."""

    default_code = "message_too_large"


class CommandError(TachikomaError):
    """A handler refuses a command; the client gets an ``ErrorResponse`` with these three.

    Args:
        code: The wire's error code: one of the contract's, or one of the server's own.
        message: One sentence for a person.
        details: Any JSON.

    Example::

        raise CommandError("not_found", "mission not found", details={"id": str(mission_id)})
    """

    def __init__(self, code: str, message: str, details: Any = None) -> None:
        self.code: str = code
        self.message: str = message
        self.details: Any = details
        super().__init__(f"{code}: {message}")


class RemoteError(TachikomaError):
    """The server answered a request with an error response.

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


class EncodeError(TachikomaError):
    """A message of our own cannot be written: a peer could not read it.

    Args:
        message: One sentence for a person; made from ``errors`` when left out.
        errors: The faults, each with its place.
    """

    def __init__(self, message: str = "", *, errors: Iterable[FieldError] = ()) -> None:
        self.errors: tuple[FieldError, ...] = tuple(errors)
        self.message: str = message or summary(self.errors) or "the message cannot be written"
        super().__init__(self.message)


class ConnectionLostError(TachikomaError, ConnectionError):
    """The connection ended before the response came; the command may have been carried out.

    The command is not sent again.
    """


class BrokerError(TachikomaError):
    """Events cannot be passed on to the other processes of a server."""


class RegistryError(TachikomaError):
    """A category or one of its messages is declared wrongly; the text says what to write."""


class PluginError(TachikomaError):
    """An installed extension is broken; the text names its distribution."""


def summary(errors: Sequence[FieldError], shown: int = 3) -> str:
    """Put faults into one line: the first few in full, the others counted.

    Args:
        errors: The faults, in the order in which they were found.
        shown: How many are written out.

    Returns:
        The line; empty if there is no fault.
    """
    if len(errors) == 1:  # as mostly
        return str(errors[0])
    parts = [str(error) for error in errors[:shown]]
    if len(errors) > shown:
        parts.append(f"and {len(errors) - shown} more")
    return "; ".join(parts)
