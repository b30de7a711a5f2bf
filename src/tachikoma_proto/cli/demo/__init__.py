"""``demo``: a server and a client in one process, and all that they say to each other.

Rules:

* The server, the client and the socket between them are real; the missions are simulated.
* What is shown is what passed over the socket, as typed messages, when it passed.
* The conversation is checked while it goes on: the status is 1 if a reply or an event is not what
  it should be.
* With ``--dashboard`` there is no such client: a person is, on the page.
"""

from typing import Final

import click

from tachikoma_proto.cli.options import (
    CliError,
    chosen_registry,
    number,
    plugins_option,
    port_option,
    subcommand,
)
from tachikoma_proto.cli.target import need_websockets

_HELP: Final = """Run a server and a client, and show what they say to each other.

The missions are simulated; the server, the client and the socket between them are real. What they
say is checked. With --dashboard, a page shows the missions instead, until interrupted.
"""


@subcommand(
    help=_HELP,
    short_help="Run a server and a client, and show what they say.",
    examples=["demo", "demo --speed 10", "demo --dashboard"],
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
def command(*, plugins: bool, speed: float, dashboard: bool, port: int) -> int:
    """Run the demo; return 1 if the conversation is not what it should be."""
    if port and not dashboard:
        raise CliError("--port is for --dashboard")
    need_websockets()
    import asyncio

    if dashboard:
        from tachikoma_proto.cli.demo.exhibition import exhibit

        return asyncio.run(exhibit(chosen_registry(plugins), speed, port))
    from tachikoma_proto.cli.demo.performance import perform

    return asyncio.run(perform(chosen_registry(plugins), speed))
