"""The demo's scenario: what its client does, and what it must get.

Rules:

* Whatever is not as it should be raises ``Unexpected``: the demo never pretends.
"""

import secrets
from typing import Any, Final
from uuid import UUID, uuid4

import tachikoma_proto as tp
from tachikoma_proto.cli.demo.simulation import Simulation
from tachikoma_proto.messages import topics

MILESTONES: Final = ("created", "started", "status_changed", "completed", "failed")
"""The events that the client subscribes to for every mission; progress it wants of one only."""

ENDS: Final = ("completed", "failed", "cancelled")
"""How the three missions end."""


class Unexpected(Exception):
    """A reply or an event is not what it should be; the text says what should be."""


def expect(holds: bool, what: str) -> None:
    """Check something.

    Args:
        holds: Whether it is so.
        what: What should be so.

    Raises:
        Unexpected: It is not.
    """
    if not holds:
        raise Unexpected(f"not as expected: {what}")


class Scenario:
    """What the client does, from the first message to the last.

    Args:
        client: Connected, and not authenticated.
        simulation: Holds the missions.
        token: The valid token.

    Attributes:
        refusals: How many errors the client provoked on purpose.
    """

    def __init__(self, client: tp.Client, simulation: Simulation, token: str) -> None:
        self.refusals = 0
        self._client = client
        self._simulation = simulation
        self._token = token
        self._missions: list[UUID] = []
        self._mission_of: dict[UUID, UUID] = {}

    async def run(self) -> None:
        """Run it.

        Raises:
            Unexpected: A reply or an event is not what it should be, or is missing.
        """
        await self._authenticate()
        await self._expect_refusal(tp.Subscribe(topic="nowhere"), "not_found")
        await self._expect_refusal(tp.GetMissionStatus(mission_id=uuid4()), "not_found")
        await self._subscribe(topics.MISSIONS, *MILESTONES)
        await self._subscribe(topics.FORGE_SESSIONS)
        await self._subscribe(topics.SYSTEM)
        self._simulation.create_missions()
        await self._follow()
        for mission_id, end in zip(self._missions, ENDS, strict=True):
            expect(await self._status(mission_id) == end, f"a mission is {end}")
        await self._finish()

    async def _authenticate(self) -> None:
        client = self._client
        await self._expect_refusal(tp.GetSessionInfo(), "auth_required")
        refused = await client.request(tp.Authenticate(token=secrets.token_urlsafe()))
        expect(not refused.authenticated, "a wrong token is refused")
        granted = await client.request(tp.Authenticate(token=self._token))
        expect(granted.authenticated, "the right token is accepted")
        info = await client.request(tp.GetSessionInfo())
        expect(info.authenticated and info.user_id == granted.user_id, "the session knows its user")
        await client.request(tp.Ping())

    async def _follow(self) -> None:
        """Follow the missions to their ends."""
        received: list[tp.Event | tp.UnknownEvent] = []
        async for event in self._client.events():
            received.append(event)
            match event:
                case tp.MissionCreated(mission_id=mission_id):
                    await self._begin(mission_id)
                case tp.ForgeStarted(session_id=session_id, mission_id=mission_id):
                    self._mission_of[session_id] = mission_id
                case tp.ForgeLog(level="warn", session_id=session_id):
                    await self._intervene(self._mission_of[session_id])
                case tp.ServerStatus(status="idle"):
                    break
        published = self._simulation.published
        expect(
            received == [e for e in published if self._wants(e)], "every event arrived, in order"
        )

    async def _begin(self, mission_id: UUID) -> None:
        """Subscribe to the first mission's progress; start all three once the last is created."""
        self._missions.append(mission_id)
        if len(self._missions) == 1:
            await self._subscribe(topics.mission(mission_id), "progress")
        if len(self._missions) == len(ENDS):
            for mission in self._missions:
                await self._acknowledged(tp.StartMission(mission_id=mission))

    async def _intervene(self, mission_id: UUID) -> None:
        """Pause the first mission, check it and resume it; cancel any other."""
        if mission_id != self._missions[0]:
            await self._acknowledged(tp.CancelMission(mission_id=mission_id))
            return
        await self._acknowledged(tp.PauseMission(mission_id=mission_id))
        expect(await self._status(mission_id) == "paused", "the mission is paused")
        await self._acknowledged(tp.ResumeMission(mission_id=mission_id))

    async def _finish(self) -> None:
        client = self._client
        listed = await client.request(tp.ListSubscriptions())
        expect(len(listed.subscriptions) == 4, "there are four subscriptions")
        answer = await client.unsubscribe(topics.SYSTEM)
        expect(answer.success, "a subscription can be ended")

    def _wants(self, event: tp.Event) -> bool:
        """Return whether the subscriptions cover an event."""
        return not isinstance(event, tp.MissionProgress) or event.mission_id == self._missions[0]

    async def _subscribe(self, topic: str, *event_types: str) -> None:
        filters = tp.SubscriptionFilters(event_types=event_types) if event_types else None
        answer = await self._client.subscribe(topic, filters=filters)
        expect(answer.success, f"one can subscribe to {topic}")

    async def _acknowledged(self, command: tp.Command[tp.AckResponse]) -> None:
        answer = await self._client.request(command)
        expect(answer.success, f"{type(command).__qualname__} is carried out")

    async def _status(self, mission_id: UUID) -> str:
        return (await self._client.request(tp.GetMissionStatus(mission_id=mission_id))).status

    async def _expect_refusal(self, command: tp.Command[Any], code: str) -> None:
        """Send a command that the server must refuse."""
        try:
            await self._client.request(command)
        except tp.RemoteError as error:
            expect(error.code == code, f"{type(command).__qualname__} is refused with {code}")
        else:
            expect(False, f"{type(command).__qualname__} is refused")
        self.refusals += 1
