"""The demo's server: a real one, whose missions are simulated.

Rules:

* A mission waits for a person where its plan says so, for as long as it takes: what the client
  has to do in between never depends on how fast the machine is.
* What is published is kept, so that it can be compared with what was received.
"""

import asyncio
import hmac
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self
from uuid import UUID, uuid4

from attrs import define, field, frozen

import tachikoma_proto as tp

CONFIG: Final = tp.ServerConfig(ping_interval=None, auth_timeout=60.0)
"""No keepalive comes between what is shown, however slow it all is."""


@frozen
class Spec:
    """A part of a mission.

    Attributes:
        name: What it is called.
        tool: The tool that works on it.
        question: What it needs a person for; it waits until the mission is resumed.
        error: Why it fails.
        tokens: How many tokens the LLM reads for it.
    """

    name: str
    tool: str = "edit"
    question: str | None = None
    error: str | None = None
    tokens: int = 4200


PLANS: Final[Mapping[str, tuple[Spec, ...]]] = {
    "rename the token": (
        Spec("310"),
        Spec("320", tool="migrate", tokens=9100, question="the migration wants to be looked at"),
        Spec("330", tool="pytest", tokens=2600),
    ),
    "speed up the index": (
        Spec("210", tool="benchmark", tokens=3300),
        Spec("220", tool="pytest", error="3 tests failed"),
    ),
    "rewrite it all": (Spec("900", tool="search", question="this will take a year"),),
}
"""The missions, by name: one that is paused and resumed, one that fails, one to be cancelled."""


@define(eq=False)
class Mission:
    """A mission and its progress."""

    name: str
    specs: tuple[Spec, ...]
    id: UUID = field(factory=uuid4)
    status: str = "created"
    current_spec: str | None = None
    completed: int = 0
    error: str | None = None
    may_run: asyncio.Event = field(factory=asyncio.Event)
    started_at: float = 0.0
    task: "asyncio.Task[None] | None" = None

    @property
    def waits(self) -> bool:
        """Whether it waits for a person while it runs."""
        return self.status == "running" and not self.may_run.is_set()

    @property
    def percentage(self) -> float:
        """The part of the specs that is done, in percent."""
        return round(100 * self.completed / len(self.specs), 1)


