"""The built-in categories; the modules beside this one declare their messages in them."""

from typing import Final

from tachikoma_proto.declare.category import Category

protocol: Final = Category("protocol")
subscription: Final = Category("subscription")
mission: Final = Category("mission", topic="missions", key="mission_id")
session: Final = Category("session")
forge: Final = Category("forge", topic="forge_sessions", key="session_id")
system: Final = Category("system", topic="system")
