"""The transcript: each message that passes over a transport, typed, one a line.

Rules:

* It is made at the client's end: a client's message is shown just before it is sent, a server's
  as soon as it has arrived.
* An error while a message is shown is kept in ``failure``, since the library takes whatever a
  transport raises for a lost connection.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from tachikoma_proto.cli.output import CATEGORY_STYLES, Message, brief, printable
from tachikoma_proto.cli.terminal import LineWriter
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.messages.responses import ErrorResponse
from tachikoma_proto.transports.transport import Transport

DIRECTIONS: Final = {Sender.CLIENT: "client → server", Sender.SERVER: "server → client"}

ARROWS: Final = {Sender.CLIENT: "→", Sender.SERVER: "←"}
"""What stands for the directions where there is little room."""


class Transcript:
    """Shows messages, and counts them.

    Args:
        codec: Reads the frames.
        writer: Writes the lines.

    Attributes:
        failure: Why a message could not be shown.
    """

    def __init__(self, codec: Codec, writer: LineWriter) -> None:
        self.failure: Exception | None = None
        self._codec = codec
        self._writer = writer
        self._began = time.monotonic()
        self._counts: Counter[str] = Counter()

    @property
    def commands(self) -> int:
        """How many messages the client sent."""
        return self._counts["command"]

    @property
    def replies(self) -> int:
        """How many of the server's messages answered one."""
        return self._counts["reply"]

    @property
    def errors(self) -> int:
        """How many of the answers were error responses."""
        return self._counts["error"]

    @property
    def events(self) -> int:
        """How many of the server's messages answered none."""
        return self._counts["event"]

    @property
    def seconds(self) -> float:
        """How many seconds have passed since the start."""
        return time.monotonic() - self._began

    def show(self, sender: Sender, frame: str | bytes) -> None:
        """Show a frame that passes."""
        try:
            self._write(sender, frame)
        except Exception as error:
            self.failure = error
            raise

    def _write(self, sender: Sender, frame: str | bytes) -> None:
        message: Message
        if sender is Sender.CLIENT:
            message, kind = self._codec.decode_command(frame), "command"
        else:
            message = received = self._codec.decode_server_message(frame)
            kind = "event" if received.reply_to is None else "reply"
        self._counts[kind] += 1
        self._counts["error"] += isinstance(message.payload, ErrorResponse)
        name = f"↳ {message.type}" if kind == "reply" else message.type
        is_narrow = self._writer.is_narrow
        direction = ARROWS[sender] if is_narrow else DIRECTIONS[sender]
        shown = "" if is_narrow else f"{printable(name):<23} "  # the class says as much
        style = _style(kind, message)
        self._writer.write(
            (f"{self.seconds:6.3f} ", "dim"),
            (f"{direction} ", "cyan" if sender is Sender.CLIENT else "dim"),
            (shown, style),
            (brief(message.payload, shortens_ids=True), "" if shown else style),
        )


def _style(kind: str, message: Message) -> str:
    if isinstance(message.payload, ErrorResponse):
        return "red"
    if kind == "event":
        return CATEGORY_STYLES.get(message.type, "")
    return "cyan" if kind == "command" else "green"


class TranscribedTransport:
    """A transport whose frames are shown.

    Args:
        transport: Carries the frames.
        transcript: Shows them.
    """

    def __init__(self, transport: Transport, transcript: Transcript) -> None:
        self._transport = transport
        self._transcript = transcript

    async def send(self, text: str, /) -> None:
        """Send a text frame."""
        self._transcript.show(Sender.CLIENT, text)
        await self._transport.send(text)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Go through the frames that arrive, until the connection ends."""
        async for frame in self._transport:
            self._transcript.show(Sender.SERVER, frame)
            yield frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        await self._transport.close(code, reason)
