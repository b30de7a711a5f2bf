"""Subscriptions: which event goes to whom, from what the categories declare.

Rules:

* An event goes to its category's topic and, where the category has a key and the event a value
  for it, to ``topic/<key>``. Categories may share a topic.
* A subscription covers its topic and all below it, by whole segments of the path.
* Filters narrow a subscription: all that are given must hold. An event without the field that a
  filter asks for does not pass.
* Who is subscribed twice gets an event once.
* Nothing here knows a message by name: what a registry holds, extensions included, is routed.
"""

from tachikoma_proto.subscriptions.index import SubscriptionIndex
from tachikoma_proto.subscriptions.routes import Route, Routes

__all__ = ["Route", "Routes", "SubscriptionIndex"]
