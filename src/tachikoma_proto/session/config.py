"""The limits of a connection, on either side; times are in seconds."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from attrs import Attribute, field, frozen, validators

_Check: TypeAlias = Callable[[Any, Any, Any], Any]


def _count(_: object, field: "Attribute[Any]", value: object) -> None:
    if type(value) is not int or value < 1:
        raise ValueError(f"{field.name} is a whole number above zero, not {value!r}")


def _seconds(_: object, field: "Attribute[Any]", value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError(f"{field.name} is a number above zero, not {value!r}")


def _yes_or_no(_: object, field: "Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{field.name} is True or False, not {value!r}")


_optional_count: Final[_Check] = validators.optional(_count)
_optional_seconds: Final[_Check] = validators.optional(_seconds)


@frozen(kw_only=True)
class ServerConfig:
    """What a server grants each connection.

    Attributes:
        max_message_size: How many bytes a frame may have; what is larger is answered with
            ``message_too_large``. The transport should refuse what is much larger unread.
        ping_interval: After how many seconds of silence the client is pinged; None never does.
        pong_timeout: How many seconds it then has to say anything before it is given up.
        auth_timeout: How many seconds a client has to authenticate.
        require_auth: Whether it has to.
        max_auth_attempts: After how many refused tokens a client is sent away.
        max_pending: How many events may wait to be sent; one more cuts the client off, since it
            does not read. While as many answers wait, nothing more is read of it.
        max_subscriptions: How many topics a client may subscribe to.
        rate_limit: How many frames a second a client may send on average; None for any number.
            What is beyond is answered with ``rate_limited``.
        rate_burst: How many frames it may send at once.
        max_running: How many commands of one connection are carried out at once; the next ones
            wait to be read.
        close_timeout: How many seconds the closing of a connection may take.

    Raises:
        ValueError: A limit is not a number above zero, or a choice neither True nor False.
    """

    max_message_size: int = field(default=64 * 1024, validator=_count)
    ping_interval: float | None = field(default=30.0, validator=_optional_seconds)
    pong_timeout: float = field(default=10.0, validator=_seconds)
    auth_timeout: float = field(default=5.0, validator=_seconds)
    require_auth: bool = field(default=True, validator=_yes_or_no)
    max_auth_attempts: int = field(default=5, validator=_count)
    max_pending: int = field(default=100, validator=_count)
    max_subscriptions: int = field(default=100, validator=_count)
    rate_limit: float | None = field(default=1000.0, validator=_optional_seconds)
    rate_burst: int = field(default=2000, validator=_count)
    max_running: int = field(default=100, validator=_count)
    close_timeout: float = field(default=5.0, validator=_seconds)


@frozen(kw_only=True)
class ClientConfig:
    """How a client behaves.

    Attributes:
        open_timeout: How many seconds opening a connection may take, authentication and
            subscriptions included.
        request_timeout: How many seconds an answer may take, unless the request says otherwise.
        ping_interval: After how many seconds of silence the server is pinged; None never does.
        pong_timeout: How many seconds it then has to say anything before the connection is
            given up.
        max_events: How many events may wait to be taken from ``events()``. What comes then is
            left out, and ``EventsMissed`` says so.
        reconnect: Whether a lost connection is opened again.
        backoff_base: The first delay before that, in seconds. Each further one is twice as long;
            a random part of up to a half is taken off each.
        backoff_max: The longest delay.
        max_attempts: How often in a row it is tried; None never gives up.
        close_timeout: How many seconds the closing of a connection may take.

    Raises:
        ValueError: A limit is not a number above zero, or a choice neither True nor False.
    """

    open_timeout: float = field(default=10.0, validator=_seconds)
    request_timeout: float = field(default=30.0, validator=_seconds)
    ping_interval: float | None = field(default=30.0, validator=_optional_seconds)
    pong_timeout: float = field(default=10.0, validator=_seconds)
    max_events: int = field(default=10_000, validator=_count)
    reconnect: bool = field(default=True, validator=_yes_or_no)
    backoff_base: float = field(default=0.5, validator=_seconds)
    backoff_max: float = field(default=30.0, validator=_seconds)
    max_attempts: int | None = field(default=None, validator=_optional_count)
    close_timeout: float = field(default=5.0, validator=_seconds)
