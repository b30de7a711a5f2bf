"""The demo's missions: what they are made of, and what becomes of them."""

import asyncio
from collections.abc import Mapping
from typing import Final
from uuid import UUID, uuid4

from attrs import define, field, frozen


@frozen
class Spec:
    """A part of a mission.

    Attributes:
        name: What it is called.
        tool: The tool that works on it.
        asks: What it needs a person for; it waits until the mission is resumed.
        error: Why it fails.
        tokens: How many tokens the LLM reads for it.
    """

    name: str
    tool: str = "edit"
    asks: str | None = None
    error: str | None = None
    tokens: int = 4200


PLANS: Final[Mapping[str, tuple[Spec, ...]]] = {
    "rename the token": (
        Spec("310"),
        Spec("320", tool="migrate", tokens=9100, asks="the migration wants to be looked at"),
        Spec("330", tool="pytest", tokens=2600),
    ),
    "speed up the index": (
        Spec("210", tool="benchmark", tokens=3300),
        Spec("220", tool="pytest", error="3 tests failed"),
    ),
    "rewrite it all": (Spec("900", tool="search", asks="this will take a year"),),
}
"""The missions, by name: one that is paused and goes on, one that fails, one to be cancelled."""


@define(eq=False)
class Mission:
    """A mission, and how far it is."""

    name: str
    specs: tuple[Spec, ...]
    id: UUID = field(factory=uuid4)
    status: str = "created"
    current_spec: str | None = None
    completed: int = 0
    error: str | None = None
    is_going: asyncio.Event = field(factory=asyncio.Event)
    began: float = 0.0
    task: "asyncio.Task[None] | None" = None

    @property
    def percentage(self) -> float:
        """How much is done, in percent."""
        return round(100 * self.completed / len(self.specs), 1)
