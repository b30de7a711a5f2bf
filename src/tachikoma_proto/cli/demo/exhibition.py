"""The demo on the page: its server, whose missions a person starts and steers.

Rules:

* Nothing happens before the page is open, so that it sees everything.
* One mission is started by itself, so that there is something to see; the others wait for a person.
* When all have ended, there are new ones.
"""

import asyncio
import secrets
from typing import Final
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect

from tachikoma_proto.cli.dashboard import make_dashboard, serve_page
from tachikoma_proto.cli.demo.performance import HOST, STEP
from tachikoma_proto.cli.demo.simulation import Simulation
from tachikoma_proto.cli.target import notify_on_stderr, showing_log
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.dashboard import authenticate
from tachikoma_proto.registry.registry import Registry
from tachikoma_proto.server.serving import serve

TOPICS: Final = 3
"""How many topics the page subscribes to, at least."""

PAUSE: Final = 10
"""How many steps pass between the end of the last mission and new ones."""


async def exhibit(registry: Registry, speed: float, port: int) -> int:
    """Serve the page over the demo's server, until cancelled.

    Args:
        registry: Which messages there are.
        speed: How many times faster the missions run.
        port: The port of the page; 0 takes a free one.

    Returns:
        The exit status.
    """
    codec, token, step = Codec(registry), secrets.token_urlsafe(), STEP / speed
    simulation = Simulation(codec, token, uuid4(), step)
    with showing_log(notify_on_stderr):
        async with simulation, serve(simulation.server, HOST, 0) as listener:

            async def open_server() -> ClientConnection:
                server = await connect(listener.url, proxy=None, ping_interval=None)
                await authenticate(server, token, codec)
                return server

            page = make_dashboard(open_server, listener.url, registry, port)
            async with asyncio.TaskGroup() as group:
                group.create_task(serve_page(page))
                group.create_task(_keep_busy(simulation, step))
    return 0


async def _keep_busy(simulation: Simulation, step: float) -> None:
    """Create missions, again and again, once somebody watches."""
    while not any(len(session.subscriptions) >= TOPICS for session in simulation.server.sessions):
        await asyncio.sleep(step)
    while True:
        simulation.create_missions()
        simulation.start_next()
        while simulation.has_missions_to_run:
            await asyncio.sleep(step)
        await asyncio.sleep(PAUSE * step)
