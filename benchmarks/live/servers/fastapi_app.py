"""FastAPI, uvicorn and pydantic: the usual endpoint, with strict models.

Rules:

* The models and unions are those of the codec's benchmark, in a ``TypeAdapter`` made once.
* The endpoint is the loop of FastAPI's documentation.
* uvicorn has the protocol that it chooses by itself, ``websockets`` without its asyncio part; the
  loop is asyncio's, since nobody else has uvloop; nothing is logged for a request.
"""

import socket
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid4

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import TypeAdapter, ValidationError

from benchmarks.live.work import PROGRESS
from benchmarks.models.pydantic_frames import ClientMessage, Outgoing
from benchmarks.models.pydantic_payloads import Error, GetMissionStatus, MissionStatusResult

app = FastAPI()

_commands: Final[TypeAdapter[Any]] = TypeAdapter(ClientMessage)
_StatusMessage: Final = Outgoing[Literal["mission_status_result"], MissionStatusResult]
_ErrorMessage: Final = Outgoing[Literal["error"], Error]


@app.websocket("/")
async def endpoint(websocket: WebSocket) -> None:
    """Answer the commands of one connection."""
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(_answer(await websocket.receive_text()))
    except WebSocketDisconnect:
        pass


async def serve(listening: socket.socket) -> None:
    """Serve a listening socket for good."""
    config = uvicorn.Config(
        app,
        loop="asyncio",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
    await uvicorn.Server(config).serve(sockets=[listening])


def _answer(text: str) -> str:
    try:
        message = _commands.validate_json(text)
    except ValidationError as error:
        return _refusal(None, "invalid_message", str(error))
    match message.payload:
        case GetMissionStatus(mission_id=mission_id):
            reply = _StatusMessage(
                id=uuid4(),
                type="mission_status_result",
                timestamp=datetime.now(UTC),
                reply_to=message.id,
                payload=MissionStatusResult(mission_id=mission_id, **PROGRESS),
            )
            return reply.model_dump_json(exclude_none=True)
        case other:
            return _refusal(message.id, "unknown_message", type(other).__name__)


def _refusal(reply_to: UUID | None, code: str, message: str) -> str:
    return _ErrorMessage(
        id=uuid4(),
        type="error",
        timestamp=datetime.now(UTC),
        reply_to=reply_to,
        payload=Error(code=code, message=message),
    ).model_dump_json(exclude_none=True)
