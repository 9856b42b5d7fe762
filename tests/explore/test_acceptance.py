"""The twelve acceptance checks of the explorer, on the page of a real server and on the exported file, in a real browser.

Six recipes of different shape; `test_every_recipe.py` takes them all. That the module is small and quick (check 12) stands in
`test_front_module.py` and `test_front_hosts.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from maskdial.explore import server
from maskdial.explore.answers import Answers
from maskdial.explore.links import decode
from maskdial.explore.request import canonical
from maskdial.explore.texts import FIRST
from tests.explore.browsing import answers, asked, chromium, needs_chromium, seen
from tests.explore.conftest import SIX, TOKEN, serving
from tests.explore.opened import Real, axe

pytestmark = needs_chromium
N = 12


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module", params=["served", "exported"])
def url(request: Any) -> str:
    """Where the page is: at its server, or on disk."""
    return str(request.getfixturevalue("live").url if request.param == "served" else request.getfixturevalue("exported").resolve().as_uri())


@pytest.fixture(scope="module")
def one_page(browser: Any, url: str) -> Iterator[Real]:
    made = Real(browser, url)
    yield made
    made.close()


@pytest.fixture
def page(one_page: Real) -> Iterator[Real]:
    one_page.said.clear()
    yield one_page
    assert one_page.said == []


def test_1_a_cold_start_is_quiet_and_offline(browser, url):
    made = Real(browser, url)
    sentence = made.page.evaluate("document.querySelector('[data-testid=row-sentence]').textContent")
    assert sentence == answers()(FIRST)["extra"]["sentences"]["source"][7]
    assert made.asked == [], "the first sample is in the page"
    assert made.said == []
    made.close()


@pytest.mark.slow
def test_1_a_cold_start_takes_less_than_a_second_and_a_half(browser, url):
    """A clock's word counts on a quiet machine only."""
    made = Real(browser, url)
    assert made.page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") < 1500
    made.close()


def test_1_before_any_script_the_page_already_teaches(browser, url):
    made = browser.new_context(java_script_enabled=False).new_page()
    made.goto(url)
    assert made.locator("[data-testid=row-sentence]").inner_text() == answers()(FIRST)["extra"]["sentences"]["source"][7]
    assert made.locator("#maskdial svg").count() == 1
    made.context.close()


def test_2_a_row_lights_up(page):
    page.follow("gpt")
    page.tokens().nth(7).hover()
    assert page.attributes("seen") == ["true"] * 8 + ["false"] * 4
    said = page.sentence()
    assert said == answers()(asked())["extra"]["sentences"]["source"][7]
    page.page.mouse.move(0, 0)
    page.tokens().nth(6).focus()
    page.page.keyboard.press("ArrowRight")
    assert page.sentence() == said


@pytest.mark.parametrize("k", [0, 1, 3, N])
def test_3_see_opens_the_cells_of_a_prefix(page, k):
    if page.is_file and k == 1:
        k = 6  # a file's dial moves in steps
    page.follow("gpt", f"&p.see=prefix:{k}" if 0 < k < N else f"&p.see={'causal' if not k else 'bidirectional'}")
    assert sum(map(sum, page.visible())) == N * (N + 1) // 2 + k * (k - 1) // 2 * (k < N) + (N * (N - 1) // 2) * (k == N)
    assert page.visible() == seen(page.shown())


def test_4_seen_too_far_what_is_scored_leaks(page):
    page.follow("gpt")
    page.get("dial-see").fill(str(N))
    page.settle("a leak")
    scored = page.attributes("scored").count("true")
    assert page.get("leak").inner_text() == f"{scored} ⚠"
    assert page.page.locator("[data-leak=true]").count() == scored == N - 1
    assert "can see their own answer" in page.page.locator(".leak-say").inner_text()
    page.get("dial-see").fill("0")
    page.settle()
    assert page.get("leak").inner_text() == "0 ✓"


def test_5_hide_is_monotone_and_seeded(page):
    def chosen() -> set[int]:
        return {i for i, kind in enumerate(page.attributes("kind")) if kind != "kept"}

    page.follow("bert")
    low, picture, link = chosen(), page.get("strip-source").inner_html(), page.page.url
    page.get("dial-rate").fill("0.3")
    page.settle()
    assert low < chosen() or low == chosen()
    page.get("dial-rate").fill("0.5")
    page.settle()
    assert low < chosen()
    letters = set("".join(page.page.locator("[data-testid=strip-source] .letter").all_inner_texts()))
    assert "M" in letters
    assert letters <= set("MRK")
    page.follow("bert")
    assert page.get("strip-source").inner_html() == picture, "the same seed is the same picture"
    page.get("reroll").click()
    page.settle()
    assert page.get("strip-source").inner_html() != picture
    assert page.get("seed").input_value() == "1"
    assert page.page.url != link
    assert "seed=1" in page.page.url


