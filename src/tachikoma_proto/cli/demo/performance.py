"""One run of the demo: its server, its client, and the socket between them."""

import asyncio
import secrets
import sys
from typing import Final
from uuid import uuid4

from websockets.asyncio.client import connect

from tachikoma_proto.cli.demo.scenario import Scenario, Unexpected, expect
from tachikoma_proto.cli.demo.simulation import Simulation
from tachikoma_proto.cli.demo.transcript import TranscribedTransport, Transcript
from tachikoma_proto.cli.target import notify_on_stderr, showing_log
from tachikoma_proto.cli.terminal import LineWriter
from tachikoma_proto.client import Client
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.errors import ProtocolError, RemoteError
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.server.serving import serve
from tachikoma_proto.session import ClientConfig
from tachikoma_proto.transports.transport import Transport

HOST: Final = "127.0.0.1"

STEP: Final = 0.3
"""How many seconds a mission takes from one event to the next, at the speed of 1."""

TIMEOUT: Final = 30.0
"""How many seconds the demo may take, beside those that the missions take."""


async def perform(registry: Registry, speed: float) -> int:
    """Run the demo.

    Args:
        registry: Which messages there are.
        speed: How many times faster the missions run.

    Returns:
        The exit status.
    """
    codec = Codec(registry, accelerated=False)  # too few frames for it to pay
    transcript = Transcript(codec, LineWriter(sys.stdout))
    try:
        async with asyncio.timeout(TIMEOUT + 30 * STEP / speed):
            with showing_log(notify_on_stderr):
                scenario = await _converse(codec, transcript, STEP / speed)
        expect(transcript.replies == transcript.commands, "each command has one reply")
        expect(transcript.errors == scenario.refusals, "no error but those provoked")
    except Exception as error:
        if transcript.failure is not None:
            raise transcript.failure from None
        known = (Unexpected, RemoteError, ProtocolError, OSError)
        if isinstance(error, BrokenPipeError) or not isinstance(error, known):
            raise
        print(f"tachikoma-proto: {str(error) or 'it took too long'}", file=sys.stderr)
        return 1
    print(f"\n{_summary(transcript)}")
    return 0


async def _converse(codec: Codec, transcript: Transcript, step: float) -> Scenario:
    token = secrets.token_urlsafe()
    simulation = Simulation(codec, token, uuid4(), step)
    async with simulation, serve(simulation.server, HOST, 0) as listener:
        print(f"a server on {listener.url} and its client; the token is random\n")

        async def open_transport() -> Transport:
            websocket = await connect(listener.url, proxy=None, ping_interval=None)
            return TranscribedTransport(websocket, transcript)

        config = ClientConfig(reconnect=False, ping_interval=None)
        async with Client(open_transport, codec=codec, config=config) as client:
            scenario = Scenario(client, simulation, token)
            await scenario.run()
    return scenario


def _summary(transcript: Transcript) -> str:
    return (
        f"client → server: {transcript.commands} commands\n"
        f"server → client: {transcript.replies} replies ({transcript.errors} errors, provoked on "
        f"purpose), {transcript.events} events\n"
        f"all as it should be, in {transcript.seconds:.1f} s"
    )
