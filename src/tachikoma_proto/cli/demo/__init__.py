"""``demo``: a server and a client in one process, and all that they say to each other.

Rules:

* The server, the client and the socket between them are real; the missions are not.
* What is shown is what passed over the socket, as typed messages, when it passed.
* The conversation is checked while it goes on: the status is 1 if it is not what it should be.
"""

import argparse

from tachikoma_proto.cli.options import add_plugins, chosen_registry, positive
from tachikoma_proto.cli.peer import need_websockets


def configure(parser: argparse.ArgumentParser) -> None:
    """Say which options the subcommand has."""
    add_plugins(parser)
    parser.add_argument(
        "--speed",
        type=positive,
        default=1.0,
        metavar="FACTOR",
        help="how many times faster the missions run (%(default)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the demo.

    Args:
        options: The command line's.

    Returns:
        The exit status: 1 if the conversation is not what it should be.
    """
    need_websockets()
    import asyncio

    from tachikoma_proto.cli.demo.stage import play

    return asyncio.run(play(chosen_registry(options), options.speed))
