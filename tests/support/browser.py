"""The page of the dashboard in Chromium.

Where Playwright or Chromium is missing, tests that import this are skipped, but for an environment
with ``DASHBOARD_REQUIRED``, where that is an error.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

IS_REQUIRED = bool(os.environ.get("DASHBOARD_REQUIRED"))

try:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        Locator,
        Page,
        Request,
        WebSocket,
        expect,
        sync_playwright,
    )
except ImportError:
    if IS_REQUIRED:
        raise
    pytest.skip("Playwright is not installed", allow_module_level=True)

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

if CHROMIUM is None:
    assert not IS_REQUIRED, "Chromium is not installed"
    pytest.skip("Chromium is not installed", allow_module_level=True)

PATIENCE = 20.0
"""After how many seconds what should be on the page is taken not to come."""

expect.set_options(timeout=PATIENCE * 1000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser, to which attacker.example is this machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--host-resolver-rules=MAP attacker.example 127.0.0.1"]
        )
        yield browser
        browser.close()


class Tab:
    """The page in a tab, and all that the browser did for it.

    Attributes:
        page: Playwright's.
        requests: Every request.
        frames: Every WebSocket frame, of either direction.
        complaints: What was logged or not caught.
        expected: Complaints that are not taken for failures: parts of their texts.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.requests: list[Request] = []
        self.frames: list[str] = []
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("websocket", self._watch)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _watch(self, socket: WebSocket) -> None:
        for event in ("framesent", "framereceived"):
            socket.on(event, lambda text: self.frames.append(str(text)))

    def open(self, address: str) -> "Tab":
        self.page.goto(address)
        expect(self.state).to_have_text("Connected.")
        return self

    @property
    def state(self) -> Locator:
        return self.page.locator(".state")

    def section(self, title: str) -> Locator:
        """The section whose heading begins with a title."""
        heading = self.page.get_by_role("heading", level=2, name=re.compile(f"^{title}"))
        return self.page.locator("section").filter(has=heading)

    def card(self, name: str) -> Locator:
        """The card of a mission."""
        heading = self.page.get_by_role("heading", level=3, name=name, exact=True)
        return self.page.locator(".card").filter(has=heading)

    def press(self, action: str, name: str) -> None:
        self.page.get_by_role("button", name=f"{action} {name}", exact=True).click()

    def surprises(self) -> list[str]:
        return [one for one in self.complaints if not any(part in one for part in self.expected)]


__all__ = [
    "IS_REQUIRED",
    "Browser",
    "BrowserContext",
    "Locator",
    "Page",
    "Tab",
    "chromium",
    "expect",
]
