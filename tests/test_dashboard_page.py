"""The page in a browser: what is shown is what was sent, whatever is sent and however it goes.

Pictures of the page go to the folder that ``DASHBOARD_PICTURES`` names.
"""

import contextlib
import json
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from attrs import frozen
from support.browser import IS_REQUIRED, Browser, BrowserContext, Page, Tab, chromium, expect

import tachikoma_proto as tp

pytest.importorskip("websockets")

from support.cli_process import INTERRUPTIBLE, started, without_debug
from support.dashboard import TOKEN, Exhibition, exhibited

from tachikoma_proto.cli.demo.simulation import PLANS

WEB = Path(__file__).parents[1] / "web" / "dashboard"
MAX_LOAD = 150 * 1024
"""How many bytes the network may carry for a load of the page."""

LONGEST_GAP = 1000
"""For how many milliseconds the page may stand still in a burst, where other things run as well."""

MISSION = UUID("67e55044-10b1-426f-9247-bb680e5fe0c8")
SESSION = UUID("16fd2706-8baf-433b-82eb-8c7fada847da")

weather = tp.Category("weather", topic="weathers")


@weather.event("rained")
@frozen(kw_only=True)
class Rained(tp.Event):
    place: str
    millimetres: tp.U32


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(locale="en-GB", timezone_id="UTC")
    yield context
    context.close()


@pytest.fixture
def exhibition() -> Iterator[Exhibition]:
    with exhibited() as exhibition:
        yield exhibition


@pytest.fixture
def tab(context: BrowserContext, exhibition: Exhibition) -> Iterator[Tab]:
    """The page, open and connected; nothing may be asked for elsewhere, or go wrong unseen."""
    tab = Tab(context).open(exhibition.address)
    yield tab
    hosts = {request.url.split("/")[2] for request in tab.requests}
    assert hosts == {exhibition.origin.removeprefix("http://")}
    assert tab.surprises() == []


