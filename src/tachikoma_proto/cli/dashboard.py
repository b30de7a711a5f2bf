"""``dashboard``: serve the page that shows a server's missions as they run.

Rules:

* The address goes to standard output when the page is served. It holds a secret that can be used
  once; whenever it was used, the next address goes to standard error.
* The token stays in this process: the page is not given it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from tachikoma_proto.cli.options import chosen_registry, plugins_option, port_option, subcommand
from tachikoma_proto.cli.target import (
    Target,
    need_websockets,
    notify_on_stderr,
    showing_log,
    target_options,
)
from tachikoma_proto.codec.codec import Codec
from tachikoma_proto.registry.registry import Registry

if TYPE_CHECKING:
    from tachikoma_proto.dashboard import Dashboard, OpenServer

_HELP: Final = """Serve a page that shows the missions of a server as they run.

URL is the server's, ws://… or wss://…. The page is for a browser on this machine; open the address
that is printed. It can be used once, and the next one is printed then. The token stays here: the
browser does not get it.
"""


@subcommand(
    help=_HELP,
    short_help="Serve a page that shows the missions as they run.",
    examples=[
        "dashboard ws://localhost:8765",
        "dashboard wss://tachikoma.example --token-file token --port 8080",
    ],
    statuses={0: "", 1: ""},
)
@target_options
@port_option
@plugins_option
def command(*, target: Target, port: int, plugins: bool) -> int:
    """Serve the page, until interrupted."""
    need_websockets()
    import asyncio

    codec = Codec(chosen_registry(plugins))
    open_server = target.opener(codec, notify_on_stderr)
    page = make_dashboard(open_server, target.place, codec.registry, port)
    with showing_log(notify_on_stderr):
        asyncio.run(serve_page(page))
    return 0


def make_dashboard(
    open_server: "OpenServer", place: str, registry: Registry, port: int
) -> "Dashboard":
    """Return the dashboard of a server.

    Args:
        open_server: Opens an authenticated connection to it.
        place: Where it is, as may be shown.
        registry: Whose topics the page subscribes to.
        port: The port of the page.
    """
    from tachikoma_proto.dashboard import Dashboard

    def show_next() -> None:
        notify_on_stderr(f"the page was opened; to open it once more: {page.address}")

    page = Dashboard(
        open_server, place=place, topics=_topics(registry), port=port, on_opened=show_next
    )
    return page


def _topics(registry: Registry) -> Iterable[str]:
    return [category.topic for category in registry.categories.values() if category.topic]


async def serve_page(page: "Dashboard") -> None:
    """Serve the page, and say where; end when cancelled.

    Args:
        page: The dashboard, not yet entered.
    """
    import asyncio

    async with page:
        print(page.address, flush=True)
        await asyncio.Future()
