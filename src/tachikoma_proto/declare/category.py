"""Categories: the declarations from which a registry is made.

The built-in messages and those of extensions are declared with the same decorators, so that the
rest of the library can treat them alike.

Rules:

* A category is a name, its messages, and where its events go. Declaring one has no effect outside
  it: there is no global registry.
* The decorators return the class unchanged.
* A decorator refuses what is wrong with its own declaration. Clashes between categories and field
  types that do not fit are refused when a registry is built.
* A registry seals its categories. A later declaration would exist in some codecs and not in others,
  so it is refused.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, overload

from tachikoma_proto.declare.annotations import is_frozen_attrs, leaf_of, name_of, scalar_class
from tachikoma_proto.declare.bases import Command, Event, Response
from tachikoma_proto.declare.declarations import (
    EVENT_PREFIX,
    MessageDeclaration,
    MessageKind,
    Sender,
)
from tachikoma_proto.declare.field_types import Json
from tachikoma_proto.declare.shapes import ScalarDeclaration
from tachikoma_proto.errors import RegistryError
from tachikoma_proto.wire.formats import real_class
from tachikoma_proto.wire.json_values import find_json_faults
from tachikoma_proto.wire.paths import is_text

C = TypeVar("C", bound=Command[Any])
E = TypeVar("E", bound=Event)
A = TypeVar("A", bound=Response)
T = TypeVar("T")
W = TypeVar("W")


class Category:
    """A named group of messages, and where its events go.

    Args:
        name: The wire's name for it: the ``category`` of its commands and events, whose message
            type is ``event.<name>``. Letters, digits, ``_`` and ``-``.
        topic: The topic to which its events are published, without ``/``; none if it has none.
        key: The field of its events that names the topic below, ``topic/<key>``.

    Raises:
        RegistryError: A name is empty or has other characters, or a key has no topic.

    Example::

        deploy = Category("deploy", topic="deploys", key="deploy_id")

        @deploy.event("started")
        @frozen(kw_only=True)
        class DeployStarted(Event):
            deploy_id: UUID
    """

    def __init__(self, name: str, *, topic: str | None = None, key: str | None = None) -> None:
        self.name: Final = _checked(name, "category")
        self.topic: Final = None if topic is None else _checked(topic, "topic")
        self.key: Final = key
        if key is not None and topic is None:
            raise RegistryError(f"category {name!r} has a key but no topic for it to be below")
        self._declarations: list[MessageDeclaration] = []
        self._scalars: list[ScalarDeclaration] = []
        self._sealed = False

    def __repr__(self) -> str:
        return f"<Category {self.name!r}: {len(self._declarations)} messages>"

    @property
    def declarations(self) -> tuple[MessageDeclaration, ...]:
        """What has been declared, in order."""
        return tuple(self._declarations)

    @property
    def scalars(self) -> tuple[ScalarDeclaration, ...]:
        """The scalars of its own that it declared."""
        return tuple(self._scalars)

    def command(
        self,
        message_type: str,
        *,
        tag: str | None = None,
        public: bool = False,
        deprecated: str | None = None,
    ) -> Callable[[type[C]], type[C]]:
        """Declare a command.

        Args:
            message_type: The frame's ``type``.
            tag: The payload's ``command``; the message type if left out.
            public: Whether a client may send it before it is authenticated.
            deprecated: What to use instead, such as ``use deploy_begin``, where it should no longer
                be sent. It is still read and written, without a warning; tables and schemas say so.

        Returns:
            A decorator that returns the class unchanged.

        Raises:
            RegistryError: From the decorator, if the class is not a frozen attrs class derived
                from :class:`Command`, or the category is in use already.
        """

        def declare(cls: type[C]) -> type[C]:
            return self._declare(
                Command,
                MessageDeclaration(
                    cls,
                    MessageKind.COMMAND,
                    Sender.CLIENT,
                    message_type,
                    self.name,
                    message_type if tag is None else tag,
                    public,
                    deprecated,
                ),
            )

        return declare

    def event(self, tag: str, *, deprecated: str | None = None) -> Callable[[type[E]], type[E]]:
        """Declare an event, of message type ``event.<category>``.

        Args:
            tag: The payload's ``event``.
            deprecated: As for :meth:`command`.

        Returns:
            A decorator that returns the class unchanged.

        Raises:
            RegistryError: As for :meth:`command`.
        """

        def declare(cls: type[E]) -> type[E]:
            return self._declare(
                Event,
                MessageDeclaration(
                    cls,
                    MessageKind.EVENT,
                    Sender.SERVER,
                    EVENT_PREFIX + self.name,
                    self.name,
                    tag,
                    deprecated=deprecated,
                ),
            )

        return declare

    def response(
        self, message_type: str, *, deprecated: str | None = None
    ) -> Callable[[type[A]], type[A]]:
        """Declare a response.

        Args:
            message_type: The frame's ``type``.
            deprecated: As for :meth:`command`.

        Returns:
            A decorator that returns the class unchanged.

        Raises:
            RegistryError: As for :meth:`command`.
        """

        def declare(cls: type[A]) -> type[A]:
            return self._declare(
                Response,
                MessageDeclaration(
                    cls,
                    MessageKind.RESPONSE,
                    Sender.SERVER,
                    message_type,
                    self.name,
                    deprecated=deprecated,
                ),
            )

        return declare

    def keepalive(self, message_type: str, *, sender: Sender) -> Callable[[type[C]], type[C]]:
        """Declare that a side may say a message type bare, to show that it is there.

        The frame is ``{"type": …}`` and no more is needed; it is not answered with an error.
        A class that is a command too stays one for the other side.

        Args:
            message_type: The frame's ``type``.
            sender: The side that may say it.

        Returns:
            A decorator that returns the class unchanged.

        Raises:
            RegistryError: As for :meth:`command`.
        """

        def declare(cls: type[C]) -> type[C]:
            return self._declare(
                Command,
                MessageDeclaration(
                    cls, MessageKind.KEEPALIVE, sender, message_type, self.name, public=True
                ),
            )

        return declare

    @overload
    def scalar(self, cls: type[Any]) -> None: ...

    @overload
    def scalar(
        self,
        cls: type[T] | Callable[[Any], T],  # to a type checker a NewType is a function
        *,
        wire: type[W],
        read: Callable[[W], T],
        write: Callable[[T], W],
        expected: str,
        schema: Mapping[str, Json] | None = None,
    ) -> None: ...

    def scalar(
        self,
        cls: Any,
        *,
        wire: Any = None,
        read: Callable[[Any], Any] | None = None,
        write: Callable[[Any], Any] | None = None,
        expected: str = "",
        schema: Mapping[str, Json] | None = None,
    ) -> None:
        """Declare a type of one's own that stands in fields as one JSON value.

        For ``Decimal``, ``date`` and ``timedelta`` the class is enough: the library has strict
        declarations for them, as strings.

        Args:
            cls: The type: a class, a ``NewType``, or an alias such as ``set[str]``.
            wire: What stands for it on the wire, such as ``str`` or ``U32``. A value is checked to
                be one, as strictly as any field, before ``read`` sees it.
            read: Makes a value from it; raises ``ValueError``, ``TypeError``, ``ArithmeticError``,
                ``LookupError``, ``AssertionError`` or ``AttributeError`` for one that it refuses.
                Whatever else it raises refuses the value, too, and is logged as a mistake.
            write: The reverse.
            expected: What the type is, as a noun phrase, for errors: ``a semantic version``.
            schema: Keywords of JSON Schema that hold beside those of the wire's type, such as
                ``{"pattern": "^[0-9]+$", "examples": ["12"]}``.

        Raises:
            RegistryError: The type or the wire's does not fit, or the category is in use already.

        Example::

            deploy.scalar(Decimal)
            deploy.scalar(
                Version, wire=str, read=Version.parse, write=str, expected="a semantic version"
            )
        """
        cls = real_class(cls)
        name = name_of(cls)
        where = f"scalar {name} of category {self.name!r}"
        if self._sealed:
            raise _too_late(where)
        refusal = None if schema is None else _refusal_of_schema(schema)
        if refusal is not None:
            raise RegistryError(f"{where}: its schema is not {refusal}")
        if read is None and write is None and wire is None:
            from tachikoma_proto.declare.scalars import READY_MADE

            ready_made = next((scalar for scalar in READY_MADE if scalar.cls is cls), None)
            if ready_made is None:
                raise RegistryError(f"{where}: say how it is read and written: wire, read, write")
            self._scalars.append(ready_made)
            return
        if not callable(read) or not callable(write):
            raise RegistryError(f"{where}: read and write are functions, and both are needed")
        runtime_class = scalar_class(cls, where)
        leaf_of(wire, where)
        made = ScalarDeclaration(
            cls=cls,
            wire=wire,
            read=read,
            write=write,
            expected=expected or f"a value of {name}",
            runtime_class=runtime_class,
            schema=dict(schema or {}),
        )
        self._scalars.append(made)

    def seal(self) -> None:
        """Close the category: whatever is declared from now on is refused."""
        self._sealed = True

    def _declare(self, base: type, declaration: MessageDeclaration) -> type[Any]:
        cls, kind = declaration.cls, declaration.kind
        where = f"{kind.value} {declaration.message_type!r} of category {self.name!r}"
        if self._sealed:
            raise _too_late(where)
        given: object = cls
        if not isinstance(given, type) or not issubclass(given, base):
            raise RegistryError(f"{where}: {given!r} is not a class derived from {base.__name__}")
        if not is_frozen_attrs(cls):
            raise RegistryError(
                f"{where}: {cls.__module__}.{cls.__qualname__} is not a frozen attrs class; "
                "put @attrs.frozen(kw_only=True) between it and this decorator"
            )
        names = [declaration.message_type, *declaration.tags.values()]
        if not all(name and name.isprintable() and is_text(name) for name in names):
            raise RegistryError(f"{where}: a message type and a tag are printable, and not empty")
        advice: object = declaration.deprecated
        if advice is not None and (
            not isinstance(advice, str) or not advice or not is_text(advice)
        ):
            raise RegistryError(
                f'{where}: deprecated says what to use instead, such as "use deploy_begin"'
            )
        self._declarations.append(declaration)
        return cls


def _too_late(what: str) -> RegistryError:
    return RegistryError(
        f"{what} comes too late: the category is in use by a registry already; "
        "declare everything before the registry is built, or make a category of your own"
    )


def _refusal_of_schema(schema: object) -> str | None:
    """Return what a scalar's schema should be and is not, or None."""
    if not isinstance(schema, Mapping):
        return "a mapping of keywords"
    if next(find_json_faults(dict(schema), ()), None) is not None:
        return "JSON"
    if not _PLACED.isdisjoint(schema):
        return f"free of {', '.join(sorted(_PLACED))}: it is put into a larger schema"
    return None


_PLACED: Final = frozenset({"$schema", "$id", "$ref", "$defs", "$anchor", "$dynamicRef"})
"""Keywords that depend on where a schema stands."""


def _checked(name: str, what: str) -> str:
    if not name.isascii() or not name.replace("_", "").replace("-", "").isalnum():
        raise RegistryError(
            f"the {what} {name!r} is not a name: use letters, digits, '_' and '-' of ASCII"
        )
    return name
