"""The dispatcher: command class → handler, with middleware around it.

Rules:

* It routes by class and never looks at a type string: what the registry knows, it routes.
* Type checkers hold a handler to its command, to the response that ``Command[R]`` names, and to
  the context; ``dispatch`` returns ``R``.
* One command has one handler. A handler is judged by its own signature, not by that of what it
  wraps. Its errors are its own and pass through.
* Middleware runs around every handler; the first one registered is outermost.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar, overload

from attrs import frozen

from tachikoma_proto.declare.bases import Command, R
from tachikoma_proto.errors import FieldError, RegistryError, UnknownMessageError
from tachikoma_proto.messages.envelope import IncomingMessage
from tachikoma_proto.session.session import Session

Context = TypeVar("Context")
"""What every handler is given beside the command: a session, a database, …"""

_Context = TypeVar("_Context", contravariant=True)
_R_co = TypeVar("_R_co", covariant=True)
C_co = TypeVar("C_co", bound=Command[Any], covariant=True)
C = TypeVar("C", bound=Command[Any])

current: Final[ContextVar[tuple[IncomingMessage[Command[Any]] | None, Session]]] = ContextVar(
    "tachikoma_proto.current"
)
"""The message that is being handled, if one is, and its session."""


def current_message() -> IncomingMessage[Command[Any]]:
    """Return the message that is being handled: the envelope of the command.

    Raises:
        RuntimeError: No message is being handled.
    """
    message, _ = current.get((None, None))
    if message is None:
        raise RuntimeError("no message is being handled here")
    return message


def current_session() -> Session:
    """Return the session whose message, or whose handshake, is being handled.

    Raises:
        RuntimeError: There is none.
    """
    _, session = current.get((None, None))
    if session is None:
        raise RuntimeError("no session is being served here")
    return session


class CallNext(Protocol[_R_co]):
    """What middleware calls to go on: the next middleware, or the handler.

    ``call_next(command)`` goes on with another command of the same class, ``call_next()`` with the
    one that came.
    """

    def __call__(
        self, command: Command[Any] | None = None, context: Any = None, /
    ) -> Awaitable[_R_co]:
        """Go on.

        Args:
            command: The command to go on with; the present one if left out.
            context: The context to go on with; the present one if left out.

        Returns:
            The response, to be awaited.
        """
        ...


class Middleware(Protocol[_Context]):
    """Runs around every handler; a coroutine function."""

    def __call__(
        self, command: Command[R], context: _Context, call_next: CallNext[R], /
    ) -> Awaitable[R]:
        """Handle a command.

        Args:
            command: The command.
            context: What handlers are given beside it.
            call_next: Calls the next middleware, or the handler.

        Returns:
            The response, to be awaited.
        """
        ...


@frozen(eq=False)
class _Route:
    """How a command is handled.

    Attributes:
        handler: What was registered, for errors.
        call: Calls it, in a thread where that was asked for.
        is_coroutine: Whether the call certainly returns an awaitable.
    """

    handler: Callable[..., Any]
    call: Callable[[Any, Any], Any]
    is_coroutine: bool


class Registrar(Generic[C_co, Context]):
    """What ``Dispatcher.handler(SomeCommand)`` returns: the decorator of that command's handler."""

    def __init__(self, command: type[C_co], routes: dict[type, _Route], *, in_thread: bool) -> None:
        self._command = command
        self._routes = routes
        self._in_thread = in_thread

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
        """Register a handler, and return it unchanged.

        Raises:
            RegistryError: The command has a handler already, or this one cannot be called with a
                command and the context, or a coroutine function is to run in a thread.
        """
        _check_signature(
            handler, "handle a command: it is called with the command and the context", 2
        )
        if self._command in self._routes:
            raise RegistryError(
                f"{self._command.__qualname__} is handled twice: "
                f"by {_name(self._routes[self._command].handler)} and by {_name(handler)}"
            )
        is_coroutine = inspect.iscoroutinefunction(handler)
        if self._in_thread and is_coroutine:
            raise RegistryError(
                f"{_name(handler)} is a coroutine function, which runs in the event loop: "
                "a handler in a thread is a plain function"
            )
        call = _in_thread(handler) if self._in_thread else handler
        self._routes[self._command] = _Route(handler, call, is_coroutine or self._in_thread)
        return handler


