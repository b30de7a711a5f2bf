"""Finding the engine, or doing without.

Rules:

* The engine is used where it was built, and can make something of this Python. What is amiss is
  told to whoever insists on it, and to nobody else.
* Without it, everything is left to the converter: what stands in its place is unsure of all.
"""

from typing import TYPE_CHECKING, Final

from tachikoma_proto.codec.engine.plan import UNSURE, Verdict, make_plan
from tachikoma_proto.registry.registry import Registry

if TYPE_CHECKING:
    from tachikoma_proto.codec._engine import Engine


class NoEngine:
    """Stands where an engine would: is unsure of every frame and every message."""

    def decode_command(self, frame: object, /) -> Verdict:
        """Leave the frame to the converter."""
        return UNSURE

    def decode_server_message(self, frame: object, /) -> Verdict:
        """Leave the frame to the converter."""
        return UNSURE

    def encode(
        self, payload: object, reply_to: object, id: object, timestamp: object, /
    ) -> Verdict:
        """Leave the payload to the converter."""
        return UNSURE

    def encode_message(self, envelope: object, /) -> Verdict:
        """Leave the message to the converter."""
        return UNSURE


NO_ENGINE: Final = NoEngine()


def load_engine(
    registry: Registry,
    *,
    max_size: int,
    forbid_unknown_fields: bool,
    accelerated: bool | None = None,
) -> "Engine | NoEngine":
    """Make an engine for the messages of a registry.

    Args:
        registry: The messages.
        max_size: How many bytes a frame may have.
        forbid_unknown_fields: Whether a field that a message does not have is refused.
        accelerated: As ``Codec`` takes it.

    Returns:
        The engine, or what stands in its place.

    Raises:
        ImportError: ``accelerated`` is True, and there is no engine.
    """
    if accelerated is False:
        return NO_ENGINE
    try:
        from tachikoma_proto.codec._engine import Engine
    except ImportError as error:
        if accelerated:
            raise ImportError("an accelerated codec needs the compiled engine, which this "
                              "installation lacks: it had no compiler, or is a pure wheel"
            ) from error
        return NO_ENGINE
    plan = make_plan(registry)
    return Engine(plan, max_size=max_size, forbid_unknown_fields=forbid_unknown_fields)


def has_engine() -> bool:
    """Tell whether the compiled engine is there."""
    try:
        import tachikoma_proto.codec._engine  # noqa: F401
    except ImportError:
        return False
    return True
