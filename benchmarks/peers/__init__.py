"""The contestants, one a module.

Rules:

* A module offers ``make()``, which raises ``LeftOut`` where it cannot take part.
* The order here is the order of the report. The first one that takes part is what the others
  are measured against.
"""

from benchmarks.contestant import Contestant, LeftOut
from benchmarks.peers import (
    mashumaro_orjson,
    msgspec_flat,
    msgspec_structs,
    plain_cattrs,
    pydantic_v2,
    stdlib_json,
    tachikoma,
    tachikoma_converter,
)

_MODULES = (
    tachikoma,
    pydantic_v2,
    msgspec_structs,
    msgspec_flat,
    mashumaro_orjson,
    plain_cattrs,
    tachikoma_converter,
    stdlib_json,
)


def make_contestants() -> tuple[list[Contestant], list[str]]:
    """Make all contestants.

    Returns:
        Those that take part, and a sentence for each that does not.
    """
    contestants: list[Contestant] = []
    left_out: list[str] = []
    for module in _MODULES:
        try:
            contestants.append(module.make())
        except LeftOut as reason:
            left_out.append(str(reason))
    return contestants, left_out
