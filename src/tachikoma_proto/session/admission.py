"""Admission: what a client's frame has to pass before its command counts.

Rules:

* The cheapest check comes first: rate, size, then decoding, then authentication.
* What is refused is answered with the id of its message wherever that can be read.
"""

from typing import Any

from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.bases import Command
from tachikoma_proto.errors import MessageTooLargeError, ProtocolError
from tachikoma_proto.messages.envelope import IncomingMessage
from tachikoma_proto.session.config import ServerConfig
from tachikoma_proto.wire.json_reader import Frame, recover_id_at_start


class TokenBucket:
    """Allows a burst, and then so many a second.

    Args:
        rate: How many a second on average; None for any number.
        burst: How many at once.
        now: The present time in seconds.
    """

    def __init__(self, rate: float | None, burst: int, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._filled_at = now

    def take(self, now: float) -> bool:
        """Take a token, and return whether there was one."""
        if self._rate is None:
            return True
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Admission:
    """Checks the frames of one client.

    Args:
        codec: Reads the frames.
        config: The limits.
        public: The commands that need no authentication.
        now: The present time in seconds, monotonic.

    Attributes:
        log_rate: How often a refusal is logged.
    """

    def __init__(
        self,
        codec: Codec,
        config: ServerConfig,
        public: frozenset[type[Command[Any]]],
        now: float,
    ) -> None:
        self._codec = codec
        self._max_size = config.max_message_size
        self._require_auth = config.require_auth
        self._public = public
        self._rate = TokenBucket(config.rate_limit, config.rate_burst, now)
        self.log_rate = TokenBucket(1.0, 10, now)

    def admit(
        self, frame: Frame, size: int, now: float, *, is_authenticated: bool
    ) -> IncomingMessage[Command[Any]]:
        """Return the message in a frame.

        Args:
            frame: The frame.
            size: How many bytes it has.
            now: The present time in seconds.
            is_authenticated: Whether the client has authenticated.

        Raises:
            ProtocolError: The frame is refused.
        """
        if not self._rate.take(now):
            raise ProtocolError(
                "too many messages", code="rate_limited", message_id=recover_id_at_start(frame)
            )
        if size > self._max_size:
            raise MessageTooLargeError(
                f"the frame is larger than {self._max_size} bytes",
                message_id=recover_id_at_start(frame),
            )
        message = self._codec.decode_command(frame)
        if (
            self._require_auth
            and not is_authenticated
            and type(message.payload) not in self._public
        ):
            raise ProtocolError(
                "Authentication required", code="auth_required", message_id=message.id
            )
        return message
