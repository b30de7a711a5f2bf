"""The servers that are measured, a module each, run by ``python -m benchmarks.live.servers NAME``.

Rules:

* A module has ``serve(listening)``, which serves a listening socket of loopback for good.
* All run on asyncio's own event loop, over ``websockets``, and compress nothing.
* What a library's documentation says to make once is made once.
"""

from typing import Final

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


ECHO: Final = "echo"
TACHIKOMA: Final = "tachikoma_proto"
PYDANTIC: Final = "fastapi + pydantic"

ENTRANTS: Final = (
    Entrant(ECHO, "`websockets` alone, sending each frame back unread", ("websockets",), False),
    Entrant(TACHIKOMA, "`Server` and `Dispatcher`", ("websockets", "cattrs")),
    Entrant(
        PYDANTIC,
        "a WebSocket endpoint of FastAPI under uvicorn, with strict models of pydantic in unions "
        "discriminated by `type`: `receive_text`, `validate_json`, `match`, `model_dump_json`, "
        "`send_text`",
        ("fastapi", "uvicorn", "starlette", "pydantic"),
    ),
)
"""The first is what the ratios are taken against."""
