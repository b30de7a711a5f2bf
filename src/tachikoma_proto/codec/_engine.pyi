from collections.abc import Callable
from datetime import datetime
from typing import Any, final
from uuid import UUID

from tachikoma_proto.codec.engine.verdict import Verdict
from tachikoma_proto.declare.bases import Command
from tachikoma_proto.messages.envelope import IncomingMessage, OutgoingMessage

@final
class Engine:
    """Reads and writes the frames of a plan's messages."""

    def __new__(
        cls,
        plan: tuple[Any, ...],
        *,
        max_size: int = ...,
        forbid_unknown_fields: bool = ...,
        otherwise: tuple[Callable[..., Any], ...] = ...,
    ) -> Engine: ...
    def decode_command(self, frame: object, /) -> IncomingMessage[Command[Any]] | Verdict: ...
    def decode_server_message(self, frame: object, /) -> OutgoingMessage[Any] | Verdict: ...
    def read_object(self, frame: object, /) -> dict[str, Any] | Verdict: ...
    def encode(
        self,
        payload: object,
        *,
        reply_to: UUID | None = None,
        id: UUID | None = None,
        timestamp: datetime | None = None,
    ) -> str | Verdict: ...
    def encode_message(self, envelope: object, /) -> str | Verdict: ...