@pytest.fixture
def picture(tmp_path: Path) -> Callable[[Page, str], None]:
    """Take a picture of a page."""
    folder = Path(os.environ.get("DASHBOARD_PICTURES") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def take(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return take


def published(exhibition: Exhibition, kind: type[Any]) -> list[Any]:
    return exhibition.run(lambda: [e for e in exhibition.simulation.published if type(e) is kind])


def numbers(texts: Sequence[str]) -> list[float]:
    return [float(text.replace(",", "")) for text in texts]


class TestWhatIsShown:
    def test_the_missions_of_the_demo_are_shown_as_they_were(
        self, exhibition: Exhibition, tab: Tab, picture: Callable[[Page, str], None]
    ) -> None:
        exhibition.run(exhibition.simulation.create_missions)
        token, index, all_of_it = PLANS
        for name in PLANS:
            expect(tab.card(name).locator(".badge")).to_have_text("created")
            tab.press("Start", name)
        expect(tab.section("Logs").locator(".lines li")).to_have_count(2)
        tab.press("Pause", token)
        expect(tab.card(token).locator(".badge")).to_have_text("paused")
        tab.press("Resume", token)
        tab.press("Cancel", all_of_it)
        for name, end in {token: "completed", index: "failed", all_of_it: "cancelled"}.items():
            expect(tab.card(name).locator(".badge")).to_have_text(end)
        expect(tab.section("Server").locator("dd").first).to_have_text("idle")
        tab.page.set_viewport_size({"width": 1280, "height": 960})
        picture(tab.page, "dashboard")

        missions = exhibition.run(lambda: list(exhibition.simulation.missions.values()))
        for mission in missions:
            card = tab.card(mission.name)
            expect(card.locator(".id")).to_have_text(str(mission.id))
            bar = card.get_by_role("progressbar", name=f"Progress of {mission.name}")
            assert bar.get_attribute("value") == f"{mission.percentage:g}"
            if mission.error is not None:
                expect(card.locator(".error")).to_have_text(mission.error)
        logged = [event.message for event in published(exhibition, tp.ForgeLog)]
        assert tab.section("Logs").locator(".text").all_inner_texts() == logged[::-1]
        usages = published(exhibition, tp.ForgeTokenUsage)
        assert numbers(tab.section("Tokens").locator("dd").all_inner_texts()) == [
            sum(event.input_tokens for event in usages),
            sum(event.output_tokens for event in usages),
            pytest.approx(sum(event.total_cost for event in usages), abs=1e-4),
        ]
        sessions = tab.section("Forge").locator("tbody tr")
        begun = published(exhibition, tp.ForgeStarted)
        specs = [event.spec_id for event in begun]
        assert sessions.locator("td:nth-child(3)").all_inner_texts() == specs[::-1]
        runs = published(exhibition, tp.ForgeToolExecution)
        assert sorted(sessions.locator(".tools li").all_inner_texts()) == sorted(
            f"{event.tool_name} {event.status}" for event in runs
        )

    def test_what_the_server_refuses_is_shown_beside_the_mission(
        self, exhibition: Exhibition, tab: Tab
    ) -> None:
        exhibition.run(exhibition.simulation.create_missions)
        (name, *_) = PLANS
        tab.press("Resume", name)
        refusal = "Resume: the mission is created"
        expect(tab.card(name).locator(".refusal")).to_have_text(refusal)
        expect(tab.page.locator(".unseen")).to_have_text(f"{name}: {refusal}")
        tab.press("Start", name)
        expect(tab.card(name).locator(".refusal")).to_have_count(0)
        exhibition.publish(tp.MissionCreated(mission_id=MISSION, name="of another server"))
        tab.press("Start", "of another server")
        refusal = "Start: mission not found (not_found)"
        expect(tab.card("of another server").locator(".refusal")).to_have_text(refusal)

    def test_a_mission_whose_id_is_entered_is_shown(
        self, exhibition: Exhibition, context: BrowserContext, tab: Tab
    ) -> None:
        with exhibited() as other:
            other.run(other.simulation.create_missions)
            mission_id = str(next(iter(other.run(lambda: dict(other.simulation.missions)))))
            page = Tab(context).open(other.address).page
            expect(page.locator(".card")).to_have_count(3)  # of events; here it is of none
            page.get_by_label("Mission id").fill(mission_id.upper())
            page.keyboard.press("Enter")
            expect(page.locator(".card")).to_have_count(3)
            page.get_by_label("Mission id").fill(str(MISSION))
            page.get_by_role("button", name="Show", exact=True).click()
            refusal = "Status: mission not found (not_found)"
            expect(page.locator(".card .refusal")).to_have_text(refusal)
        tab.page.get_by_label("Mission id").fill("x")
        tab.page.keyboard.press("Enter")
        expect(tab.page.get_by_role("alert")).to_have_text("That is no UUID.")

    def test_maintenance_and_new_versions_are_shown(self, exhibition: Exhibition, tab: Tab) -> None:
        exhibition.publish(
            tp.Maintenance(message="new disks", starts_at="at noon", duration_minutes=90),
            tp.VersionUpdate(current_version="1.0", new_version="1.1"),
            tp.ServerStatus(status="busy", active_missions=1234, active_sessions=2),
        )
        system = tab.section("Server")
        expect(system).to_contain_text("new disks · at at noon, for 90 minutes")
        expect(system).to_contain_text("Version 1.0 becomes 1.1.")
        expect(system.locator("dd")).to_have_text(["busy", "1,234", "2"])
        expect(tab.page.locator(".unseen")).to_have_text("Maintenance: new disks")

    def test_logs_are_narrowed_by_level_and_search(self, exhibition: Exhibition, tab: Tab) -> None:
        levels = ["debug", "INFO", "warn", "error", "odd"]
        exhibition.publish(
            *(tp.ForgeLog(session_id=SESSION, level=one, message=f"of {one}") for one in levels)
        )
        logs = tab.section("Logs")
        lines = logs.locator(".lines .text")
        expect(lines).to_have_text(["of odd", "of error", "of warn", "of INFO", "of debug"])
        logs.get_by_label("From level").select_option("warn")
        expect(lines).to_have_text(["of error", "of warn"])
        logs.get_by_label("Search").fill("OF W")
        expect(lines).to_have_text(["of warn"])
        logs.get_by_label("Search").fill("nothing")
        expect(logs).to_contain_text("None is like that.")
        logs.get_by_label("Search").fill("")
        logs.get_by_label("From level").select_option("debug")
        hold = logs.get_by_role("button", name="Hold")
        hold.click()
        expect(hold).to_have_attribute("aria-pressed", "true")
        exhibition.publish(tp.ForgeLog(session_id=SESSION, level="info", message="later"))
        expect(tab.section(r"Logs \(6\)")).to_be_visible()
        expect(lines).to_have_count(5)
        hold.click()
        expect(lines.first).to_have_text("later")

    def test_frames_are_shown_with_their_typed_form(self, exhibition: Exhibition, tab: Tab) -> None:
        event = tp.MissionFailed(mission_id=MISSION, error="no")
        exhibition.publish(event)
        frames = tab.section("Frames")
        newest = frames.locator(".lines li").first
        expect(newest.locator("summary")).to_contain_text("received MissionFailed")
        newest.locator("summary").click()
        typed, raw = newest.locator("pre").all_inner_texts()
        assert typed == (
            'MissionFailed {\n  category: "mission",\n  event: "failed",\n'
            f'  mission_id: "{MISSION}",\n  error: "no",\n}}'
        )
        assert raw == tab.frames[-1]
        assert tp.Codec().decode_server_message(raw).payload == event
        frames.get_by_label("Search").fill("subscribe")
        expect(frames.locator("summary .text").last).to_have_text("Subscribe")

    def test_events_of_unknown_categories_are_shown_as_they_are(
        self, context: BrowserContext
    ) -> None:
        event = Rained(place="<b>Niihama</b>", millimetres=3)
        with exhibited(weather, topics=["weathers"]) as exhibition:
            tab = Tab(context).open(exhibition.address)
            exhibition.publish(event)
            line = tab.section(r"Other events \(1\)").locator(".lines li")
            expect(line.locator("summary")).to_contain_text("event.weather")
            line.locator("summary").click()
            tags = {"category": "weather", "event": "rained"}
            fields = {"place": event.place, "millimetres": event.millimetres}
            assert json.loads(line.locator("pre").inner_text()) == {**tags, **fields}
        assert tab.surprises() == []

    def test_a_topic_that_is_entered_is_watched(self, context: BrowserContext) -> None:
        with exhibited(weather) as exhibition:
            tab = Tab(context).open(exhibition.address)
            others = tab.section("Other events")
            for topic, says in {
                "nowhere": "nowhere cannot be watched",
                "weathers": "Watching weathers",
            }.items():
                others.get_by_label("Topic").fill(topic)
                others.get_by_role("button", name="Watch").click()
                expect(tab.page.locator(".unseen")).to_have_text(says)
            exhibition.publish(Rained(place="here", millimetres=1))
            expect(tab.section(r"Other events \(1\)")).to_be_visible()
            tab.page.get_by_text("Problems (1)").click()
            expect(tab.page.locator(".problems li")).to_have_text(
                "nowhere: topic not found (not_found)"
            )

    def test_a_number_that_javascript_would_round_is_a_problem_and_no_more(
        self, exhibition: Exhibition, tab: Tab
    ) -> None:
        exhibition.publish(
            tp.MissionCompleted(mission_id=MISSION, success=True, duration_seconds=2**60),
            tp.MissionCreated(mission_id=SESSION, name="the next"),
        )
        expect(tab.card("the next")).to_be_visible()
        tab.page.get_by_text(re.compile("^Problems")).click()
        expect(tab.page.locator(".problems li").first).to_contain_text(
            "$.payload.duration_seconds: an integer beyond"
        )


class TestConnection:
    def test_a_connection_that_is_lost_heals(self, exhibition: Exhibition, tab: Tab) -> None:
        tab.expected = ("WebSocket connection", "Failed to load resource")
        exhibition.run(exhibition.simulation.create_missions)
        (name, *_) = PLANS
        expect(tab.card(name)).to_be_visible()
        exhibition.cut()
        exhibition.publish(tp.MissionCreated(mission_id=SESSION, name="of when it was away"))
        expect(tab.state).to_have_text("Connected. Connected again 1 time.")
        expect(tab.card("of when it was away")).to_be_visible()
        tab.press("Start", name)
        expect(tab.card(name).locator(".badge")).to_have_text("running")

        exhibition.stop()
        expect(tab.state).to_have_class(re.compile("disconnected"))
        why = f"Disconnected: cannot connect to {exhibition.url}: Connection refused"
        expect(tab.state).to_contain_text(why)
        tab.press("Pause", name)
        expect(tab.card(name).locator(".refusal")).to_have_text("Pause: not connected")

        exhibition.restart()
        lost = "events may be missing on missions, forge_sessions, system."
        expect(tab.state).to_contain_text(f"Connected; {lost} Connected again 2 times.")
        exhibition.publish(tp.MissionCreated(mission_id=MISSION, name="after the restart"))
        expect(tab.card("after the restart")).to_be_visible()
        # What is no longer there is said not to be.
        refusal = "Status: mission not found (not_found)"
        expect(tab.card(name).locator(".refusal")).to_have_text(refusal)

    def test_a_server_that_comes_later_is_connected_to(
        self, context: BrowserContext, exhibition: Exhibition
    ) -> None:
        exhibition.stop()
        tab = Tab(context)
        tab.page.goto(exhibition.address)
        why = f"Not connected: cannot connect to {exhibition.url}: Connection refused"
        expect(tab.state).to_have_text(why)
        exhibition.restart()
        expect(tab.state).to_have_text("Connected.")
        exhibition.publish(tp.MissionCreated(mission_id=MISSION, name="later"))
        expect(tab.card("later")).to_be_visible()


HOSTILE = [
    "<img src=x onerror='window.hacked=1'>",
    "<script>window.hacked=1</script>",
    "</span><svg/onload=window.hacked=1>",
    "javascript:window.hacked=1",
    "{{constructor.constructor('window.hacked=1')()}}",
    "\u202egnirts desrever",
    "&lt;b&gt; &amp;",
    "constructor",
    "__proto__",
    "a" * 150,
]


class TestHostileText:
    def test_names_logs_and_all_other_text_is_shown_as_text(
        self, exhibition: Exhibition, tab: Tab
    ) -> None:
        missions = [uuid4() for _ in HOSTILE]
        for mission_id, text in zip(missions, HOSTILE, strict=True):
            session_id = uuid4()
            exhibition.publish(
                tp.MissionCreated(mission_id=mission_id, name=text),
                tp.MissionStatusChanged(mission_id=mission_id, old_status="", new_status=text),
                tp.ForgeStarted(session_id=session_id, mission_id=mission_id, spec_id=text),
                tp.ForgeToolExecution(session_id=session_id, tool_name=text, status=text),
                tp.ForgeLog(session_id=session_id, level=text[:20], message=text),
                tp.Maintenance(message=text, starts_at=text, duration_minutes=1),
                tp.ServerStatus(status=text, active_missions=0, active_sessions=0),
                tp.VersionUpdate(current_version=text, new_version=text),
                tp.MissionFailed(mission_id=mission_id, error=text),
            )
        count = len(HOSTILE)
        expect(tab.section(rf"Missions \({count}\)").locator(".error")).to_have_count(count)
        names = tab.section("Missions").locator("h3").all_text_contents()
        assert names == HOSTILE[::-1]
        assert tab.section("Logs").locator(".text").all_text_contents() == HOSTILE[::-1]
        specs = tab.section("Forge").locator("td:nth-child(3)").all_text_contents()
        assert specs == HOSTILE[::-1]
        tab.page.locator(".lines summary").first.click()
        for element in ("img", "script:not([src])", "svg", "iframe", "b"):
            expect(tab.page.locator(f"body {element}")).to_have_count(0)
        assert tab.page.evaluate("window.hacked") is None
        assert is_as_wide_as_its_window(tab.page)

    def test_what_is_very_long_is_cut(self, exhibition: Exhibition, tab: Tab) -> None:
        exhibition.publish(
            tp.MissionCreated(mission_id=MISSION, name="n" * 50_000),
            tp.ForgeLog(session_id=SESSION, level="info", message="m" * 50_000),
        )
        message = tab.section("Logs").locator(".text")
        expect(message).to_have_text("m" * 2000 + "…")
        expect(tab.page.locator(".card h3")).to_have_text("n" * 200 + "…")


class TestBurst:
    def test_ten_thousand_events_leave_the_page_responsive(
        self, exhibition: Exhibition, tab: Tab
    ) -> None:
        tab.page.evaluate(
            """() => {
              window.longest = 0;
              let last = performance.now();
              const look = (now) => {
                window.longest = Math.max(window.longest, now - last);
                last = now;
                requestAnimationFrame(look);
              };
              requestAnimationFrame(look);
            }"""
        )
        sessions = [uuid4() for _ in range(100)]
        events: list[tp.Event] = [
            tp.ForgeLog(session_id=sessions[number % 100], level="info", message=f"line {number}")
            if number % 2
            else tp.ForgeTokenUsage(
                session_id=sessions[number % 100],
                input_tokens=number + 1,
                output_tokens=1,
                total_cost=0.5,
            )
            for number in range(9_998)
        ]
        events.append(tp.MissionCreated(mission_id=MISSION, name="the last"))
        events.append(tp.MissionStarted(mission_id=MISSION))
        publishing = threading.Thread(target=exhibition.publish, args=events)
        publishing.start()
        # A person looks for something in the meantime.
        tab.section("Logs").get_by_label("Search").fill("line 9997")
        publishing.join()
        expect(tab.card("the last").locator(".badge")).to_have_text("running")
        expect(tab.section("Logs").locator(".text")).to_have_text(["line 9997"])
        expect(tab.section(r"Logs \(4999\)")).to_be_visible()
        assert tab.page.evaluate("window.longest") < LONGEST_GAP
        assert tab.page.locator("*").count() < 3_000, "what is drawn is bounded"
        assert tab.page.locator(".problems").count() == 0, "nothing was missed"

    def test_what_is_kept_is_bounded(self, exhibition: Exhibition, tab: Tab) -> None:
        exhibition.publish(
            *(
                tp.ForgeLog(session_id=SESSION, level="info", message=f"line {number} of it")
                for number in range(2_500)
            ),
            *(tp.MissionCreated(mission_id=uuid4(), name=f"m {number}") for number in range(250)),
        )
        logs = tab.section("Logs")
        expect(tab.section(r"Missions \(200\)").locator(".card")).to_have_count(50)
        expect(logs.locator(".text")).to_have_count(200)
        logs.get_by_label("Search").fill("line 499 of it")
        expect(logs).to_contain_text("None is like that.")
        logs.get_by_label("Search").fill("line 500 of it")
        expect(logs.locator(".text")).to_have_count(1)


class TestSecrets:
    def test_the_token_is_nowhere_in_the_browser(self, exhibition: Exhibition, tab: Tab) -> None:
        exhibition.cut()
        expect(tab.state).to_contain_text("Connected again 1 time.")
        bodies = []
        for request in tab.requests:
            response = request.response()
            if response is not None and response.status == 200:
                bodies += [response.text(), json.dumps(response.all_headers())]
            bodies += [request.url, json.dumps(request.all_headers())]
        stored = tab.page.evaluate(
            "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, "
            "location.href, history.state, document.documentElement.outerHTML])"
        )
        assert len(tab.frames) > 8
        everything = "\n".join([*bodies, *tab.frames, stored])
        assert TOKEN not in everything
        assert "authenticate" not in "\n".join(tab.frames)

    def test_an_address_opens_one_page(
        self, browser: Browser, context: BrowserContext, exhibition: Exhibition
    ) -> None:
        address = exhibition.address
        tab = Tab(context).open(address)
        assert "#" not in tab.page.url, "it is not left in the history"
        tab.page.reload()
        expect(tab.state).to_have_text("Connected.")
        tab.page.goto(f"{exhibition.origin}/#missions")
        expect(tab.state).to_have_text("Connected.")
        with contextlib.closing(browser.new_context()) as other:
            for used in (address, exhibition.origin):
                page = other.new_page()
                page.goto(used)
                expect(page.get_by_role("alert")).to_contain_text("An address of this page")
                expect(page.locator("section")).to_have_count(0)
            Tab(other).open(exhibition.address)

    def test_a_page_whose_process_was_started_anew_says_so(
        self, context: BrowserContext, exhibition: Exhibition
    ) -> None:
        tab = Tab(context).open(exhibition.address)
        exhibition.run(exhibition.dashboard._access._keys.clear)
        exhibition.cut()
        expect(tab.page.get_by_role("alert")).to_contain_text("An address of this page")


ATTACK = """async ([origin, key]) => {
  const tried = {};
  const headers = { Authorization: `Bearer ${key}` };
  for (const path of ["about", "session", ""]) {
    for (const options of [{ headers }, {}, { mode: "no-cors" }, { credentials: "include" }]) {
      const name = `${path} ${JSON.stringify(Object.keys(options))}`;
      tried[name] = await fetch(`${origin}/${path}`, options)
        .then((answer) => answer.text(), () => "");
    }
  }
  for (const protocols of [[], ["tachikoma.dashboard", key]]) {
    tried[`socket ${protocols.length}`] = await new Promise((resolve) => {
      const socket = new WebSocket(`${origin.replace("http", "ws")}/socket`, protocols);
      socket.onopen = () => resolve("open");
      socket.onerror = () => resolve("");
    });
  }
  tried.script = await new Promise((resolve) => {
    const script = document.createElement("script");
    script.onload = () => resolve("loaded");
    script.onerror = () => resolve("");
    script.src = `${origin}/dashboard.js`;
    document.head.append(script);
  });
  const opened = window.open(`${origin}/`);
  await new Promise((resolve) => setTimeout(resolve, 500));
  try {
    tried.opened = opened === null ? "" : opened.sessionStorage.length + opened.location.href;
  } catch {
    tried.opened = "";
  }
  const frame = document.createElement("iframe");
  frame.src = `${origin}/`;
  document.body.append(frame);
  await new Promise((resolve) => (frame.onload = resolve));
  try {
    tried.frame = frame.contentWindow.document.getElementById("app") === null ? "" : "read";
  } catch {
    tried.frame = "";
  }
  return tried;
}"""


class Elsewhere(BaseHTTPRequestHandler):
    """Another page on this machine."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another page</title>")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of another page on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


class TestOtherPages:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "attacker.example"])
    def test_another_page_gets_nothing_even_if_it_knows_the_key(
        self, host: str, exhibition: Exhibition, context: BrowserContext, elsewhere: int
    ) -> None:
        tab = Tab(context).open(exhibition.address)
        key = tab.page.evaluate("sessionStorage.getItem('tachikoma.key')")
        assert key
        page = context.new_page()
        page.goto(f"http://{host}:{elsewhere}/")
        assert page.evaluate("sessionStorage.length") == 0
        tried = page.evaluate(ATTACK, [exhibition.origin, key])
        assert len(tried) == 17
        assert {name: got for name, got in tried.items() if got} == {}
        # It opened the page, which has no key there; ours goes on.
        expect(tab.state).to_have_text("Connected.")

    def test_a_name_that_resolves_to_this_machine_is_not_this_page(
        self, exhibition: Exhibition, context: BrowserContext
    ) -> None:
        page = context.new_page()
        port = exhibition.origin.rpartition(":")[2]
        answer = page.goto(f"http://attacker.example:{port}/")
        assert answer is not None
        assert answer.status == 421


def is_as_wide_as_its_window(page: Page) -> bool:
    wide: bool = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return wide


def fill(exhibition: Exhibition, tab: Tab) -> None:
    """Have something in every section."""
    exhibition.run(exhibition.simulation.create_missions)
    for name in PLANS:
        tab.press("Start", name)
    _, index, _ = PLANS
    expect(tab.card(index).locator(".badge")).to_have_text("failed")
    exhibition.publish(
        tp.Maintenance(message="new disks", starts_at="2026-01-02", duration_minutes=9)
    )
    tab.press("Start", index)
    expect(tab.card(index).locator(".refusal")).to_be_visible()


class TestEverybody:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [320, 1280])
    def test_axe_finds_nothing_wrong(
        self,
        scheme: Any,
        width: int,
        exhibition: Exhibition,
        tab: Tab,
        picture: Callable[[Page, str], None],
    ) -> None:
        axe = WEB / "node_modules" / "axe-core" / "axe.min.js"
        if not IS_REQUIRED and not axe.exists():
            pytest.skip("npm install in web/dashboard is missing")
        tab.page.emulate_media(color_scheme=scheme)
        tab.page.set_viewport_size({"width": width, "height": 900})
        fill(exhibition, tab)
        picture(tab.page, f"dashboard-{scheme}-{width}")
        assert is_as_wide_as_its_window(tab.page)
        tab.page.evaluate(axe.read_text(encoding="utf-8"))
        found = tab.page.evaluate("axe.run().then((results) => results.violations)")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []

    def test_everything_can_be_done_with_the_keyboard(
        self, exhibition: Exhibition, tab: Tab
    ) -> None:
        exhibition.run(exhibition.simulation.create_missions)
        (name, *_) = PLANS
        expect(tab.card(name)).to_be_visible()
        page = tab.page
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the missions")).to_be_focused()
        page.keyboard.press("Enter")
        reached: set[str] = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            found = page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.id")
            reached.add(found or "")
            if found == f"Start {name}":
                page.keyboard.press("Enter")
                expect(tab.card(name).locator(".badge")).to_have_text("running")
                # What is drawn anew keeps the focus.
                button = page.get_by_role("button", name=f"Start {name}")
                expect(button).to_be_focused()
        assert reached >= {"mission-id", "log-level", "log-search", "topic", "frame-search"}
        assert reached >= {f"{action} {name}" for action in ("Start", "Pause", "Resume", "Cancel")}

    def test_a_screen_reader_is_told_what_happens(self, exhibition: Exhibition, tab: Tab) -> None:
        expect(tab.page.get_by_role("status").first).to_have_text("Connected.")
        assert tab.page.locator(".unseen").get_attribute("aria-live") == "polite"
        exhibition.publish(tp.ForgeLog(session_id=SESSION, level="info", message="hello"))
        # A burst of logs would drown all else.
        expect(tab.page.get_by_role("log")).to_have_attribute("aria-live", "off")


def test_the_demo_waits_for_its_page_and_goes_on_with_new_missions(context: BrowserContext) -> None:
    process = started("demo", "--dashboard", "--speed", "20", program=INTERRUPTIBLE)
    assert process.stdout is not None
    try:
        tab = Tab(context).open(process.stdout.readline().strip())
        token, index, all_of_it = PLANS
        expect(tab.card(token).locator(".badge")).to_have_text("running")
        question = "the migration wants to be looked at"
        expect(tab.section("Logs").locator(".text")).to_have_text(question)
        tab.press("Resume", token)
        tab.press("Start", index)
        tab.press("Start", all_of_it)
        tab.press("Cancel", all_of_it)
        expect(tab.section(r"Missions \(6\)")).to_be_visible()
        frames = [tp.Codec().decode_server_message(one) for one in tab.frames if "reply_to" in one]
        assert not [one for one in frames if isinstance(one.payload, tp.ErrorResponse)]
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert len(without_debug(err)) == 1, "the next address"
    assert tab.surprises() == []


def test_a_load_of_the_page_is_small(exhibition: Exhibition, context: BrowserContext) -> None:
    page = context.new_page()
    sizes: list[float] = []
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(exhibition.address, wait_until="networkidle")
    expect(page.locator(".state")).to_have_text("Connected.")
    assert len(sizes) == 6, "the page, its script, style and icon, the session, and what it is of"
    assert sum(sizes) < MAX_LOAD
