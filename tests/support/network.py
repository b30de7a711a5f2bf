"""A network in memory: each connection of a client meets a server that answers as it is told."""

from collections.abc import Callable
from typing import Any

import tachikoma_proto as tp
from support.memory import MemoryTransport

CODEC = tp.Codec()
SOON = tp.ClientConfig(
    backoff_base=0.01, backoff_max=0.01, ping_interval=None, close_timeout=0.2, open_timeout=1.0
)

Answer = Callable[[tp.Command[Any]], tp.Response | None]


def agree(command: tp.Command[Any]) -> tp.Response | None:
    match command:
        case tp.Authenticate():
            return tp.AuthResponse(authenticated=True)
        case tp.Ping():
            return tp.PongResponse.now()
        case _:
            return tp.AckResponse.ok()


class Answering(MemoryTransport):
    """The other side in memory: it answers each command as it is told, or not at all."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self._answer = answer
        self.commands: list[tp.Command[Any]] = []

    async def send(self, text: str, /) -> None:
        await super().send(text)
        message = CODEC.decode_command(text)
        self.commands.append(message.payload)
        answer = self._answer(message.payload)
        if answer is not None:
            self.feed(CODEC.encode(answer, reply_to=message.id))


class Network:
    """Opens a transport each time; the last one is used again and again.

    Attributes:
        opened: The transports that were opened.
    """

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = list(answers) or [agree]
        self.opened: list[Answering] = []

    async def open(self) -> tp.Transport:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        transport = Answering(answer)
        self.opened.append(transport)
        return transport

    @property
    def now(self) -> Answering:
        return self.opened[-1]


def client_of(network: Network, config: tp.ClientConfig = SOON, **options: Any) -> tp.Client:
    return tp.Client(network.open, config=config, **options)
