"""The page in a real browser: offline, quiet, accessible in both themes, no sideways scrolling, printable."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maskdial.report import build
from tests.report.fixture import make

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as tools:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run"]
        made = tools.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield made
        made.close()


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything at once: three seeds, an objective that broke off, names that are long."""
    names = ["gpt", "bert", "prefix-lm", "t5", "bart", "bert-with-whole-words-and-a-long-name"]
    return build(make(tmp_path_factory.mktemp("browser") / "failed", names=names, seeds=3, failed="bart"))


def opened(browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> tuple[Any, list[str]]:
    """The page with the network blocked, and everything the browser complained about."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))

    def gate(route: Any) -> None:
        if route.request.url.startswith("file://"):
            route.continue_()
        else:
            said.append(route.request.url)
            route.abort()

    page.route("**/*", gate)
    page.goto(path.resolve().as_uri())
    return page, said


def test_it_opens_offline_and_without_complaint(browser, folder):
    page, said = opened(browser, folder / "report.html")
    assert page.locator("#answer").inner_text().strip()
    assert said == []
    page.close()


@pytest.mark.parametrize("width", [360, 800])
def test_nothing_scrolls_sideways(browser, failed, width):
    page, _ = opened(browser, failed, width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_theme_follows_the_system_and_the_button(browser, folder):
    page, _ = opened(browser, folder / "report.html", scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(ground) == "rgb(20, 22, 26)"
    page.locator("#theme").click()
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
    page.close()


def test_the_table_sorts_and_the_curves_switch(browser, folder):
    page, _ = opened(browser, folder / "report.html")
    page.locator("#glance-table th[data-key=cloze] button").click()
    assert page.locator("#glance-table th[data-key=cloze]").get_attribute("aria-sort") == "descending"
    assert page.locator("#glance-table tbody tr").first.get_attribute("data-name") == "bert"
    page.locator("#glance-table th[data-key=bits_per_byte] button").click()
    assert page.locator("#glance-table tbody tr").first.get_attribute("data-name") == "gpt"
    assert page.locator("#glance-table tbody tr").last.get_attribute("data-name") == "bert", "who has no number comes last"
    assert page.locator(".across-text_tokens").first.is_visible()
    page.locator("label[for=across-flops]").click()
    assert page.locator(".across-flops").first.is_visible()
    assert not page.locator(".across-text_tokens").first.is_visible()
    page.close()


def test_it_prints_without_cut_charts(browser, folder):
    page, _ = opened(browser, folder / "report.html")
    page.emulate_media(media="print")
    assert page.pdf(format="A4").startswith(b"%PDF")
    broken = page.evaluate("[...document.querySelectorAll('svg.chart')].filter(s => s.checkVisibility() && "
                           "!['avoid'].includes(getComputedStyle(s.closest('figure, article')).breakInside)).length")  # fmt: skip
    assert broken == 0
    page.close()


def axe() -> Path | None:
    """axe-core's script: named by MASKDIAL_AXE, or in a node_modules folder beside the project."""
    root = Path(__file__).parents[2]
    places = [os.environ.get("MASKDIAL_AXE", ""), str(root / "node_modules" / "axe-core" / "axe.min.js")]
    return next((Path(p) for p in places if p and Path(p).is_file()), None)


@pytest.mark.skipif(axe() is None, reason="axe-core is absent: `npm pack axe-core`, unpack, set MASKDIAL_AXE to axe.min.js")
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_axe_finds_nothing_serious(browser, failed, scheme, width):
    script = axe()
    assert script is not None
    page, _ = opened(browser, failed, width, scheme)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document)")
    serious = [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found["violations"] if v["impact"] in ("serious", "critical")]
    assert serious == []
    page.close()
