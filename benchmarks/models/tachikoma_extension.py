"""The extension whose event is timed: a category as a distribution of its own would declare it.

Rules:

* Its messages are what the built-in ones are not: an object and an array stand in one.
"""
# ruff: noqa: D101

from typing import Final
from uuid import UUID

from attrs import frozen

from tachikoma_proto import U32, Category, Event

deploy: Final = Category("deploy", topic="deploys", key="deploy_id")


@frozen(kw_only=True)
class Rollout:
    updated: U32
    total: U32


@deploy.event("started")
@frozen(kw_only=True)
class DeployStarted(Event):
    deploy_id: UUID
    service: str


@deploy.event("progress")
@frozen(kw_only=True)
class DeployProgress(Event):
    deploy_id: UUID
    service: str
    rollout: Rollout
    hosts: tuple[str, ...]
    note: str | None = None
