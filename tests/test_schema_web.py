"""The schemas, the AsyncAPI document and the TypeScript client, checked by the tools of the web.

They run where Node is, and what ``npm install`` puts into ``web/``. Elsewhere they are skipped, but
for an environment with ``WEB_REQUIRED``, where that is an error.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import attrs
import pytest
from support.conformance import VECTORS
from support.live import MISSION, TOKEN, check_token, live, serving, status_of
from support.odd_messages import odd
from support.schemas import NOT_JSON, REGISTRIES, document, parsed, validators

import tachikoma_proto as tp
from tachikoma_proto import schema
from tachikoma_proto.schema import Mode

MODES: tuple[Mode, ...] = ("read", "write")
WEB = Path(__file__).parents[1] / "web"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    not os.environ.get("WEB_REQUIRED") and (NODE is None or not (WEB / "node_modules").is_dir()),
    reason="Node, or npm install in web/, is missing",
)


def node(*arguments: str | Path, stdin: str = "", cwd: Path = WEB) -> str:
    command = [NODE or "node", *map(str, arguments)]
    ended = subprocess.run(
        command, input=stdin, capture_output=True, encoding="utf-8", cwd=cwd, timeout=120
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.parametrize("side", ["client", "server"])
@pytest.mark.parametrize("registry", REGISTRIES)
def test_ajv_has_the_same_verdicts_as_a_validator_in_rust(registry: str, side: str) -> None:
    root = {"client": "ClientMessage", "server": "ServerMessage"}[side]
    texts = [
        vector["frame"]
        for vector in VECTORS
        if vector["side"] == side and parsed(vector["frame"]) is not NOT_JSON
    ]
    request = {"schema": document(registry, "read"), "root": root, "frames": texts}
    verdicts = json.loads(node("ajv.mjs", stdin=json.dumps(request)))
    expected = validators(registry, "read", root)["jsonschema-rs"]
    differing = [
        text
        for text, verdict in zip(texts, verdicts, strict=True)
        if verdict != expected.is_valid(parsed(text)) and not is_beyond_doubles(text)
    ]
    assert not differing


def is_beyond_doubles(text: str) -> bool:
    """Whether a frame has a number that JavaScript rounds, such as 2^64."""
    return any(digits in text for digits in ("18446744073709551616", "1e999"))


@pytest.fixture(scope="module", params=REGISTRIES)
def described(request: pytest.FixtureRequest) -> str:
    servers = ["wss://tachikoma.example/ws", "ws://localhost:8765"]
    return json.dumps(schema.asyncapi(REGISTRIES[request.param], servers=servers))


NEWER_VERSION = "asyncapi-latest-version"  # 3.0 is what most tools read


def test_the_parser_of_asyncapi_finds_nothing_wrong(described: str) -> None:
    found = json.loads(node("asyncapi.mjs", stdin=described))
    assert [one for one in found if not one.startswith(NEWER_VERSION)] == []


def test_spectral_finds_nothing_wrong_with_asyncapi(described: str, tmp_path: Path) -> None:
    path = tmp_path / "asyncapi.json"
    path.write_text(described, encoding="utf-8")
    spectral = WEB / "node_modules" / "@stoplight" / "spectral-cli" / "dist" / "index.js"
    options = ["--ruleset", "spectral.yaml", "--format", "json", "--fail-severity", "error"]
    found = json.loads(node(spectral, "lint", *options, path))
    assert [one for one in found if one["code"] != NEWER_VERSION] == []


@pytest.fixture(scope="module", params=["typescript-5", "typescript-7"])
def compiled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client of both registries' messages, compiled with all that uses it."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "tachikoma.ts").write_text(schema.typescript(REGISTRIES["deploy"]), encoding="utf-8")
    scripts = ["live.ts", "scripted.ts", "resuming.ts"]
    for name in ("package.json", "tsconfig.json", "usage.ts", *scripts):
        shutil.copy(WEB / name, folder)
    (folder / "node_modules").symlink_to(WEB / "node_modules")
    tsc = WEB / "node_modules" / request.param / "bin" / "tsc"
    # The module and its types need nothing of Node; what runs it does.
    options = ["-p", "tsconfig.json"]
    configure(folder, ["tachikoma.ts", "usage.ts"], [])
    node(tsc, *options, cwd=folder)
    configure(folder, scripts, ["node"])
    node(tsc, *options, cwd=folder)
    return folder


def configure(folder: Path, files: list[str], types: list[str]) -> None:
    config = json.loads((WEB / "tsconfig.json").read_text(encoding="utf-8"))
    config["compilerOptions"] |= {"types": types, "skipLibCheck": bool(types)}
    (folder / "tsconfig.json").write_text(json.dumps({**config, "files": files}))


@pytest.mark.parametrize("compiler", ["typescript-5", "typescript-7"])
def test_the_types_of_odd_messages_compile(compiler: str, tmp_path: Path) -> None:
    source = schema.typescript(tp.Registry([odd]))
    (tmp_path / "tachikoma.ts").write_text(source, encoding="utf-8")
    shutil.copy(WEB / "package.json", tmp_path)
    configure(tmp_path, ["tachikoma.ts"], [])
    node(WEB / "node_modules" / compiler / "bin" / "tsc", "-p", "tsconfig.json", cwd=tmp_path)


def test_ajv_and_asyncapi_take_the_schemas_of_odd_messages() -> None:
    registry = tp.Registry([odd])
    for mode in MODES:
        whole = schema.json_schema(registry, mode)
        frames = ['{"type":"odd.command"}', '{"type":"pong"}']
        request = {"schema": whole, "root": "ClientMessage", "frames": frames}
        assert json.loads(node("ajv.mjs", stdin=json.dumps(request))) == [False, True]
    found = json.loads(node("asyncapi.mjs", stdin=json.dumps(schema.asyncapi(registry))))
    assert [one for one in found if not one.startswith(NEWER_VERSION)] == []


@pytest.mark.parametrize("compiler", ["typescript-5", "typescript-7"])
def test_the_typescript_of_the_guide_compiles(compiler: str, tmp_path: Path) -> None:
    guide = (WEB.parent / "docs" / "guides" / "schemas.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```ts\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL))
    (tmp_path / "page.ts").write_text(code, encoding="utf-8")
    source = schema.typescript(REGISTRIES["deploy"])
    (tmp_path / "tachikoma.ts").write_text(source, encoding="utf-8")
    shutil.copy(WEB / "package.json", tmp_path)
    configure(tmp_path, ["page.ts"], [])
    config = json.loads((tmp_path / "tsconfig.json").read_text(encoding="utf-8"))
    config["compilerOptions"]["lib"] = ["ES2022", "DOM"]
    (tmp_path / "tsconfig.json").write_text(json.dumps(config), encoding="utf-8")
    node(WEB / "node_modules" / compiler / "bin" / "tsc", "-p", "tsconfig.json", cwd=tmp_path)


def test_the_types_allow_and_refuse_what_they_should(compiled: Path) -> None:
    # tsc has refused nothing but the lines that say @ts-expect-error, and all of those.
    assert "@ts-expect-error" in (compiled / "usage.ts").read_text(encoding="utf-8")
    assert (compiled / "usage.js").exists()


def test_the_client_resumes_and_lives_with_what_it_does_not_know(compiled: Path) -> None:
    assert node("scripted.js", cwd=compiled) == "done\n"


def test_the_client_resumes_in_order_and_tells_what_it_lost(compiled: Path) -> None:
    assert node("resuming.js", cwd=compiled) == "done\n"


def test_the_client_talks_with_the_server(compiled: Path) -> None:
    run_live(compiled)


@live
async def run_live(folder: Path) -> None:
    server = tp.Server(
        tp.Codec(REGISTRIES["deploy"]),
        handlers(),
        authenticate=check_token,
        config=tp.ServerConfig(ping_interval=0.2, pong_timeout=0.2),
    )
    async with serving(server) as url:
        process = await asyncio.create_subprocess_exec(
            NODE or "node",
            "live.js",
            url,
            TOKEN,
            str(MISSION),
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
    assert output.decode() == "done\n"


def handlers() -> tp.Dispatcher[tp.Session]:
    dispatcher: tp.Dispatcher[tp.Session] = tp.Dispatcher()

    @dispatcher.handler(tp.GetMissionStatus)
    def status(command: tp.GetMissionStatus, _: tp.Session) -> tp.MissionStatusResponse:
        return attrs.evolve(status_of(command.mission_id), total_specs=10)

    @dispatcher.handler(tp.PauseMission)
    def pause(_: tp.PauseMission, __: tp.Session) -> tp.AckResponse:
        raise tp.CommandError("not_found", "mission not found")

    @dispatcher.handler(tp.StartMission)
    def start(command: tp.StartMission, session: tp.Session) -> tp.AckResponse:
        mission_id = command.mission_id
        session.server.publish(tp.MissionStarted(mission_id=mission_id))
        session.server.publish(
            tp.MissionProgress(
                mission_id=mission_id,
                current_spec="1",
                completed_specs=1,
                total_specs=2,
                percentage=50.0,
            )
        )
        return tp.AckResponse.ok()

    @dispatcher.handler(tp.ResumeMission)
    def resume(command: tp.ResumeMission, session: tp.Session) -> tp.AckResponse:
        for seconds in (2**53, 2**53 - 1):
            session.server.publish(
                tp.MissionCompleted(
                    mission_id=command.mission_id, success=True, duration_seconds=seconds
                )
            )
        return tp.AckResponse.ok()

    @dispatcher.handler(tp.CancelMission)
    async def cancel(_: tp.CancelMission, session: tp.Session) -> tp.AckResponse:
        def drop() -> None:
            session.close(1012, "restart")
            session.server.publish(
                tp.ForgeLog(session_id=MISSION, level="info", message="while nobody was there")
            )

        asyncio.get_running_loop().call_soon(drop)
        return tp.AckResponse.ok()

    return dispatcher