def test_6_two_streams_hold_the_whole_text(page):
    page.follow("t5")
    view = page.shown()
    source, answer = (len(stream["tokens"]) for stream in view["streams"])
    sentinels = [t["t"] for t in view["streams"][0]["tokens"] if t["kind"] == "sentinel"]
    assert sentinels == [f"<extra_id_{i}>" for i in range(len(sentinels))]
    assert page.page.locator("[data-panel='answer.source'] [data-testid=cell]").count() == answer * source
    page.tokens("answer").nth(0).hover()
    assert page.attributes("seen") == ["true"] * source
    spans: dict[str, list[str]] = {}
    for target in [t["t"] for t in view["streams"][1]["targets"][0] if t]:
        if target.startswith("<extra_id"):
            spans[name := target] = []
        elif target != "</s>":
            spans[name].append(target)
    rebuilt = [word for t in view["streams"][0]["tokens"] for word in spans.get(t["t"], [t["t"]])]
    assert " ".join(rebuilt) == FIRST["text"]


@pytest.mark.parametrize("name", [*SIX, pytest.param("sft", id="sft")])
def test_7_loss_stands_where_the_document_says(page, name):
    if page.is_file and name not in SIX:
        pytest.skip("the file holds six recipes")
    page.follow(name)
    for stream in page.shown()["streams"]:
        weights = [any(head[i] > 0 for head in stream["loss"]) for i in range(len(stream["tokens"]))]
        assert page.attributes("scored", stream["id"]) == [str(one).lower() for one in weights]
    page.get("show-labels").check()
    lanes = "(all) => all.map((one) => [...one.querySelectorAll('.say')].map((say) => say.textContent === '−100'))"
    silent = page.tokens(stream["id"]).evaluate_all(lanes)
    page.get("show-labels").uncheck()
    assert silent == [[head[i] is None for head in stream["targets"]] for i in range(len(silent))]
    if name == "sft":
        assert page.attributes("scored") == ["false"] * 5 + ["true"] * 6 + ["false"], "from the last token of the prompt on"


@pytest.mark.parametrize("name", SIX)
def test_8_a_link_opens_the_same_in_a_fresh_browser(browser, page, name):
    page.follow(name)
    page.get("dial-see").fill("0")
    page.settle()
    page.tokens().nth(2).click()
    page.settle()
    wanted, link = page.shown(), page.page.url
    fresh = Real(browser, page.url.partition("#")[0], "#" + link.partition("#")[2])
    fresh.drawn(name)
    fresh.settle()
    assert canonical(fresh.shown()) == canonical(wanted)
    assert fresh.tokens().nth(2).get_attribute("aria-selected") == "true"
    assert fresh.said == []
    fresh.close()
    if not page.is_file:
        python = answers()(decode(link).request.plain())["data"][0]
        assert canonical(python) == canonical(wanted), "and in Python"


def test_8_back_returns_and_unknown_keys_are_named(page):
    page.follow("gpt")
    page.choose("bert")
    page.settle()
    page.page.go_back()
    page.drawn("gpt")
    page.follow("gpt", "&p.foo=1&zz=2")
    assert "ignored: p.foo, zz" in page.page.locator(".notices").inner_text()
    assert page.sentence()


def test_9_all_of_it_without_a_mouse(browser, url):
    made = Real(browser, url)
    press = made.page.keyboard.press

    def until(script: str, key: str = "Tab") -> None:
        for _ in range(60):
            press(key)
            assert made.page.evaluate("document.activeElement !== document.body"), "the focus is lost"
            if made.page.evaluate(script):
                return
        raise AssertionError(f"{script} never came")

    until("document.activeElement.matches('[type=radio]')")
    until("document.activeElement.value === 'bert'", "ArrowUp")
    made.drawn("bert")
    until("document.activeElement.dataset.testid === 'dial-rate'")
    press("End" if made.is_file else "ArrowRight")
    made.settle()
    until("document.activeElement.closest('[role=grid]') !== null")
    press("Control+Home")
    for key in ["ArrowDown"] * 3 + ["ArrowRight"] * 9:
        press(key)
    assert made.page.evaluate("document.activeElement.textContent !== null")
    press("Enter")
    assert made.sentence().startswith("Position 3 ")
    assert made.page.locator("[aria-pressed=true]", has_text="Pinned").count() == 1
    press("c")
    press("?")
    assert made.page.locator("dialog[open]").count() == 1
    press("Escape")
    assert made.page.locator("dialog[open]").count() == 0
    assert made.page.evaluate("document.activeElement !== document.body")
    width = made.page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
    assert width >= 2, "where the focus is can be seen"
    made.close()


