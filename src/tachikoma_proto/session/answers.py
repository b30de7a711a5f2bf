"""What a server says whoever asks: the ping, and what a client is told of errors."""

import logging
from typing import Final

from tachikoma_proto.errors import CommandError, ProtocolError
from tachikoma_proto.messages.responses import ErrorResponse

log = logging.getLogger(__name__)

BARE_PING: Final = '{"type":"ping"}'
"""What a silent client is asked; it has neither id nor time."""

INTERNAL: Final = ErrorResponse(code="internal_error", message="internal error")
"""What a client is told of this side's mistakes."""


def refusal(error: ProtocolError | CommandError) -> ErrorResponse:
    """Give the answer that tells of an error.

    Args:
        error: The error. One that a handler raised may be made of anything: if nothing can be
            told of it, that is this side's mistake, and logged.
    """
    try:
        return ErrorResponse.from_error(error)
    except Exception:
        log.exception("an error cannot be told")
        return INTERNAL
