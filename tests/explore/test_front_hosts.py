"""The same module in every host, a served page, a file from disk, a notebook, and for every reader."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maskdial.explore.module import module
from maskdial.explore.page import exported
from maskdial.explore.request import canonical
from tests.explore.browsing import ORIGIN, Visit, answers, asked, chromium, first, known, needs_chromium

pytestmark = needs_chromium
LINKS = ("#v=1&o=t5", "#v=1&o=bert&b.o=gpt&screen=compare", "#v=1&o=bert&screen=quiz", "#v=1&o=mtp&view=table")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


# --- every reader ---------------------------------------------------------------------------------------------------------


def test_nothing_scrolls_sideways_on_a_telephone(browser):
    visit = Visit(browser, viewport={"width": 360, "height": 740})
    for link in LINKS:
        visit.page.evaluate("(link) => { location.hash = link }", link)
        visit.settle()
        visit.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360, link
    visit.page.evaluate("location.hash = 'v=1&o=gpt'")
    visit.get("objective-select").select_option("bert")
    visit.drawn("bert")
    assert visit.said == []
    visit.close()


def test_letters_act_in_the_picture_and_never_lose_the_focus(browser):
    visit = Visit(browser)
    visit.at("bert")
    press = visit.page.keyboard.press
    visit.page.locator(".cell[tabindex='0']").focus()
    press("Control+Home")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        press(key)
    label = visit.page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label == "row 1 “cat”, column 2 “sat”: seen two-way"
    for letter, wanted in (("[", "step=5"), ("]", "row=source.1"), ("g", "view=table"), ("g", "row=source.1"), ("r", "seed=1")):
        press(letter)
        visit.settle()
        assert wanted in visit.page.url, letter
        assert visit.page.evaluate("document.activeElement.checkVisibility() && document.activeElement !== document.body"), letter
    visit.get("text").focus()
    press("r")
    visit.settle()
    assert "seed=1" in visit.page.url, "a letter that is written is only a letter"
    visit.get("help-open").click()
    visit.get("help").get_by_role("checkbox").uncheck()
    press("Escape")
    visit.page.locator(".cell[tabindex='0']").focus()
    press("r")
    visit.settle()
    assert "seed=1" in visit.page.url, "letters can be switched off"
    assert visit.said == []
    visit.close()


def test_in_grey_the_two_kinds_of_sight_still_differ(browser):
    visit = Visit(browser)
    visit.at("prefix-lm", "&p.see=prefix:5")
    ground = "(one) => getComputedStyle(one).backgroundImage"
    grounds = [visit.page.locator(f".cell.{kind}").nth(1).evaluate(ground) for kind in ("two", "one", "no")]
    assert grounds[0] == "none"
    assert grounds[1].startswith("repeating-linear-gradient")
    assert grounds[2].startswith("radial-gradient")
    visit.close()


# --- other hosts ------------------------------------------------------------------------------------------------------------


def test_a_file_from_disk_has_the_same_sentence_and_dials_that_snap(browser, tmp_path):
    asks = [asked(), asked(objective="bert"), asked(objective="bert", options={"rate": 0.5})]
    made = {canonical(one["extra"]["request"]): one for one in map(answers(), asks)}
    page: Path = tmp_path / "page.html"
    page.write_text(exported(known(), first(), made, module()), encoding="utf-8")
    visit = Visit.__new__(Visit)
    visit.context = browser.new_context(offline=True)
    visit.page, visit.said = visit.context.new_page(), []
    visit.page.on("console", lambda message: visit.said.append(message.text) if message.type in ("error", "warning") else None)
    visit.page.goto(page.as_uri())
    assert visit.sentence() == "Position 7 “it” sees 8 of 12 positions: 0–7. It is scored: it must predict “was”."
    assert "Precomputed" in visit.page.locator(".notices").inner_text()
    assert visit.get("text").get_attribute("readonly") is not None
    visit.choose("bert")
    visit.get("dial-rate").fill("0.44")
    visit.settle()
    assert visit.get("dial-rate").input_value() == "0.5", "it snaps to what the page holds"
    assert "p.rate=0.5" in visit.page.url
    visit.get("compare-toggle").click()
    visit.settle()
    assert visit.get("summary").inner_text() == (
        "For the same text, masked language modelling (BERT) scores 8 positions that see all 12; "
        "next-token prediction (GPT) scores 11 positions that see 6 of 12 on average."
    )
    assert visit.said == []
    visit.close()


NOTEBOOK = """async ([meta, first, request, source]) => {
    const { default: widget } = await import(source);
    const el = document.body.appendChild(document.createElement('div')), heard = new Set(), sent = [];
    const reply = ({ id, request }) => window.answer(request).then((answer) => heard.forEach((act) => act({ id, answer })));
    const model = { get: (name) => ({ meta, first, text: null })[name], on: (event, act) => heard.add(act),
        off: (event, act) => heard.delete(act), send: (message) => { sent.push(message); reply(message) } };
    const count = () => document.querySelectorAll('*').length, before = count(), sheets = document.adoptedStyleSheets.length;
    const done = () => el.querySelector('[data-drawn]').dataset.drawn === 'bert', wait = (go) => setTimeout(go, 30);
    const down = widget.render({ model, el });
    const drawn = el.querySelector('[data-testid=row-sentence]').textContent;
    el.querySelector('[data-testid=objective-bert]').click();
    const until = Date.now() + 15000;
    while (!done() && Date.now() < until) await new Promise(wait);
    const turned = el.querySelector('[data-testid=row-sentence]').textContent, hash = location.hash;
    down();
    return { drawn, turned, sent: sent.map((one) => one.request), hash, left: count() - before, heard: heard.size,
        sheets: document.adoptedStyleSheets.length - sheets };
}"""


def test_a_notebook_asks_over_its_model_and_leaves_nothing_behind(browser):
    context = browser.new_context()
    page = context.new_page()
    page.route("**/*", lambda route: route.fulfill(body="<!doctype html><body></body>", content_type="text/html"))
    page.goto(ORIGIN)
    page.expose_function("answer", lambda request: answers()(request))
    source = "data:text/javascript;base64," + base64.b64encode(module().encode()).decode()
    found = page.evaluate(NOTEBOOK, [known(), first(), None, source])
    assert found["drawn"].startswith("Position 7 “it” sees 8 of 12")
    made = answers()(asked(objective="bert"))
    [said] = made["extra"]["sentences"].values()
    [stream] = made["data"][0]["streams"]
    asks = [one for i, one in enumerate(said) if any(head[i] > 0 for head in stream["loss"])]
    assert found["turned"] in asks, "a row that BERT asks about"
    assert found["sent"] == [asked(objective="bert")]
    assert found["hash"] == "", "a notebook's address is not ours"
    assert (found["left"], found["heard"], found["sheets"]) == (0, 0, 0)
    context.close()


# --- what only some servers offer -------------------------------------------------------------------------------------------

RUNS = {"ok": True, "data": {"say": "gpt is best.", "report": None, "runs": [{"objective": "gpt", "loss": 3.14159}, {"objective": "bert"}]}}
ASKED = {"ok": True, "data": {"token": "was", "models": [
    {"name": "gpt", "top": [{"t": " was", "p": 0.5}, {"t": "\n", "p": 0.25}], "note": "left only"},
    {"name": "bert", "why": "nothing is hidden"}]}}  # fmt: skip
AUDIT = {"schema": "audit/1", "say": "2 rows.", "rows": [{"index": 0, "text": "one two"}, {"index": 4, "text": "three four"}], "checks": [
    {"name": "scored", "level": "fail", "count": 1, "why": "it teaches nothing", "rows": [4], "say": "1 row has nothing scored"},
    {"name": "end", "level": "ok", "count": 0, "why": "", "rows": [], "say": "every row ends"}]}  # fmt: skip
SERVICES = """async ([meta, first, given, source]) => {
    document.body.replaceChildren();
    const { mount } = await import(source);
    const soon = (name) => async (request) => { (window.got ??= []).push([name, request ?? null]); return given[name] };
    mount(document.body, { meta, first, ask: async () => first, services: { runs: soon('runs'), ask: soon('ask'), audit: soon('audit') } });
}"""


def test_runs_answers_of_models_and_an_audit_where_they_are_offered(browser):
    visit = Visit(browser, bypass_csp=True)
    assert visit.get("screen-runs").count() == visit.get("screen-audit").count() == visit.get("ask-models").count() == 0
    source = "data:text/javascript;base64," + base64.b64encode(module().encode()).decode()
    visit.page.evaluate(SERVICES, [known(), first(), {"runs": RUNS, "ask": ASKED, "audit": AUDIT}, source])
    visit.get("ask-models").click()
    visit.page.locator(".model").nth(1).wait_for()
    assert visit.page.locator(".model code").all_inner_texts() == ["␣was", "⏎"]
    assert visit.page.evaluate("window.got")[0][1]["row"] == 7
    visit.get("screen-runs").click()
    assert "3.14" in visit.get("runs").get_by_role("table").inner_text()
    visit.get("screen-audit").click()
    table = visit.get("audit").get_by_role("table")
    assert "✕ fail" in table.inner_text()
    assert visit.page.locator(".rows li").count() == 2
    table.get_by_role("button", name="scored").click()
    assert visit.page.locator(".rows li").all_inner_texts() == ["Open 4 three four"]
    visit.close()


def test_a_break_leaves_words_and_a_way_back(browser):
    def broken(request: Any) -> Any:
        answer = json.loads(json.dumps(answers()(request)))
        answer["data"][0]["attn"][0]["rows"] = None
        return answer

    visit = Visit(browser, reply=broken)
    visit.get("objective-gpt").click()
    visit.get("crash").wait_for()
    visit.reply = answers()
    visit.get("crash").get_by_role("button", name="Reset view").click()
    visit.get("row-sentence").wait_for()
    assert visit.sentence()
    visit.close()
