"""The servers that are measured, a module each, run by ``python -m benchmarks.live.servers NAME``.

Rules:

* A module has ``serve(listening)``, which serves a listening socket of loopback for good.
* All run on asyncio's own event loop, and compress nothing.
* What a library's documentation says to make once is made once.
"""

from typing import Final, Literal

from attrs import frozen


@frozen
class Entrant:
    """A server that is measured.

    Attributes:
        name: What the report calls it, and the command line.
        title: How it does the work, for the report.
        packages: Whose versions count.
        answers: Whether it reads and answers; otherwise it echoes.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    answers: bool = True


ECHO: Final = "echo of websockets"
ECHO_PICOWS: Final = "echo of picows"
PYDANTIC: Final = "fastapi + pydantic"
BACKENDS: Final[tuple[Literal["websockets", "picows"], ...]] = ("websockets", "picows")
HANDLERS: Final = ("coroutine", "plain")


def own_name(backend: str, handler: str) -> str:
    """Return the name of the library's server.

    Args:
        backend: One of ``BACKENDS``.
        handler: One of ``HANDLERS``: what the handler is, a coroutine or a plain function.
    """
    return f"tachikoma_proto, {backend}, {handler}"


ENTRANTS: Final = (
    Entrant(ECHO, "`websockets` alone, sending each frame back unread", ("websockets",), False),
    Entrant(ECHO_PICOWS, "`picows` alone, sending each frame back unread", ("picows",), False),
    *(
        Entrant(
            own_name(backend, handler),
            f"`serve` over `{backend}`, a {handler} {'function ' * (handler == 'plain')}as handler",
            (backend, "cattrs"),
        )
        for backend in BACKENDS
        for handler in HANDLERS
    ),
    Entrant(
        PYDANTIC,
        "a WebSocket endpoint of FastAPI under uvicorn, with strict models of pydantic in unions "
        "discriminated by `type`: `receive_text`, `validate_json`, `match`, `model_dump_json`, "
        "`send_text`",
        ("fastapi", "uvicorn", "starlette", "pydantic"),
    ),
)
"""The first is what the ratios are taken against."""
