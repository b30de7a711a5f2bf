"""``demo``: a server and a client in one process, and all that they say to each other.

Rules:

* The server, the client and the socket between them are real; the missions are simulated.
* What is shown is what passed over the socket, as typed messages, when it passed.
* The conversation is checked while it goes on: the status is 1 if a reply or an event is not what
  it should be.
* With ``--dashboard`` there is no such client: a person is, on the page.
* With ``--processes`` there are several servers and clients, and what is checked is that no event
  is lost while server processes are killed.
"""

from typing import Final

import click

from tachikoma_proto.cli.options import (
    CliError,
    chosen_registry,
    count,
    number,
    plugins_option,
    port_option,
    subcommand,
)
from tachikoma_proto.cli.target import need_websockets

_HELP: Final = """Run a server and a client, and show what they say to each other.

The missions are simulated; the server, the client and the socket between them are real. What they
say is checked. With --dashboard, a page shows the missions instead, until interrupted.

With --processes, several server processes share their events through a broker. They are killed and
started again while clients move between them, and every event has to arrive.
"""


@subcommand(
    help=_HELP,
    short_help="Run a server and a client, and show what they say.",
    examples=[
        "demo",
        "demo --speed 10",
        "demo --dashboard",
        "demo --processes 3 --broker redis://localhost",
    ],
    statuses={0: "every reply and event was right", 1: "one was wrong or missing"},
)
@plugins_option
@click.option(
    "--speed",
    type=number,
    default=1.0,
    show_default=True,
    metavar="FACTOR",
    help="How many times faster the missions run.",
)
@click.option("--dashboard", is_flag=True, help="Serve the page that shows the missions.")
@port_option
@click.option(
    "--processes", type=count, metavar="N", help="Run so many server processes that are killed."
)
@click.option(
    "--broker", metavar="URL", help="What they share: redis://…, rediss://…, nats://… or tls://…."
)
@click.option(
    "--clients", type=count, default=10, show_default=True, metavar="N", help="How many clients."
)
@click.option(
    "--duration",
    type=number,
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="For how long the processes are killed.",
)
@click.option(
    "--kill-every",
    type=number,
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="After how long each time.",
)
def command(
    *,
    plugins: bool,
    speed: float,
    dashboard: bool,
    port: int,
    processes: int | None,
    broker: str | None,
    clients: int,
    duration: float,
    kill_every: float,
) -> int:
    """Run the demo; return 1 if the conversation is not what it should be."""
    if port and not dashboard:
        raise CliError("--port is for --dashboard")
    if (processes is None) != (broker is None):
        raise CliError("--processes and --broker go together")
    if processes is not None and dashboard:
        raise CliError("--dashboard is for a server in one process")
    need_websockets()
    import asyncio

    if processes is not None and broker is not None:
        from tachikoma_proto.cli.demo.cluster import Plan, run_cluster

        plan = Plan(
            broker=broker,
            processes=processes,
            clients=clients,
            seconds=duration,
            kill_every=kill_every,
        )
        return asyncio.run(run_cluster(plan))
    if dashboard:
        from tachikoma_proto.cli.demo.exhibition import exhibit

        return asyncio.run(exhibit(chosen_registry(plugins), speed, port))
    from tachikoma_proto.cli.demo.performance import perform

    return asyncio.run(perform(chosen_registry(plugins), speed))
