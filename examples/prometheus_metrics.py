"""A server over the connections of websockets, with metrics for Prometheus.

Run it, look at http://127.0.0.1:9765/metrics, and stop it with SIGTERM or Ctrl+C:

    TACHIKOMA_TOKEN=… python examples/prometheus_metrics.py --port 8765

The port of the metrics is in METRICS_PORT, 9765 unless it is given; 0 takes a free one.
"""

import asyncio
import logging
import os
import signal

from prometheus_client import Counter, Gauge, Histogram, start_http_server
from shared import CONFIG, MAX_FRAME, Options, make_server, read_options
from websockets import Origin
from websockets.asyncio.server import serve

import tachikoma_proto as tp

SESSIONS = Gauge("tachikoma_sessions", "Connections that stand")
RECEIVED = Counter("tachikoma_received_bytes", "Bytes of the frames that came")
SENT = Counter("tachikoma_sent_bytes", "Bytes of the frames that were sent")
DEPTH = Histogram(
    "tachikoma_queue_depth",
    "Frames that wait in a session's queue, whenever one is queued",
    buckets=(1, 2, 5, 10, 20, 50, CONFIG.max_pending),
)
ERRORS = Counter("tachikoma_errors", "Error responses", ["code"])


class PrometheusMetrics(tp.Metrics):
    """Counts for Prometheus.

    The codes of a server's errors are its own, and few: they may be a label. A client's come from
    its server, and may not be before they are bounded.
    """

    def session_opened(self) -> None:
        """Count a connection."""
        SESSIONS.inc()

    def session_closed(self) -> None:
        """Count it no longer."""
        SESSIONS.dec()

    def frame_received(self, size: int) -> None:
        """Count a frame's bytes."""
        RECEIVED.inc(size)

    def frame_sent(self, size: int) -> None:
        """Count a frame's bytes."""
        SENT.inc(size)

    def frame_queued(self, depth: int) -> None:
        """Note how long the queue is."""
        DEPTH.observe(depth)

    def error(self, code: str) -> None:
        """Count an error."""
        ERRORS.labels(code=code).inc()


async def run(server: tp.Server, options: Options) -> None:
    """Serve until a signal comes.

    Args:
        server: Serves the connections.
        options: Where, and for whom.
    """
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    frames = logging.getLogger("tachikoma.frames")
    frames.setLevel(logging.INFO)  # at DEBUG, frames are logged, and so tokens
    async with (
        serve(
            server.handle,
            sock=options.listen(),
            origins=[None, *map(Origin, options.origins)],
            max_size=MAX_FRAME,
            compression=None,
            ping_interval=None,  # the session has its own
            logger=frames,
        ),
        server,
    ):
        await stopped.wait()


def main() -> None:
    """Serve, and the metrics beside it."""
    options = read_options(__doc__)
    port = int(os.environ.get("METRICS_PORT", "9765"))
    metrics, _ = start_http_server(port, addr=options.host)
    print(f"http://{options.host}:{metrics.server_port}/metrics", flush=True)
    asyncio.run(run(make_server(options.token, PrometheusMetrics()), options))


if __name__ == "__main__":
    main()
