"""``connect``: a client over the connections of ``websockets`` (the extra of that name)."""

import ipaddress
import logging
from typing import Any, Final
from urllib.parse import urlsplit

from tachikoma_proto.client.client import Client
from tachikoma_proto.client.keeper import Token
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.session.config import ClientConfig
from tachikoma_proto.session.metrics import Metrics
from tachikoma_proto.transports.transport import Transport

log = logging.getLogger(__name__)

_quiet: Final = logging.getLogger(f"{__name__}.transport")
_quiet.setLevel(logging.INFO)  # at DEBUG, websockets logs frames, and so tokens


def connect(
    url: str,
    *,
    token: Token | None = None,
    codec: Codec | None = None,
    config: ClientConfig | None = None,
    metrics: Metrics | None = None,
    **options: Any,
) -> Client:
    """Make a client that talks to a server's URL; it connects when its block is entered.

    Args:
        url: ``ws://…`` or ``wss://…``.
        token: Shows who the user is; a function is asked for one before each connection.
        codec: Reads and writes the frames; one for the built-in messages if left out.
        config: How the client behaves; the defaults if left out.
        metrics: Told what happens, if anybody is to be.
        options: For ``websockets.asyncio.client.connect``, such as ``ssl``, ``origin`` and
            ``additional_headers``.

    Returns:
        The client.

    Raises:
        ImportError: ``websockets`` is not installed.
        ValueError: The URL is none of a WebSocket.
        TypeError: The token is neither text nor a function.

    Example::

        async with connect("wss://tachikoma.example", token=token) as client:
            status = await client.request(GetMissionStatus(mission_id=m))
    """
    try:
        from websockets.asyncio.client import connect as open_websocket
    except ImportError as error:
        raise ImportError(
            "connect needs websockets: pip install 'tachikoma-proto[websockets]'"
        ) from error
    if urlsplit(url).scheme not in ("ws", "wss"):
        raise ValueError("a URL begins with ws:// or wss://")
    codec = Codec() if codec is None else codec
    config = config or ClientConfig()
    is_local = _is_local(url)
    if token is not None and not is_local and urlsplit(url).scheme == "ws":
        log.warning("the token is sent over a connection that is not encrypted: use wss://")
    chosen = {
        "max_size": codec.max_size,
        "open_timeout": config.open_timeout,
        "close_timeout": config.close_timeout / 4,  # the last of the times that the driver takes
        "ping_interval": None,  # the session's own keepalive is seen by the server, too
        "logger": _quiet,
        "proxy": None if is_local else True,  # a proxy would look for the server on its own machine
        **options,
    }

    async def open_transport() -> Transport:
        transport: Transport = await open_websocket(url, **chosen)
        return transport

    return Client(open_transport, token=token, codec=codec, config=config, metrics=metrics)


def _is_local(url: str) -> bool:
    """Tell whether a URL is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
