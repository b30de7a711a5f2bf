"""Messages and events that a client does not know: kept whole, and written unchanged.

Rules:

* New servers must not break old clients: a message type, an event's category or an event's tag
  that the registry does not hold is no error for a client.
* ``members`` is the frame but for what the envelope holds (``id``, ``type``, ``timestamp``,
  ``reply_to``), just as it was received.
"""

from collections.abc import Mapping

from tachikoma_proto.declare.field_types import Json
from tachikoma_proto.declare.frozen import frozen


@frozen(kw_only=True)
class UnknownMessage:
    """A message of a type that the registry does not hold.

    Attributes:
        type: The message type.
        members: All members of the frame that the envelope does not hold.
    """

    type: str
    members: Mapping[str, Json]

    @property
    def payload(self) -> Json:
        """The payload, whatever it is; None if there is none."""
        return self.members.get("payload")


@frozen(kw_only=True)
class UnknownEvent:
    """An event of a category, or with a tag, that the registry does not hold.

    Attributes:
        type: The message type, ``event.<category>``.
        category: The category.
        event: The tag.
        members: All members of the frame that the envelope does not hold.
    """

    type: str
    category: str
    event: str
    members: Mapping[str, Json]

    @property
    def payload(self) -> Mapping[str, Json]:
        """The payload, with its tags."""
        payload: Mapping[str, Json] = self.members["payload"]
        return payload
