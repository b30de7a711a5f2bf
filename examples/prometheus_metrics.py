"""A server with metrics for Prometheus.

Run it, look at http://127.0.0.1:9765/metrics, and stop it with SIGTERM or Ctrl+C:

    TACHIKOMA_TOKEN=… python examples/prometheus_metrics.py --port 8765

The port of the metrics is in METRICS_PORT, 9765 unless it is given; 0 takes a free one.
"""

import os

from prometheus_client import Counter, Gauge, Histogram, start_http_server
from shared import CONFIG, MAX_FRAME, make_server, read_options

import tachikoma_proto as tp

SESSIONS = Gauge("tachikoma_sessions", "Open connections")
RECEIVED = Counter("tachikoma_received_bytes", "Bytes of the frames that were received")
SENT = Counter("tachikoma_sent_bytes", "Bytes of the frames that were sent")
LATENCY = Histogram("tachikoma_command_seconds", "Time from a command to its response", ["type"])
SLOW = Counter("tachikoma_slow_consumers", "Clients disconnected since they did not read")
REFUSED = Counter("tachikoma_refused_tokens", "Tokens that were refused")
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

    def command_handled(self, message_type: str, seconds: float) -> None:
        """Note how long a command took."""
        LATENCY.labels(type=message_type).observe(seconds)

    def authentication_failed(self) -> None:
        """Count a refused token."""
        REFUSED.inc()

    def slow_consumer_disconnected(self) -> None:
        """Count a client that did not read."""
        SLOW.inc()

    def error(self, code: str) -> None:
        """Count an error."""
        ERRORS.labels(code=code).inc()


def main() -> None:
    """Serve, and the metrics beside it."""
    options = read_options(__doc__)
    port = int(os.environ.get("METRICS_PORT", "9765"))
    metrics, _ = start_http_server(port, addr=options.host)
    print(f"http://{options.host}:{metrics.server_port}/metrics", flush=True)
    server = make_server(options.token, PrometheusMetrics())
    tp.run(server, sock=options.listen(), origins=options.origins, max_size=MAX_FRAME)


if __name__ == "__main__":
    main()