@pytest.mark.skipif(axe() is None, reason="axe-core is absent: `npm pack axe-core`, unpack, set MASKDIAL_AXE to axe.min.js")
@pytest.mark.parametrize("look", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}], ids=str)
def test_10_axe_finds_nothing_serious(browser, url, look):
    script = axe()
    assert script is not None
    made = Real(browser, url, bypass_csp=True, **look)
    for screen in ("explore",) if made.is_file else ("explore", "compare", "quiz"):
        if screen != "explore":
            made.get("compare-toggle" if screen == "compare" else "screen-quiz").click()
            made.settle()
        made.page.evaluate(script.read_text(encoding="utf-8"))
        found = made.page.evaluate("axe.run(document)")
        assert [f"{v['id']}: {v['nodes'][0]['html'][:160]}" for v in found["violations"] if v["impact"] in ("serious", "critical")] == []
    made.close()


@pytest.mark.parametrize("width", [360, 640])
def test_10_nothing_scrolls_sideways(browser, url, width):
    """360 px, and 1,280 px at 200 %."""
    made = Real(browser, url, viewport={"width": width, "height": 800})
    assert made.page.evaluate("document.documentElement.scrollWidth") <= width
    made.close()


AWKWARD = {"emoji": "👩‍👩‍👧 is 🌊", "rtl": "החתול ישב על המחצלת",
           "script": "<script>window.hit = 1</script> <img src=x onerror='window.hit=1'>"}  # fmt: skip


@pytest.mark.parametrize("name", AWKWARD)
def test_11_any_text_is_only_text(browser, live, name):
    made = Real(browser, live.url)
    for objective in ("gpt", "t5"):
        made.follow(objective)
        made.get("text").fill(AWKWARD[name])
        made.settle()
        assert made.shown()["text"] == AWKWARD[name]
    assert made.page.evaluate("window.hit") is None
    assert made.page.locator("img, script:not([type]):not([src])").count() == 0
    assert made.said == []
    made.close()


def test_11_what_cannot_be_shown_leaves_the_picture(browser, live):
    made = Real(browser, live.url)
    made.follow("bert")
    picture = made.get("strip-source").inner_html()
    made.get("text").fill("x" * 5000)
    made.get("error").wait_for()
    assert "5,000 characters" in made.get("error").inner_text()
    assert made.get("strip-source").inner_html() == picture
    made.get("text").evaluate("(box) => { box.value = 'a\\ud800b'; box.dispatchEvent(new Event('input')) }")
    made.page.wait_for_function("() => document.querySelector('[data-testid=error]').textContent.includes('surrogate')")
    made.get("text").fill("")
    made.get("empty").wait_for()
    made.get("text").fill("A cat.")
    made.get("strip-source").wait_for()
    made.page.get_by_label("rate, exactly").fill("7")
    made.get("error").wait_for()
    assert "0 … 1" in made.get("error").inner_text()
    made.close()


def test_11_a_server_that_is_gone_is_said_and_the_page_goes_on(browser):
    running = serving(server.application(TOKEN, Answers()))
    live = next(running)
    made = Real(browser, live.url)
    made.follow("gpt")
    threading.Thread(target=lambda: next(running, None)).start()
    made.page.wait_for_timeout(600)
    made.get("objective-bert").click()
    made.page.wait_for_function("() => document.body.textContent.includes('The local server stopped')")
    assert made.tokens().count() == N
    made.tokens().nth(3).hover()
    assert made.sentence().startswith("Position 3 ")
    made.close()


def test_12_two_hundred_moves_end_on_the_last(browser, live):
    made = Real(browser, live.url)
    made.follow("bert")
    sent = len(made.asked)
    made.get("dial-rate").evaluate("""async (slider) => { for (let i = 1; i <= 200; i += 1) {
        slider.value = i === 200 ? 0.37 : (i % 100) / 100; slider.dispatchEvent(new Event('input'));
        if (i % 5 === 0) await new Promise((go) => setTimeout(go, 45)); } }""")
    made.settle()
    made.page.wait_for_timeout(400)
    assert made.asked[-1]["options"] == {"rate": 0.37}
    assert canonical(made.shown()) == canonical(answers()(made.asked[-1])["data"][0])
    assert len(made.asked) - sent < 200
    assert made.said == []
    made.close()
