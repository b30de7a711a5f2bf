"""Finding the engine, or doing without.

Rules:

* The engine is used where it was built and can make something of this Python. What is amiss is told
  to whoever insists on it, and to nobody else.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tachikoma_proto.codec.engine.plan import make_plan
from tachikoma_proto.registry.registry import Registry

if TYPE_CHECKING:
    from tachikoma_proto.codec._engine import Engine

_MODULE: Final = "tachikoma_proto.codec._engine"


def load_engine(
    registry: Registry,
    *,
    max_size: int,
    forbid_unknown_fields: bool,
    accelerated: bool | None,
    otherwise: tuple[Callable[..., Any], ...],
) -> "Engine | None":
    """Make an engine for the messages of a registry.

    Args:
        registry: The messages.
        max_size: How many bytes a frame may have.
        forbid_unknown_fields: Whether a field that a message does not have is refused.
        accelerated: Whether it must be there (True), must not be used (False), or may (None).
        otherwise: What does what the engine's four methods do not.

    Returns:
        The engine, or None.

    Raises:
        ImportError: ``accelerated`` is True, and there is no engine.
    """
    if accelerated is False:
        return None
    try:
        from tachikoma_proto.codec._engine import Engine
    except ImportError as error:
        if accelerated:
            raise ImportError(
                "an accelerated codec needs the compiled engine, which this installation lacks: "
                "there was no compiler, or the wheel is the pure one"
            ) from error
        return None
    return Engine(
        make_plan(registry),
        max_size=max_size,
        forbid_unknown_fields=forbid_unknown_fields,
        otherwise=otherwise,
    )


def has_engine() -> bool:
    """Return whether the compiled engine is installed."""
    from importlib.util import find_spec

    return find_spec(_MODULE) is not None
