"""Metrics hooks: what a server or a client counts, for whoever collects it.

Rules:

* A hook is called where the thing happens, in the event loop: it counts and returns.
* Sizes are bytes in UTF-8. No hook is given a frame, a payload or a secret.
* A hook that raises is logged, and nothing else fails because of it.
"""

import logging
from collections.abc import Callable
from typing import Final, ParamSpec

log = logging.getLogger("tachikoma_proto")

P = ParamSpec("P")


class Metrics:
    """What a collector such as prometheus_client or OpenTelemetry is told.

    Derive from it and override the methods that matter; the others do nothing::

        class Counted(Metrics):
            def error(self, code: str) -> None:
                ERRORS.labels(code=code).inc()
    """

    def session_opened(self) -> None:
        """Count a connection that was opened."""

    def session_closed(self) -> None:
        """Count a connection that has ended, for whatever reason."""

    def close_code(self, code: int) -> None:
        """Count how a connection ended.

        Args:
            code: The close code: the one of whoever closed it first, or 1006 if the connection
                was lost. A peer may send any code: bound it before it becomes a label.
        """

    def frame_received(self, size: int) -> None:
        """Count a frame that was received.

        Args:
            size: Its size in bytes.
        """

    def frame_sent(self, size: int) -> None:
        """Count a frame that is about to be sent.

        Args:
            size: Its size in bytes.
        """

    def frame_queued(self, depth: int) -> None:
        """Observe the send queue when a frame is added to it.

        Args:
            depth: How many frames wait in that session's queue, this one included.
        """

    def command_handled(self, message_type: str, seconds: float) -> None:
        """Observe how long a command took, from its frame to its response.

        Args:
            message_type: The command's message type: one of the registry's.
            seconds: How long it took.
        """

    def authentication_failed(self) -> None:
        """Count a token, or a handshake, that was refused."""

    def slow_consumer_disconnected(self) -> None:
        """Count a session that was closed because it did not read."""

    def broker_connected(self, is_connected: bool) -> None:
        """Observe whether a server's broker can be reached.

        Args:
            is_connected: Whether it can.
        """

    def broker_lag(self, seconds: float) -> None:
        """Observe how long an event of this process took through the broker and back.

        Args:
            seconds: From ``publish`` until it was delivered here.
        """

    def broker_gap(self, topic: str) -> None:
        """Count a gap: events of a topic may be lost, and its subscribers have to start anew.

        Args:
            topic: The category's topic: one of the registry's.
        """

    def outbox_depth(self, depth: int) -> None:
        """Observe how many events wait to be stored by the broker.

        Args:
            depth: How many, after an event was published.
        """

    def records_dropped(self, count: int) -> None:
        """Count records that cannot be read, or that the broker does not take.

        Args:
            count: How many.
        """

    def error(self, code: str) -> None:
        """Count an error response that was sent, by a server, or received, by a client.

        Args:
            code: Its error code. A client receives it from its server: bound it before it becomes
                a label.
        """


class _Guarded(Metrics):
    """Passes every call on, and logs what a hook raises."""

    def __init__(self, metrics: Metrics) -> None:
        for name in _HOOKS:
            hook = getattr(metrics, name)
            if getattr(hook, "__func__", None) is not vars(Metrics)[name]:
                setattr(self, name, _guarded(hook))


_HOOKS: Final = [name for name in vars(Metrics) if not name.startswith("_")]


def guarded(metrics: Metrics | None) -> Metrics | None:
    """Return metrics that never raise; None if there are none."""
    return None if metrics is None else _Guarded(metrics)


def _guarded(hook: Callable[P, None]) -> Callable[P, None]:
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            hook(*args, **kwargs)
        except Exception:
            log.exception("a metrics hook failed")

    return call
