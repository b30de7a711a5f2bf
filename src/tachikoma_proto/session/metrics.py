"""Metrics hooks: what a server or a client counts, for whoever collects it.

Rules:

* A hook is called where the thing happens, in the event loop: it counts and returns.
* Sizes are bytes in UTF-8. No hook is given a frame, a message or a secret.
* A hook that raises is logged, and harms nothing else.
"""

import logging
from collections.abc import Callable
from typing import Final, ParamSpec

log = logging.getLogger(__name__)

P = ParamSpec("P")


class Metrics:
    """What is told to a collector such as prometheus_client or OpenTelemetry.

    Derive from it and write the methods that are of interest; the others do nothing::

        class Counted(Metrics):
            def error(self, code: str) -> None:
                ERRORS.labels(code=code).inc()
    """

    def session_opened(self) -> None:
        """A connection began to speak the protocol."""

    def session_closed(self) -> None:
        """It ended, for whatever reason."""

    def frame_received(self, size: int) -> None:
        """A frame came.

        Args:
            size: Its size in bytes.
        """

    def frame_sent(self, size: int) -> None:
        """A frame is about to be sent.

        Args:
            size: Its size in bytes.
        """

    def frame_queued(self, depth: int) -> None:
        """A frame was queued for sending.

        Args:
            depth: How many frames wait in that session's queue, this one included.
        """

    def error(self, code: str) -> None:
        """An error response was given, by a server, or received, by a client.

        Args:
            code: Its error code. A client hears it from its server: bound what it may be before
                it becomes a label.
        """


class _Guarded(Metrics):
    """Passes everything on, and lets nothing out that is raised."""

    def __init__(self, metrics: Metrics) -> None:
        for name in _HOOKS:
            setattr(self, name, _guarded(getattr(metrics, name)))


_HOOKS: Final = [name for name in vars(Metrics) if not name.startswith("_")]


def guarded(metrics: Metrics | None) -> Metrics | None:
    """Give metrics that never raise; None if there are none."""
    return None if metrics is None else _Guarded(metrics)


def _guarded(hook: Callable[P, None]) -> Callable[P, None]:
    def call(*arguments: P.args, **named: P.kwargs) -> None:
        try:
            hook(*arguments, **named)
        except Exception:
            log.exception("a metrics hook failed")

    return call
