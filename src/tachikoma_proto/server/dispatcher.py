"""The dispatcher: command class → handler.

Rules:

* It routes by class and never looks at a type string: what the registry knows, it routes.
* Type checkers hold a handler to its command, to the reply that ``Command[R]`` names, and to
  the context; ``dispatch`` gives back ``R``.
* One command has one handler. Errors of a handler are its own and pass through.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar, overload

from tachikoma_proto.declare.bases import Command, R
from tachikoma_proto.errors import FieldError, RegistryError, UnknownMessageError

Context = TypeVar("Context")
"""What every handler is given beside the command: a connection, a session, a database."""

C_co = TypeVar("C_co", bound=Command[Any], covariant=True)
C = TypeVar("C", bound=Command[Any])


class Registrar(Generic[C_co, Context]):
    """What ``Dispatcher.handler(SomeCommand)`` gives: the decorator for that command's handler."""

    def __init__(
        self,
        command: type[C_co],
        handlers: dict[type, Callable[..., Any]],
        coroutines: set[type],
    ) -> None:
        self._command = command
        self._handlers = handlers
        self._coroutines = coroutines

    @overload
    def __call__(
        self: "Registrar[Command[R], Context]",
        handler: Callable[[C_co, Context], Coroutine[Any, Any, R]],
    ) -> Callable[[C_co, Context], Coroutine[Any, Any, R]]: ...

    @overload
    def __call__(
        self: "Registrar[Command[R], Context]",
        handler: Callable[[C_co, Context], Awaitable[R]],
    ) -> Callable[[C_co, Context], Awaitable[R]]: ...

    @overload
    def __call__(
        self: "Registrar[Command[R], Context]", handler: Callable[[C_co, Context], R]
    ) -> Callable[[C_co, Context], R]: ...

    def __call__(self, handler: Callable[[Any, Context], Any]) -> Callable[[Any, Context], Any]:
        """Register a handler, and hand it back as it came.

        Raises:
            RegistryError: The command has a handler already, or this cannot be called with a
                command and the context.
        """
        _refuse_what_takes_no_command(handler)
        if self._command in self._handlers:
            raise RegistryError(
                f"{self._command.__qualname__} is handled twice: "
                f"by {_name(self._handlers[self._command])} and by {_name(handler)}"
            )
        self._handlers[self._command] = handler
        if inspect.iscoroutinefunction(handler):
            self._coroutines.add(self._command)
        return handler


class Dispatcher(Generic[Context]):
    """Routes commands to handlers.

    Example::

        dispatcher: Dispatcher[Connection] = Dispatcher()

        @dispatcher.handler(StartMission)
        async def start(command: StartMission, connection: Connection) -> AckResponse:
            return AckResponse.ok()

        reply = await dispatcher.dispatch(StartMission(mission_id=m), connection)
    """

    def __init__(self) -> None:
        self._handlers: dict[type, Callable[..., Any]] = {}
        self._coroutines: set[type] = set()

    @property
    def handlers(self) -> Mapping[type[Command[Any]], Callable[..., Any]]:
        """The handlers by command class; a view."""
        return MappingProxyType(self._handlers)

    def handler(self, command: type[C]) -> "Registrar[C, Context]":
        """Register the handler of a command, as a decorator.

        Args:
            command: The command's class. The handler takes a command of it and the context, and
                returns the response that the command names, or an awaitable of that.

        Raises:
            RegistryError: It is no command; from the decorator, if the command has a handler
                already, or what is decorated cannot be one.
        """
        given: object = command
        if not isinstance(given, type) or not issubclass(given, Command):
            raise RegistryError(
                f"a handler is registered for the class of a command, not for {given!r}"
            )
        return Registrar(command, self._handlers, self._coroutines)

    async def dispatch(self, command: Command[R], context: Context) -> R:
        """Give a command to its handler.

        Args:
            command: The command.
            context: What the handler is given beside it.

        Returns:
            What the handler returned.

        Raises:
            UnknownMessageError: The command has no handler.
        """
        reply = self.call(command, context)
        if inspect.isawaitable(reply):
            reply = await reply
        return reply

    def is_coroutine(self, command: type[Command[Any]]) -> bool:
        """Tell whether the handler of a command is a coroutine function, so that it will wait.

        Args:
            command: The command's class. If it has no handler, nothing will wait.
        """
        return command in self._coroutines

    def call(self, command: Command[R], context: Context) -> R | Awaitable[R]:
        """Call a command's handler, and leave it to the caller to wait for it.

        Both ``dispatch`` and ``Server`` go through here: override it to do something around every
        command.

        Args:
            command: The command.
            context: What the handler is given beside it.

        Returns:
            What the handler returned, which is the reply of a plain function or an awaitable of it.

        Raises:
            UnknownMessageError: The command has no handler.
        """
        handler = self._handlers.get(type(command))
        if handler is None:
            raise UnknownMessageError(
                errors=[FieldError("$.type", "the type of a command that this server handles")]
            )
        reply: R | Awaitable[R] = handler(command, context)
        return reply


def _refuse_what_takes_no_command(handler: Callable[..., Any]) -> None:
    try:
        inspect.signature(handler).bind(None, None)
    except ValueError:
        return  # some built-in functions do not say what they take
    except TypeError as error:
        raise RegistryError(
            f"{handler!r} cannot handle a command: it is called with the command and the context "
            f"({error})"
        ) from None


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{getattr(function, '__qualname__', repr(function))}"
