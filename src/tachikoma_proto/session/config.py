"""The configuration of servers and clients: the limits of a connection; times are in seconds."""

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
    """The limits of a server's connections.

    Attributes:
        max_message_size: How many bytes a frame may have; a larger one is answered with
            ``message_too_large``. The transport should refuse unread what is much larger.
        ping_interval: After how many seconds of silence the client is pinged; None never does.
        pong_timeout: How many seconds it then has to send something before the connection is
            aborted.
        auth_timeout: How many seconds a client has to authenticate, and the check of a token may
            take.
        require_auth: Whether clients have to authenticate.
        max_auth_attempts: After how many refused tokens the connection is closed.
        max_pending: How many events may wait to be sent for longer than ``pending_grace``; a
            client for which more do is disconnected, since it does not read. While as many
            responses wait, no further command is read.
        pending_grace: How many seconds a client has to read what waits beyond ``max_pending``.
        max_pending_bytes: How many bytes may wait to be sent; a client for which more do is
            disconnected at once.
        max_subscriptions: How many topics a client may subscribe to.
        rate_limit: How many frames a second a client may send on average; None for any number.
            What is beyond is answered with ``rate_limited``.
        rate_burst: How many frames it may send at once.
        max_running: How many commands of one connection run at once; further ones wait.
        handler_timeout: After how many seconds a handler is cancelled and its command answered
            with ``internal_error``; None sets no limit. Handlers in threads run on.
        cancel_on_disconnect: Whether the handlers of a client that has disconnected are cancelled.
        close_timeout: How many seconds the closing of a connection may take, the commands that
            still run included.
        max_connections: How many connections there may be at once; further ones are closed with
            1013. None sets no limit.
        history_events: How many events of each topic are kept, for clients that resume.
        history_bytes: How many bytes their frames may have in all, for each topic.
        history_age: For how many seconds they are kept.
        replay_events: How many events a client that resumes a subscription may be sent again. Where
            there are more, the subscription is not recovered; and while as many wait to be sent,
            no further command is read.
        replay_bytes: How many bytes these may have in all.
        catch_up_timeout: How many seconds a subscription waits that resumes from a position which
            another process has told, and which this one has yet to see.
        position_interval: After how many seconds a client that asked for positions is told one
            without an event, if the log has moved on.
        gap_spread: Over how many seconds connections are closed with 1012 when events may have
            been lost, so that their clients do not all come back at once.
        max_outbox: How many events may wait until the broker has stored them; ``publish`` raises
            ``BrokerError`` for further ones.
        max_outbox_bytes: How many bytes they may have.

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
    pending_grace: float = field(default=2.0, validator=_seconds)
    max_pending_bytes: int = field(default=16 * 1024 * 1024, validator=_count)
    max_subscriptions: int = field(default=100, validator=_count)
    rate_limit: float | None = field(default=1000.0, validator=_optional_seconds)
    rate_burst: int = field(default=2000, validator=_count)
    max_running: int = field(default=100, validator=_count)
    handler_timeout: float | None = field(default=None, validator=_optional_seconds)
    cancel_on_disconnect: bool = field(default=False, validator=_yes_or_no)
    close_timeout: float = field(default=5.0, validator=_seconds)
    max_connections: int | None = field(default=None, validator=_optional_count)
    history_events: int = field(default=10_000, validator=_count)
    history_bytes: int = field(default=16 * 1024 * 1024, validator=_count)
    history_age: float = field(default=300.0, validator=_seconds)
    replay_events: int = field(default=10_000, validator=_count)
    replay_bytes: int = field(default=16 * 1024 * 1024, validator=_count)
    catch_up_timeout: float = field(default=2.0, validator=_seconds)
    position_interval: float = field(default=30.0, validator=_seconds)
    gap_spread: float = field(default=5.0, validator=_seconds)
    max_outbox: int = field(default=10_000, validator=_count)
    max_outbox_bytes: int = field(default=16 * 1024 * 1024, validator=_count)


@frozen(kw_only=True)
class ClientConfig:
    """How a client behaves.

    Attributes:
        open_timeout: How many seconds opening a connection may take, authentication included.
            The server then has as long for each further step, while it subscribes again.
        request_timeout: How many seconds an answer may take, unless the request says otherwise.
        ping_interval: After how many seconds of silence the server is pinged; None never does.
        pong_timeout: How many seconds it then has to send something before the connection is
            aborted.
        max_events: How many events may wait in each stream. What comes then is left out, and
            ``EventsMissed`` says so.
        reconnect: Whether a lost connection is opened again.
        retry_first: Whether the first connection is retried as a lost one is, unless the server
            refuses the token.
        backoff_base: The delay before the first attempt, in seconds. Each further one is twice as
            long; a random part of up to a half is taken off each.
        backoff_max: The longest delay.
        max_attempts: How often in a row it is tried; None sets no limit.
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
    retry_first: bool = field(default=False, validator=_yes_or_no)
    backoff_base: float = field(default=0.5, validator=_seconds)
    backoff_max: float = field(default=30.0, validator=_seconds)
    max_attempts: int | None = field(default=None, validator=_optional_count)
    close_timeout: float = field(default=5.0, validator=_seconds)