class Simulation:
    """Serves simulated missions while its block runs.

    Args:
        codec: Reads and writes the frames.
        token: The valid token.
        user_id: The user it belongs to.
        step: How many seconds a mission takes from one event to the next.

    Attributes:
        server: The server.
        published: Every event, in order.
        missions: The missions by id.
    """

    def __init__(self, codec: tp.Codec, token: str, user_id: UUID, step: float) -> None:
        self.published: list[tp.Event] = []
        self.missions: dict[UUID, Mission] = {}
        self.server = tp.Server(
            codec,
            self._dispatcher(),
            authenticate=self._check_token,
            on_subscribe=self._catch_up,
            config=CONFIG,
        )
        self._token = token
        self._user_id = user_id
        self._step = step
        self._forge_sessions: set[UUID] = set()

    async def __aenter__(self) -> Self:
        """Serve, until the block ends."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.server.close()
        tasks = [mission.task for mission in self.missions.values() if mission.task]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    def create_missions(self) -> None:
        """Create the missions; none of them is started."""
        self._publish_status("ready")
        for name, specs in PLANS.items():
            mission = Mission(name, specs)
            self.missions[mission.id] = mission
            self._publish(tp.MissionCreated(mission_id=mission.id, name=name))

    def start_next(self) -> None:
        """Start the first mission that is not started."""
        self._start(next(m for m in self.missions.values() if m.status == "created"))

    @property
    def has_missions_to_run(self) -> bool:
        """Whether there are missions that have not ended."""
        return any(m.status in ("created", "running", "paused") for m in self.missions.values())

    def _start(self, mission: Mission) -> None:
        mission.task = asyncio.create_task(self._run(mission))

    def _catch_up(self, session: tp.Session, topic: str) -> None:
        """Tell who subscribes after the missions were created how they are."""
        if topic == tp.topics.SYSTEM and self.missions:
            session.send(self._server_status("busy" if self._active else "ready"))
        if topic != tp.topics.MISSIONS:
            return
        for mission in self.missions.values():
            session.send(tp.MissionCreated(mission_id=mission.id, name=mission.name))
            session.send(
                tp.MissionStatusChanged(
                    mission_id=mission.id, old_status="created", new_status=mission.status
                )
            )
            session.send(self._progress(mission))

    async def _check_token(self, token: str) -> tp.Identity | None:
        is_good = hmac.compare_digest(token.encode(), self._token.encode())
        return tp.Identity(self._user_id) if is_good else None

    def _dispatcher(self) -> tp.Dispatcher[tp.Session]:
        dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

        @dispatcher.handler(tp.GetMissionStatus)
        def status(command: tp.GetMissionStatus, _: tp.Session) -> tp.MissionStatusResponse:
            mission = self._mission(command.mission_id)
            return tp.MissionStatusResponse(
                mission_id=mission.id,
                status=mission.status,
                current_spec=mission.current_spec,
                completed_specs=mission.completed,
                total_specs=len(mission.specs),
                percentage=mission.percentage,
                error=mission.error,
            )

        @dispatcher.handler(tp.StartMission)
        def start(command: tp.StartMission, _: tp.Session) -> tp.AckResponse:
            mission = self._mission(command.mission_id)
            if mission.status != "created":
                return tp.AckResponse.failure(f"the mission is {mission.status}")
            self._start(mission)
            return tp.AckResponse.ok()

        @dispatcher.handler(tp.PauseMission)
        def pause(command: tp.PauseMission, _: tp.Session) -> tp.AckResponse:
            mission = self._mission(command.mission_id)
            if mission.status != "running":
                return tp.AckResponse.failure(f"the mission is {mission.status}")
            mission.may_run.clear()
            self._change(mission, "paused")
            return tp.AckResponse.ok()

        @dispatcher.handler(tp.ResumeMission)
        def resume(command: tp.ResumeMission, _: tp.Session) -> tp.AckResponse:
            mission = self._mission(command.mission_id)
            if mission.status == "paused":
                self._change(mission, "running")
            elif not mission.waits:
                return tp.AckResponse.failure(f"the mission is {mission.status}")
            mission.may_run.set()
            return tp.AckResponse.ok()

        @dispatcher.handler(tp.CancelMission)
        async def cancel(command: tp.CancelMission, _: tp.Session) -> tp.AckResponse:
            mission = self._mission(command.mission_id)
            if mission.task is None or mission.task.done():
                return tp.AckResponse.failure(f"the mission is {mission.status}")
            mission.task.cancel()
            await asyncio.wait((mission.task,))
            self._end(mission, "cancelled", success=False)
            return tp.AckResponse.ok("the mission is cancelled")

        return dispatcher

    def _mission(self, mission_id: UUID) -> Mission:
        if mission_id not in self.missions:
            raise tp.CommandError("not_found", "mission not found")
        return self.missions[mission_id]

    async def _run(self, mission: Mission) -> None:
        mission.started_at = time.monotonic()
        mission.may_run.set()
        self._publish(tp.MissionStarted(mission_id=mission.id))
        self._change(mission, "running")
        for spec in mission.specs:
            mission.current_spec = spec.name
            await self._forge(mission, spec)
            if spec.error is not None:
                mission.error = f"spec {spec.name}: {spec.error}"
                self._end(mission, "failed", success=False)
                return
            mission.completed += 1
            self._publish(self._progress(mission))
        self._end(mission, "completed", success=True)

    def _progress(self, mission: Mission) -> tp.MissionProgress:
        return tp.MissionProgress(
            mission_id=mission.id,
            current_spec=mission.current_spec or "",
            completed_specs=mission.completed,
            total_specs=len(mission.specs),
            percentage=mission.percentage,
        )

    async def _forge(self, mission: Mission, spec: Spec) -> None:
        """Simulate the work of an LLM on a spec."""
        session_id = uuid4()
        self._forge_sessions.add(session_id)
        is_done = False
        try:
            self._publish(
                tp.ForgeStarted(session_id=session_id, mission_id=mission.id, spec_id=spec.name)
            )
            await self._step_on(mission)
            if spec.question is not None:
                mission.may_run.clear()
                self._publish(
                    tp.ForgeLog(session_id=session_id, level="warn", message=spec.question)
                )
                await self._step_on(mission)
            status = "success" if spec.error is None else "error"
            self._publish(
                tp.ForgeToolExecution(session_id=session_id, tool_name=spec.tool, status=status)
            )
            await self._step_on(mission)
            self._publish(
                tp.ForgeTokenUsage(
                    session_id=session_id,
                    input_tokens=spec.tokens,
                    output_tokens=spec.tokens // 8,
                    total_cost=spec.tokens / 200_000,
                )
            )
            await self._step_on(mission)
            is_done = spec.error is None
        finally:
            self._forge_sessions.discard(session_id)
            self._publish(tp.ForgeCompleted(session_id=session_id, success=is_done))

    async def _step_on(self, mission: Mission) -> None:
        await asyncio.sleep(self._step)
        await mission.may_run.wait()

    def _end(self, mission: Mission, status: str, *, success: bool) -> None:
        self._change(mission, status)
        if mission.error is not None:
            self._publish(tp.MissionFailed(mission_id=mission.id, error=mission.error))
        else:
            seconds = round(time.monotonic() - mission.started_at)
            self._publish(
                tp.MissionCompleted(
                    mission_id=mission.id, success=success, duration_seconds=seconds
                )
            )
        if not self._active:
            self._publish_status("idle")

    @property
    def _active(self) -> int:
        """How many missions are started and have not ended."""
        return sum(m.status in ("running", "paused") for m in self.missions.values())

    def _change(self, mission: Mission, status: str) -> None:
        old, mission.status = mission.status, status
        self._publish(
            tp.MissionStatusChanged(mission_id=mission.id, old_status=old, new_status=status)
        )

    def _publish_status(self, status: str) -> None:
        self._publish(self._server_status(status))

    def _server_status(self, status: str) -> tp.ServerStatus:
        return tp.ServerStatus(
            status=status,
            active_missions=self._active,
            active_sessions=len(self._forge_sessions),
        )

    def _publish(self, event: tp.Event) -> None:
        self.published.append(event)
        self.server.publish(event)
