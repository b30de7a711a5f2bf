"""``testing.connect`` and ``RecordingSession``: tests of one's own server, without sockets."""

import pytest
from support.live import MISSION, OPEN, TOKEN, USER, handlers, live, make_server

import tachikoma_proto as tp
from tachikoma_proto.testing import RecordingSession, connect

STARTED = tp.MissionStarted(mission_id=MISSION)


@live
async def test_a_client_talks_to_a_server_in_the_same_event_loop() -> None:
    server = make_server()
    async with connect(server, token=TOKEN) as client:
        await client.subscribe("missions")
        events = client.events()
        assert server.publish(STARTED) == 1
        assert await anext(events) == STARTED
        status = await client.request(tp.GetMissionStatus(mission_id=MISSION))
        assert status.mission_id == MISSION
    assert not server.sessions


@live
async def test_the_wrong_token_is_refused_as_over_a_socket() -> None:
    with pytest.raises(tp.RemoteError):
        async with connect(make_server(), token="wrong"):
            pass


@live
async def test_the_server_sees_the_request_that_is_given() -> None:
    async def by_cookie(request: tp.ConnectionRequest) -> tp.Identity | None:
        return tp.Identity(USER) if request.cookies.get("session") == TOKEN else None

    server = make_server(authenticate=None, authenticate_request=by_cookie)
    request = tp.ConnectionRequest(headers={"Cookie": f"session={TOKEN}"})
    async with connect(server, request=request) as client:
        info = await client.request(tp.GetSessionInfo())
        assert info.user_id == USER


@live
async def test_a_client_comes_back_after_the_server_has_closed_its_session() -> None:
    server = make_server(config=OPEN)
    config = tp.ClientConfig(backoff_base=0.01)
    async with connect(server, config=config) as client:
        await client.subscribe("missions")
        events = client.events()
        server.sessions[0].close(4000, "again")
        async for event in events:
            if isinstance(event, tp.Reconnected):
                break
        assert server.publish(STARTED) == 1
        assert await anext(events) == STARTED


@live
async def test_a_handler_is_called_with_a_session_that_keeps_what_is_done_to_it() -> None:
    dispatcher = handlers()

    @dispatcher.handler(tp.StartMission)
    async def start(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
        assert session.identity == tp.Identity(USER)
        session.server.publish(tp.MissionStarted(mission_id=command.mission_id))
        session.send(tp.MissionCreated(mission_id=command.mission_id, name="yours"))
        session.subscribe(tp.topics.mission(command.mission_id))
        return tp.AckResponse.ok()

    session = RecordingSession(tp.Identity(USER))
    assert await start(tp.StartMission(mission_id=MISSION), session) == tp.AckResponse.ok()
    assert session.published == [STARTED]
    assert session.sent == [tp.MissionCreated(mission_id=MISSION, name="yours")]
    assert session.subscriptions == (tp.topics.mission(MISSION),)
    session.unsubscribe(tp.topics.mission(MISSION))
    with pytest.raises(tp.CommandError, match="subscription not found"):
        session.unsubscribe("missions")
    session.close(4000, "enough")
    session.abort()
    assert session.closed == (4000, "enough")
    assert not session.send(STARTED)
