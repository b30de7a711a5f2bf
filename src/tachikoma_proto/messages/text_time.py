"""How the text times of messages are read, and what is raised where one cannot be."""

from datetime import datetime

from tachikoma_proto.errors import FieldError, InvalidMessageError
from tachikoma_proto.wire.timestamps import parse_text_time


def read_text_time(text: str, field: str) -> datetime:
    """Read a text time of a message.

    Args:
        text: The field's value.
        field: The field's name, for the error.

    Returns:
        An aware time; UTC where the text names no zone.

    Raises:
        InvalidMessageError: No time can be made out.
    """
    moment = parse_text_time(text)
    if moment is None:
        raise InvalidMessageError(errors=[FieldError(f"$.payload.{field}", "a date and a time")])
    return moment
