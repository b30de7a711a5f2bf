"""``RedisBroker``: logs that several processes share through Redis."""

from collections.abc import Collection

from tachikoma_proto.brokers.broker import Broker, BrokerConnection, Deliver


class RedisBroker(Broker):
    """Passes events between server processes through Redis Streams: Redis 7.0 or newer, or Valkey.

    The logs begin anew when Redis was restarted or replaced by a replica, since either may lose the
    last writes without a sign. On a cluster, all of them are on one node; the URL may name any.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, with the user, the password, the
            database and options of redis-py's connections, such as ``ssl_ca_certs``.
        prefix: What all keys begin with, in braces. Servers with the same one share their events.
        max_records: How many records each log keeps, approximately.
        timeout: For how many seconds Redis may take to accept a connection or to answer.
        options: Further options of redis-py's connections, such as ``credential_provider``. Those
            of the URL take precedence.

    Raises:
        ImportError: redis-py is not installed.
        ValueError: The URL is none of Redis, or another argument is out of range.
        TypeError: redis-py knows no such option.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "tachikoma",
        max_records: int = 10_000,
        timeout: float = 5.0,
        **options: object,
    ) -> None:
        if not prefix or set("{}") & set(prefix):
            raise ValueError("prefix is some text without braces")
        if max_records < 1:
            raise ValueError(f"max_records is a positive number of records, not {max_records}")
        if not timeout > 0:
            raise ValueError(f"timeout is a positive number of seconds, not {timeout}")
        try:
            from tachikoma_proto.brokers import redis_streams
        except ImportError as error:
            text = "RedisBroker needs redis: pip install 'tachikoma-proto[redis]'"
            raise ImportError(text) from error
        self._streams = redis_streams
        self._options = redis_streams.ConnectionOptions.read(url, options, timeout)
        self._keys = redis_streams.Keys(prefix)
        self._max_records = max_records

    async def connect(self, topics: Collection[str], deliver: Deliver) -> BrokerConnection:
        """Connect a server process."""
        return await self._streams.open_connection(
            self._options, self._keys, self._max_records, deliver
        )
