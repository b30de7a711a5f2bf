"""Messages: envelopes, commands, events and responses, declared through categories.

Rules:

* Every message is declared with the decorators of its category, as an extension would do it.
* Times that the wire carries as text stay text; a ``…_datetime`` property reads them.
* Nothing here reads or writes JSON.
"""

from typing import Final

from tachikoma_proto.declare.category import Category
from tachikoma_proto.messages import commands, events, responses
from tachikoma_proto.messages.categories import (
    forge,
    mission,
    protocol,
    session,
    subscription,
    system,
)

BUILTIN_CATEGORIES: Final[tuple[Category, ...]] = (
    protocol,
    subscription,
    mission,
    session,
    forge,
    system,
)
"""The categories that every registry holds."""

for _category in BUILTIN_CATEGORIES:
    _category.seal()

__all__ = ["BUILTIN_CATEGORIES", "commands", "events", "responses"]
