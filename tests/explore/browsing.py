"""A real browser on the explorer's page, without a server: what the page asks for is answered here, and nothing else exists."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from maskdial.explore.answers import Answers
from maskdial.explore.meta import meta
from maskdial.explore.module import module
from maskdial.explore.page import ICON, POLICY, served
from maskdial.explore.texts import FIRST

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"]
ORIGIN = "http://maskdial.test"
SETTLED = """() => { const { settled, asking } = document.querySelector('[data-settled]').dataset;
    return settled === 'true' && !(asking > 0) }"""
TEXT = "The cat sat on the mat because it was warm and quiet."


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser, or a skip that says what is missing."""
    tools = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with tools.sync_playwright() as started:
        made = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield made
        made.close()


@cache
def answers() -> Answers:
    return Answers()


@cache
def first() -> dict[str, Any]:
    return answers()(FIRST)


@cache
def known() -> dict[str, Any]:
    return meta()


class Visit:
    """One page. `asked` are the requests it sent, `said` is everything the browser complained about."""

    def __init__(self, browser: Any, link: str = "", *, reply: Callable[[Any], Any] | None = None, page: str | None = None, **context: Any):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "reduced_motion": "reduce"} | context)
        self.asked: list[Any] = []
        self.said: list[str] = []
        self.reply = reply or answers()
        self.html = page or served(known(), first(), "token")
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.said.append(message.text) if message.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.route("**/*", self.gate)
        self.page.goto(f"{ORIGIN}/{link}")
        self.page.get_by_test_id("maskdial").wait_for()

    def gate(self, route: Any) -> None:
        """What the page may fetch; everything else is a complaint."""
        path = route.request.url.removeprefix(ORIGIN).partition("#")[0]
        if path == "/":
            route.fulfill(body=self.html, content_type="text/html; charset=utf-8", headers={"content-security-policy": POLICY})
        elif path == "/ui/explorer.js":
            route.fulfill(body=module(), content_type="text/javascript; charset=utf-8")
        elif path == "/ui/icon.svg":
            route.fulfill(body=ICON, content_type="image/svg+xml")
        elif path == "/api/sample":
            self.asked.append(route.request.post_data_json)
            made = self.reply(self.asked[-1])
            if made is None:
                route.abort()
            else:
                route.fulfill(body=json.dumps(made), content_type="application/json")
        else:
            self.said.append(route.request.url)
            route.abort()

    # --- what is on the page ------------------------------------------------------------------------------------------

    def get(self, name: str) -> Any:
        return self.page.get_by_test_id(name)

    def tokens(self, stream: str = "source") -> Any:
        return self.get(f"strip-{stream}").get_by_test_id("token")

    def attributes(self, name: str, stream: str = "source") -> list[str]:
        """An attribute of every token of a strip."""
        return self.tokens(stream).evaluate_all("(all, name) => all.map((one) => one.dataset[name])", name)

    def sentence(self) -> str:
        return str(self.get("row-sentence").inner_text())

    def visible(self, panel: str = "source.self") -> list[list[bool]]:
        """The cells of a panel."""
        script = """(rows) => rows.filter((row) => row.dataset.row !== undefined)
            .map((row) => [...row.querySelectorAll('[data-testid=cell]')].map((cell) => cell.dataset.seen === 'true'))"""
        found: list[list[bool]] = self.page.locator(f"[data-panel='{panel}'] [role=row]").evaluate_all(script)
        return found

    def settle(self, wanted: str | None = None) -> None:
        """Until every answer is drawn and the address is written."""
        # what is typed waits a quarter of a second before it is asked about
        self.page.wait_for_timeout(300)
        self.page.wait_for_function(SETTLED)
        if wanted:
            there = "(text) => document.querySelector('[data-testid=row-sentence]')?.textContent.includes(text)"
            self.page.wait_for_function(there, arg=wanted)

    def at(self, objective: str, rest: str = "") -> None:
        """Follow a link within the page, as the address bar would, and wait for its sample."""
        self.page.evaluate("(link) => { location.hash = link }", f"v=1&o={objective}{rest}")
        self.drawn(objective)
        if rest:
            self.settle()

    def choose(self, name: str) -> None:
        self.get(f"objective-{name}").click()
        self.drawn(name)

    def drawn(self, name: str) -> None:
        """Until the picture is one of this objective."""
        self.page.wait_for_function("(name) => document.querySelector('[data-drawn]')?.dataset.drawn === name", arg=name, timeout=20_000)

    def close(self) -> None:
        self.context.close()


def seen(view: dict[str, Any], panel: str = "source.self") -> list[list[bool]]:
    """The cells of a panel as the document says them."""
    found = next(one for one in view["attn"] if one["id"] == panel)
    size = len(next(stream for stream in view["streams"] if stream["id"] == found["k"])["tokens"])
    return [[any(low <= k < high for low, high in row) for k in range(size)] for row in found["rows"]]


def asked(**request: Any) -> dict[str, Any]:
    """A request as the page sends it."""
    usual = {"objective": "gpt", "options": {}, "text": TEXT, "second": None, "tokenizer": "words", "seed": 0, "hide": None, "force": {}}
    return usual | request
