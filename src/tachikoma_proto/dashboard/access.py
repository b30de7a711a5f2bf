"""Who may use the page: only who was given its address.

Whatever runs on this machine can connect to a loopback port, and so can every web page that is open
in a browser here.

Rules:

* The address holds a secret in its fragment, which browsers send to no server. The page exchanges
  it for a key, once: an address that is seen later, such as in a history, is of no use.
* The key is kept for the tab and this very origin, and is sent in a header or as a sub-protocol. It
  is no cookie: cookies go to every port of a host, and so to the servers of others.
* Requests name this host and port. Otherwise an attacker's page, whose host's name resolves to
  this machine (DNS rebinding), would be taken for ours.
* A WebSocket is opened only by a page from here: browsers let any page open one to anywhere.
"""

import hmac
import secrets
from collections.abc import Iterable, Mapping
from typing import Final

SUBPROTOCOL: Final = "tachikoma.dashboard"
"""The sub-protocol of the page's WebSocket; the key is offered beside it."""

HOSTS: Final = ("127.0.0.1", "localhost")
"""The names of this machine by which the page may be asked for."""

_BEARER: Final = "Bearer "


class Access:
    """The secret in the address, and the keys that it was exchanged for.

    Attributes:
        secret: What the next address holds in its fragment.
    """

    def __init__(self) -> None:
        self.secret = secrets.token_urlsafe(32)
        self._keys: list[str] = []

    def exchange(self, authorization: str) -> str | None:
        """Exchange the secret for a key; the secret is another one afterwards.

        Args:
            authorization: The header ``Authorization``.

        Returns:
            The key; None if it is not the secret.
        """
        if not _is_one_of(_bearer(authorization), (self.secret,)):
            return None
        self.secret = secrets.token_urlsafe(32)
        self._keys.append(secrets.token_urlsafe(32))
        return self._keys[-1]

    def has_key(self, authorization: str) -> bool:
        """Return whether a header ``Authorization`` holds a key."""
        return _is_one_of(_bearer(authorization), self._keys)

    def offers_key(self, subprotocols: str) -> bool:
        """Return whether a header ``Sec-WebSocket-Protocol`` holds a key, and the page's name."""
        name, _, key = (part.strip() for part in subprotocols.partition(","))
        return name == SUBPROTOCOL and _is_one_of(key, self._keys)


def is_our_host(headers: Mapping[str, str], port: int) -> bool:
    """Return whether a request names this machine and port.

    Args:
        headers: Of the request, with names in lower case.
        port: The port.
    """
    return headers.get("host") in {f"{host}:{port}" for host in HOSTS}


def is_our_page(headers: Mapping[str, str], *, opens_socket: bool) -> bool:
    """Return whether a request comes from a page of this origin.

    Args:
        headers: Of the request, with names in lower case; its host is known to be ours.
        opens_socket: Whether it opens a WebSocket: browsers then always say where it comes from.
    """
    origin = headers.get("origin")
    if origin is None:
        return not opens_socket and headers.get("sec-fetch-site", "same-origin") == "same-origin"
    return origin == f"http://{headers.get('host')}"


def _bearer(authorization: str) -> str:
    return authorization.removeprefix(_BEARER) if authorization.startswith(_BEARER) else ""


def _is_one_of(given: str, valid: Iterable[str]) -> bool:
    encoded = given.encode(errors="surrogateescape")
    return any(hmac.compare_digest(encoded, one.encode()) for one in valid)
