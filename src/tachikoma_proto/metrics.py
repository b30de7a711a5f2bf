"""Metrics hooks: what a server or a client counts, for whoever collects it.

Rules:

* A hook is called where the thing happens, in the event loop: it counts and returns.
* Sizes are bytes in UTF-8. No hook is given a frame, a message or a secret.
"""

from typing import Final


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
        """A frame was handed to the transport.

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


NO_METRICS: Final = Metrics()
"""What is used where nobody asks for metrics."""
