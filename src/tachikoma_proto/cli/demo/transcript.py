"""The transcript: each message that passes over a transport, typed, one a line.

Rules:

* It listens at the client's end: a client's message is shown just before it is sent, a server's
  as soon as it has come.
* A failure to show a message is kept in ``failure``: the library takes whatever a transport
  raises for a lost connection.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Final

from tachikoma_proto.cli.brief import brief, printable
from tachikoma_proto.cli.capture import Message
from tachikoma_proto.cli.terminal import (
    CYAN,
    DIM,
    GREEN,
    MAGENTA,
    PLAIN,
    RED,
    YELLOW,
    Paper,
)
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.declare.declarations import Sender
from tachikoma_proto.messages.responses import ErrorResponse
from tachikoma_proto.transports.transport import Transport

DIRECTIONS: Final = {Sender.CLIENT: "client → server", Sender.SERVER: "server → client"}

_CATEGORY_COLOURS: Final = {"event.mission": YELLOW, "event.forge": MAGENTA}


class Transcript:
    """Shows messages, and counts them.

    Args:
        codec: Reads the frames.
        paper: What the lines are laid out for.

    Attributes:
        failure: Why a message could not be shown.
    """

    def __init__(self, codec: Codec, paper: Paper) -> None:
        self.failure: Exception | None = None
        self._codec = codec
        self._paper = paper
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
        """How long it has been going on."""
        return time.monotonic() - self._began

    def hear(self, sender: Sender, frame: str | bytes) -> None:
        """Show a frame that passes."""
        try:
            self._show(sender, frame)
        except Exception as error:
            self.failure = error
            raise

    def _show(self, sender: Sender, frame: str | bytes) -> None:
        message: Message
        if sender is Sender.CLIENT:
            message, kind = self._codec.decode_command(frame), "command"
        else:
            message = received = self._codec.decode_server_message(frame)
            kind = "event" if received.reply_to is None else "reply"
        self._counts[kind] += 1
        self._counts["error"] += isinstance(message.payload, ErrorResponse)
        name = f"↳ {message.type}" if kind == "reply" else message.type
        print(
            self._paper.line(
                (f"{self.seconds:6.3f} ", DIM),
                (f"{DIRECTIONS[sender]} ", CYAN if sender is Sender.CLIENT else DIM),
                (f"{printable(name):<23} ", _colour(kind, message)),
                (brief(message.payload, shortens_ids=True), PLAIN),
            ),
            flush=True,
        )


def _colour(kind: str, message: Message) -> str:
    if isinstance(message.payload, ErrorResponse):
        return RED
    if kind == "event":
        return _CATEGORY_COLOURS.get(message.type, PLAIN)
    return CYAN if kind == "command" else GREEN


class Overheard:
    """A transport that somebody listens to.

    Args:
        transport: Carries the frames.
        transcript: Hears them.
    """

    def __init__(self, transport: Transport, transcript: Transcript) -> None:
        self._transport = transport
        self._transcript = transcript

    async def send(self, text: str, /) -> None:
        """Send a text frame."""
        self._transcript.hear(Sender.CLIENT, text)
        await self._transport.send(text)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Go through the frames that come, until the connection ends."""
        async for frame in self._transport:
            self._transcript.hear(Sender.SERVER, frame)
            yield frame

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection."""
        await self._transport.close(code, reason)
