"""The gate: which frames of a client are let in."""

from typing import TYPE_CHECKING, Any

from tachikoma_proto.declare.bases import Command
from tachikoma_proto.errors import MessageTooLargeError, ProtocolError
from tachikoma_proto.messages.envelope import IncomingMessage
from tachikoma_proto.session.rate import TokenBucket
from tachikoma_proto.wire.json_reader import Frame
from tachikoma_proto.wire.json_tokens import recover_id_at_start

if TYPE_CHECKING:
    from tachikoma_proto.session.hub import Hub


class Gate:
    """Looks at the frames of one client before anything is done for them.

    Args:
        hub: Says what each client is granted.
        now: The present time in seconds, monotonic.
    """

    def __init__(self, hub: "Hub", now: float) -> None:
        self._hub = hub
        self._rate = TokenBucket(hub.config.rate_limit, hub.config.rate_burst, now)

    def read(
        self, frame: Frame, size: int, now: float, *, is_authenticated: bool
    ) -> IncomingMessage[Command[Any]]:
        """Read a frame.

        Args:
            frame: The frame.
            size: How many bytes it has.
            now: The present time in seconds.
            is_authenticated: Whether the client has shown who it is.

        Raises:
            ProtocolError: It is not let in. Its id is named where that could be read.
        """
        config = self._hub.config
        if not self._rate.take(now):
            raise ProtocolError(
                "too many messages", code="rate_limited", message_id=recover_id_at_start(frame)
            )
        if size > config.max_message_size:
            raise MessageTooLargeError(
                f"the frame is larger than {config.max_message_size} bytes",
                message_id=recover_id_at_start(frame),
            )
        message = self._hub.codec.decode_command(frame)
        is_let_in = is_authenticated or not config.require_auth
        if not is_let_in and type(message.payload) not in self._hub.public:
            raise ProtocolError(
                "Authentication required", code="auth_required", message_id=message.id
            )
        return message
