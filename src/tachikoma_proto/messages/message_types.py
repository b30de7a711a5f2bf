"""The message types of the wire: what ``type`` says in the envelope. Named as in the reference."""

from typing import Final

from tachikoma_proto.declare.declarations import EVENT_PREFIX

CMD_SUBSCRIBE: Final = "subscribe"
CMD_UNSUBSCRIBE: Final = "unsubscribe"
CMD_LIST_SUBSCRIPTIONS: Final = "list_subscriptions"
CMD_MISSION_STATUS: Final = "mission_status"
CMD_MISSION_START: Final = "mission_start"
CMD_MISSION_PAUSE: Final = "mission_pause"
CMD_MISSION_RESUME: Final = "mission_resume"
CMD_MISSION_CANCEL: Final = "mission_cancel"
CMD_AUTHENTICATE: Final = "authenticate"
CMD_SESSION_INFO: Final = "session_info"
CMD_PING: Final = "ping"

EVENT_MISSION: Final = "event.mission"
EVENT_FORGE: Final = "event.forge"
EVENT_SYSTEM: Final = "event.system"

RESP_ACK: Final = "ack"
RESP_ERROR: Final = "error"
RESP_AUTH: Final = "auth_result"
RESP_SUBSCRIPTIONS: Final = "subscriptions_result"
RESP_SESSION_INFO: Final = "session_info_result"
RESP_MISSION_STATUS: Final = "mission_status_result"
RESP_PONG: Final = "pong"
RESP_POSITION: Final = "position"


def event(category: str) -> str:
    """Return the message type of a category's events: ``event.<category>``."""
    return EVENT_PREFIX + category


def is_event(message_type: str) -> bool:
    """Return whether a message type is that of events, of whatever category."""
    return message_type.startswith(EVENT_PREFIX)