class Dispatcher(Generic[Context]):
    """Routes commands to handlers.

    Example::

        dispatcher: Dispatcher[Session] = Dispatcher()

        @dispatcher.handler(StartMission)
        async def start(command: StartMission, session: Session) -> AckResponse:
            return AckResponse.ok()

        response = await dispatcher.dispatch(StartMission(mission_id=m), session)
    """

    def __init__(self) -> None:
        self._routes: dict[type, _Route] = {}
        self._middleware: list[Callable[..., Any]] = []

    @property
    def handlers(self) -> Mapping[type[Command[Any]], Callable[..., Any]]:
        """The handlers by command class."""
        return MappingProxyType({cls: route.handler for cls, route in self._routes.items()})

    def handler(self, command: type[C], *, in_thread: bool = False) -> "Registrar[C, Context]":
        """Register the handler of a command, as a decorator.

        Args:
            command: The command's class. The handler takes a command of it and the context, and
                returns the response that the command names, or an awaitable of that.
            in_thread: Whether the handler, a plain function, runs in a thread, so that it may
                block. What it does with a session has to go through
                ``loop.call_soon_threadsafe`` then.

        Raises:
            RegistryError: It is no command; from the decorator, if the command has a handler
                already, or what is decorated cannot be one.
        """
        given: object = command
        if not isinstance(given, type) or not issubclass(given, Command):
            raise RegistryError(
                f"a handler is registered for the class of a command, not for {given!r}"
            )
        return Registrar(command, self._routes, in_thread=in_thread)

    def middleware(self, function: Middleware[Context]) -> Middleware[Context]:
        """Register middleware, as a decorator: what runs around every handler.

        Args:
            function: A coroutine function of the command, the context, and ``call_next``, which
                calls what comes next. It is a ``Middleware``.

        Returns:
            The function, unchanged.

        Raises:
            RegistryError: It cannot be called with these.

        Example::

            @dispatcher.middleware
            async def timed(command: Command[R], session: Session, call_next: CallNext[R]) -> R:
                started = perf_counter()
                try:
                    return await call_next()
                finally:
                    log.info("%s took %.3f s", type(command).__name__, perf_counter() - started)
        """
        _check_signature(
            function, "be middleware: it is called with the command, the context and call_next", 3
        )
        self._middleware.append(function)
        return function

    async def dispatch(self, command: Command[R], context: Context) -> R:
        """Call a command's handler, and wait for its response.

        Args:
            command: The command.
            context: What the handler is given beside it.

        Returns:
            What the handler returned.

        Raises:
            UnknownMessageError: The command has no handler.
        """
        response = self.call(command, context)
        if inspect.isawaitable(response):
            response = await response
        return response

    def is_coroutine(self, command: type[Command[Any]]) -> bool:
        """Return whether handling a command will certainly have to be awaited.

        Args:
            command: The command's class. If it has no handler, nothing is awaited.
        """
        route = self._routes.get(command)
        return route is not None and (route.is_coroutine or bool(self._middleware))

    def call(self, command: Command[R], context: Context) -> R | Awaitable[R]:
        """Call a command's handler, and leave it to the caller to await the response.

        Args:
            command: The command.
            context: What the handler is given beside it.

        Returns:
            The response, where no middleware is registered and the handler is a plain function;
            otherwise an awaitable of it.

        Raises:
            UnknownMessageError: The command has no handler.
        """
        route = self._routes.get(type(command))
        if route is None:
            raise UnknownMessageError(
                errors=[FieldError("$.type", "the type of a command that this server handles")]
            )
        call = route.call
        for function in reversed(self._middleware):
            call = _around(function, call)
        response: R | Awaitable[R] = call(command, context)
        return response


def _around(
    middleware: Callable[..., Any], following: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], Any]:
    """Return the call of a middleware that goes on with another call."""

    def call(command: Any, context: Any) -> Any:
        async def call_next(other_command: Any = None, other_context: Any = None, /) -> Any:
            response = following(
                command if other_command is None else other_command,
                context if other_context is None else other_context,
            )
            return await response if inspect.isawaitable(response) else response

        return middleware(command, context, call_next)

    return call


def _in_thread(handler: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the call of a handler in a thread, with the context variables of its caller."""

    def call(command: Any, context: Any) -> Awaitable[Any]:
        return asyncio.to_thread(handler, command, context)

    return call


def _check_signature(function: Callable[..., Any], purpose: str, count: int) -> None:
    try:
        signature = inspect.signature(function, follow_wrapped=False)
    except ValueError:
        return  # some built-in functions do not say what they take
    except TypeError as error:
        raise RegistryError(f"{function!r} cannot {purpose} ({error})") from None
    try:
        signature.bind(*[None] * count)
    except TypeError as error:
        raise RegistryError(f"{function!r} cannot {purpose} ({error})") from None


def _name(function: Callable[..., Any]) -> str:
    module = getattr(function, "__module__", None)
    return f"{module}.{getattr(function, '__qualname__', repr(function))}"
