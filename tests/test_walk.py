"""How far a command travels: the files that it enters between the socket and the handler."""

import asyncio
import sys
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import tachikoma_proto as tp
from tachikoma_proto.transports.memory import memory_pair

ROOT = str(Path(tp.__path__[0]))
MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
MOST_FILES = 12

dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()


@dispatcher.handler(tp.StartMission)
async def start(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
    return tp.AckResponse(success=True)


async def files_entered() -> set[str]:
    """Send a command twice, and note which files of ours the second one enters."""
    codec = tp.Codec(accelerated=False)
    config = tp.ServerConfig(require_auth=False)
    server = tp.Server(codec, dispatcher, config=config)
    entered: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        name = frame.f_code.co_filename
        if event == "call" and name.startswith(ROOT):
            entered.add(name.removeprefix(ROOT))

    ours, theirs = memory_pair()
    async with server:
        serving = asyncio.create_task(server.handle(theirs))
        frame = codec.encode(tp.StartMission(mission_id=MISSION))
        await ours.send(frame)
        await anext(ours)
        sys.setprofile(note)
        try:
            await ours.send(frame)
            reply = await anext(ours)
        finally:
            sys.setprofile(None)
        await ours.close()
        await serving
    assert codec.decode_server_message(reply).payload == tp.AckResponse.ok()
    return entered


def test_a_command_and_its_reply_enter_few_files() -> None:
    entered = asyncio.run(files_entered())
    assert len(entered) <= MOST_FILES, "\n".join(sorted(entered))
