"""The work: the frame that is sent, and what has to come back.

Rules:

* Everybody gets the same frame; whoever answers it answers with the same status.
* Who only echoes is checked for that; who answers is also checked for refusing a faulty frame.
"""

import json
from typing import Any, Final
from uuid import UUID

from benchmarks.samples import COMMANDS, RESPONSES, JsonObject, to_text

COMMAND: Final = COMMANDS["mission_status"]
FRAME: Final = to_text(COMMAND)
"""The frame that is sent: ``mission_status``."""

MISSION_ID: Final = UUID(COMMAND["payload"]["mission_id"])
"""The mission that it is about."""

FAULTY: Final = to_text(
    {**COMMAND, "payload": {**COMMAND["payload"], "mission_id": "mission-1"}},
)
"""A frame that has to be refused: the id of the mission is none."""

STATUS: Final[JsonObject] = RESPONSES["mission_status_result"]["payload"]
"""The answer's payload."""

PROGRESS: Final[JsonObject] = {
    name: STATUS[name]
    for name in ("status", "current_spec", "completed_specs", "total_specs", "percentage")
}
"""What a handler adds to the mission's id."""


class CheckFailed(Exception):
    """A server does not do what it is timed for."""


def check_echo(reply: str) -> None:
    """Check a server that echoes.

    Args:
        reply: What it said to ``FRAME``.

    Raises:
        CheckFailed: It said something else.
    """
    if reply != FRAME:
        raise CheckFailed(f"no echo: {reply}")


def check_answer(reply: str) -> None:
    """Check a server that answers.

    Args:
        reply: What it said to ``FRAME``.

    Raises:
        CheckFailed: It is not the answer.
    """
    frame: dict[str, Any] = json.loads(reply)
    if sorted(frame) != ["id", "payload", "reply_to", "timestamp", "type"]:
        raise CheckFailed(f"members are missing, or too many: {reply}")
    found = (frame["type"], frame["reply_to"], frame["payload"])
    if found != ("mission_status_result", COMMAND["id"], STATUS):
        raise CheckFailed(f"not the answer: {reply}")


def check_refusal(reply: str) -> None:
    """Check a server that answers.

    Args:
        reply: What it said to ``FAULTY``.

    Raises:
        CheckFailed: It did not refuse the frame.
    """
    frame: dict[str, Any] = json.loads(reply)
    if frame["type"] != "error" or frame["payload"]["code"] != "invalid_message":
        raise CheckFailed(f"the faulty frame is not refused: {reply}")
