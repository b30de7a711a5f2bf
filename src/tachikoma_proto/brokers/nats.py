"""``NatsBroker``: logs that several processes share through NATS."""

import math
import re
import ssl
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from tachikoma_proto.brokers.broker import Broker, BrokerConnection, Deliver


class NatsBroker(Broker):
    """Passes events between processes through NATS, and keeps the last of them in JetStream.

    Each topic's log is a stream, ``tachikoma-missions`` with the subjects ``tachikoma.missions.*``.
    A stream that is missing is created. One that exists is taken as it is, with its own limits, or
    refused if it is not fit to be a log.

    Needs the extra ``nats``, nats-server 2.9 or newer, and processes that are all connected to the
    servers which keep the streams, not through leaf nodes.

    Args:
        servers: The URL of a server, or of several of a cluster: ``nats://localhost:4222``.
        user: The name to log in with, unless it is in the URL.
        password: The password to log in with, unless it is in the URL.
        token: The token to log in with.
        credentials: A file with a JWT and the seed of an NKey. Needs ``nats-py[nkeys]``.
        tls: The context for TLS, if the defaults for ``tls://`` are not enough.
        prefix: Names the streams and subjects: letters, digits and underscores.
        max_records: How many records a stream keeps that is created.
        storage: Where a stream that is created keeps them: in files, or in memory.
        replicas: How many servers of a cluster keep a stream that is created.
        duplicate_window: For how many seconds a stream that is created knows ids of messages.
        survives_restarts: Whether a lone server, not in a cluster, is trusted to lose nothing when
            it stops, whatever stops it. If not, whoever resumes after a restart is told that events
            may be missing. NATS writes files to disk every two minutes, if its ``sync_interval``
            does not say ``always``, so a machine that crashes takes the last events with it.
        timeout: After how many seconds without an answer a connection is taken to be lost.

    Raises:
        ImportError: nats-py is not installed.
        ValueError: An argument is not what it should be.
    """

    def __init__(
        self,
        servers: str | Sequence[str] = "nats://localhost:4222",
        *,
        user: str | None = None,
        password: str | None = None,
        token: str | None = None,
        credentials: str | Path | None = None,
        tls: ssl.SSLContext | None = None,
        prefix: str = "tachikoma",
        max_records: int = 100_000,
        storage: Literal["file", "memory"] = "file",
        replicas: int = 1,
        duplicate_window: float = 120.0,
        survives_restarts: bool = False,
        timeout: float = 5.0,
    ) -> None:
        urls = [servers] if isinstance(servers, str) else [*servers]
        if not urls:
            raise ValueError("servers holds no URL")
        if not re.fullmatch(r"[A-Za-z0-9_]{1,64}", prefix):
            raise ValueError("prefix consists of up to 64 letters, digits and underscores")
        if storage not in ("file", "memory"):
            raise ValueError(f"storage is 'file' or 'memory', not {storage!r}")
        for name, value, least in (
            ("max_records", max_records, 1),
            ("replicas", replicas, 1),
            ("duplicate_window", duplicate_window, 0.1),
            ("timeout", timeout, 0.1),
        ):
            if not least <= value < math.inf:
                raise ValueError(f"{name} is at least {least}, not {value}")
        try:
            from tachikoma_proto.brokers import nats_streams
        except ImportError as error:
            text = "NatsBroker needs nats-py: pip install 'tachikoma-proto[nats]'"
            raise ImportError(text) from error
        self._streams = nats_streams
        self._options = nats_streams.Options(
            servers=tuple(_checked(url) for url in urls),
            user=user,
            password=password,
            token=token,
            credentials=None if credentials is None else str(credentials),
            tls=tls,
            prefix=prefix,
            created={
                "retention": "limits",
                "discard": "old",
                "max_msgs": max_records,
                "storage": storage,
                "num_replicas": replicas,
                "duplicate_window": nats_streams.nanoseconds(duplicate_window),
            },
            survives_restarts=survives_restarts,
            timeout=timeout,
        )
        self._known: dict[str, nats_streams.Known] = {}

    async def connect(self, topics: Collection[str], deliver: Deliver) -> BrokerConnection:
        """Connect a server process, and create the streams that are missing."""
        return await self._streams.open_connection(self._options, self._known, topics, deliver)


def _checked(server: str) -> str:
    url = server if "://" in server else f"nats://{server}"
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("nats", "tls", "ws", "wss") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if not valid:  # without the URL in the text, since it may hold a password
        raise ValueError("servers holds something that is no URL such as nats://localhost:4222")
    return url
