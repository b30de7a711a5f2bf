"""Why a server cannot be talked to, in words for a person.

Rules:

* An error without a text is put into words: the name of its class says nothing to a person.
* No address is shown: what was asked for is said already.
* It is loaded when there is such an error, and knows ``ssl``.
"""

import os
import ssl
from urllib.parse import urlsplit

from websockets.exceptions import InvalidMessage

from tachikoma_proto.cli.brief import printable


def reason(error: Exception, url: str) -> str:
    """Put into words why a server cannot be talked to.

    Args:
        error: What opening the connection raised.
        url: The server's; if the server may be one of the other scheme, that is said, too.
    """
    scheme = urlsplit(url).scheme
    doubt = f"; is it a {scheme}:// server?" if _may_be_of_other(error, scheme) else ""
    return f"{_words(error)}{doubt}"


def _may_be_of_other(error: Exception, scheme: str) -> bool:
    if scheme == "ws":
        return isinstance(error, InvalidMessage)
    if isinstance(error, ssl.SSLCertVerificationError):  # there is TLS, so it is of this one
        return False
    return isinstance(error, ssl.SSLError | ConnectionResetError | ConnectionAbortedError)


def _words(error: Exception) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            why = getattr(error, "verify_message", "") or "it cannot be verified"
            return f"the server's certificate is not taken: {printable(why)}"
        case ssl.SSLError():  # its number is none of the system's
            what = getattr(error, "reason", "") or "it failed"  # such as WRONG_VERSION_NUMBER
            return f"no TLS: {printable(what).replace('_', ' ').lower()}"
        case OSError(errno=int(number)):
            # asyncio's own texts name addresses; names of hosts have errors of their own, below 0.
            return os.strerror(number) if number > 0 else printable(str(error.strerror))
        case _ if text := str(error):
            return printable(text)
        case _:
            return _words_for_nothing(error)


def _words_for_nothing(error: Exception) -> str:
    match error:
        case ConnectionResetError():
            return "the connection was reset"
        case ConnectionError() | EOFError():
            return "the connection ended before it stood"
        case TimeoutError():
            return "it took too long"
        case _:
            return f"it failed, and nothing more is known ({type(error).__qualname__})"
