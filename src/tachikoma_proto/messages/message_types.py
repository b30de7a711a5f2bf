"""The wire's message types: what ``type`` says in the frame's envelope."""

from typing import Final

from tachikoma_proto.declare.declarations import EVENT_PREFIX

SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"
LIST_SUBSCRIPTIONS: Final = "list_subscriptions"
MISSION_STATUS: Final = "mission_status"
MISSION_START: Final = "mission_start"
MISSION_PAUSE: Final = "mission_pause"
MISSION_RESUME: Final = "mission_resume"
MISSION_CANCEL: Final = "mission_cancel"
AUTHENTICATE: Final = "authenticate"
SESSION_INFO: Final = "session_info"
PING: Final = "ping"

EVENT_MISSION: Final = "event.mission"
EVENT_FORGE: Final = "event.forge"
EVENT_SYSTEM: Final = "event.system"

ACK: Final = "ack"
ERROR: Final = "error"
AUTH_RESULT: Final = "auth_result"
SUBSCRIPTIONS_RESULT: Final = "subscriptions_result"
SESSION_INFO_RESULT: Final = "session_info_result"
MISSION_STATUS_RESULT: Final = "mission_status_result"
PONG: Final = "pong"


def event(category: str) -> str:
    """Give the message type of a category's events: ``event.<category>``."""
    return EVENT_PREFIX + category


def is_event(message_type: str) -> bool:
    """Tell whether a message type is that of events, of whatever category."""
    return message_type.startswith(EVENT_PREFIX)
