"""What the page draws is what Python says: rows, cells, targets, leaks, differences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.explore.browsing import TEXT, Visit, answers, asked, chromium, needs_chromium, seen

pytestmark = needs_chromium
WORDS = TEXT.split()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def one_page(browser: Any) -> Iterator[Visit]:
    made = Visit(browser)
    yield made
    made.close()


@pytest.fixture
def visit(one_page: Visit) -> Iterator[Visit]:
    yield one_page
    assert one_page.said == []


def test_a_first_look_teaches_without_a_click(visit):
    assert visit.sentence() == "Position 7 “it” sees 8 of 12 positions: 0–7. It is scored: it must predict “was”."
    assert visit.get("leak").inner_text() == "0 ✓"
    assert visit.asked == [], "the first sample came with the page"
    kinds = visit.get("cell").evaluate_all("(all) => new Set(all.map((one) => one.dataset.kind)).size")
    assert kinds == 3, "both kinds of sight and hidden cells are there"


def test_a_pinned_row_stays_until_it_is_let_go(visit):
    visit.tokens().nth(3).click()
    visit.tokens().nth(9).hover()
    assert visit.sentence().startswith("Position 3 ")
    visit.tokens().nth(3).click()
    visit.tokens().nth(9).hover()
    assert visit.sentence().startswith("Position 9 ")


def test_six_steps_show_more_and_more(visit):
    visit.at("bert")
    for step, there in enumerate([(0, 0, 0), (0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)], start=1):
        visit.get(f"step-{step}").click()
        parts = ("[data-testid=strip-source]", "[data-scored=true] .mark", "[role=grid]")
        shown = [visit.page.locator(part).first.is_visible() for part in parts]
        assert shown == [bool(one) for one in there], step
    visit.get("step-3").click()
    chosen = visit.page.locator(".piece.chosen").all_inner_texts()
    kinds = answers()(asked(objective="bert"))["data"][0]["streams"][0]["tokens"]
    assert chosen == [word for word, token in zip(WORDS, kinds, strict=True) if token["kind"] != "kept"]


def test_a_comparison_outlines_exactly_what_differs(visit):
    visit.at("gpt")
    visit.get("compare-toggle").click()
    visit.get("summary").wait_for()
    visit.page.wait_for_function("() => document.querySelectorAll('[data-side=b] [data-testid=cell]').length === 144")
    assert visit.asked[-1]["second"] == {"objective": "bert", "options": {}}
    one, two = (seen(view) for view in answers()(visit.asked[-1])["data"])
    for side in ("a", "b"):
        cells = visit.page.locator(f"[data-side={side}] [data-testid=cell]")
        outlined = cells.evaluate_all("(all) => all.map((one) => one.classList.contains('differs'))")
        assert outlined == [x != y for a, b in zip(one, two, strict=True) for x, y in zip(a, b, strict=True)]
    visit.page.locator("[data-side=a] [data-testid=token]").nth(4).hover()
    assert visit.page.locator("[data-side=b] [aria-selected=true]").get_attribute("data-index") == "4", "rows are linked by the text"
    visit.get("swap").click()
    visit.drawn("bert")
    assert visit.get("summary").inner_text().startswith("For the same text, masked language modelling")
    assert visit.asked[-1]["second"]["objective"] == "gpt"


def test_the_quiz_hides_the_answer_then_shows_it_and_counts(visit):
    visit.at("bert", "&screen=quiz")
    questions = answers()(asked(objective="bert"))["extra"]["quiz"]
    for number, one in enumerate(questions, start=1):
        assert one["question"] in visit.get("question").inner_text()
        assert visit.page.locator(".mark").first.is_visible() is False, "the answer is not given away"
        if one["kind"] == "choice":
            visit.page.locator(f"[data-choice='{one['answer']}']").click()
        else:
            for index in one["answer"]:
                visit.tokens(one["stream"]).nth(index).click()
            visit.get("check").click()
        assert one["say"] in visit.page.locator(".told").inner_text()
        assert f"{number} of {number} right" in visit.get("quiz").inner_text()
        visit.get("next").click()
    assert "10 of 10 right" in visit.get("quiz").inner_text()


def test_more_than_64_positions_are_a_canvas_with_a_slider(visit):
    visit.at("gpt")
    visit.get("text").fill(" ".join(f"w{i}" for i in range(100)))
    visit.get("canvas").wait_for()
    assert visit.get("cell").count() == 0
    visit.page.get_by_label("Row of source.self").fill("42")
    assert visit.sentence().startswith("Position 42 ")
    assert visit.attributes("seen") == ["true"] * 43 + ["false"] * 57
    # a pixel below the diagonal is coloured, one above it is paper
    script = """(canvas) => { const { width, height } = canvas, { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
        return [[10, 90], [90, 10]].map(([column, row]) => {
            const at = 4 * (Math.round(row / 100 * height) * width + Math.round(column / 100 * (width - 10)));
            return [...data.slice(at, at + 3)].join() }) }"""
    assert visit.get("canvas").evaluate(script) == ["85,152,211", "255,255,255"]


# --- redrawing ----------------------------------------------------------------------------------------------------------------

STRIPS = "() => document.querySelector('.strips').innerHTML"
TOPS = "(all) => [...new Set(all.map((one) => one.offsetTop))]"
HEARD = "(all) => all.map((one) => `${one.innerText}: ${one.getAttribute('aria-description')}`)"


def test_a_redrawn_strip_is_as_a_fresh_page_draws_it(browser, visit):
    """No column keeps what another sample said, no line the names of another."""
    moves = [("bert", f"&t={'+'.join(WORDS * 4)}"), ("bert", "&seed=1"), ("gpt", "&p.see=bidirectional"), ("gpt", "")]
    for move in moves:
        visit.at(*move)
        visit.settle()
        lines = visit.tokens().evaluate_all(TOPS)
        assert visit.page.locator(".names").evaluate_all(TOPS) == lines, "every line has its names"
        assert (len(lines) > 1) == ("&t" in move[1])
        fresh = Visit(browser, f"#{visit.page.url.partition('#')[2]}")
        fresh.settle()
        assert visit.page.evaluate(STRIPS) == fresh.page.evaluate(STRIPS), move
        fresh.close()


def test_only_columns_with_something_else_to_say_are_made_anew(visit):
    visit.at("bert", "&p.rate=0.5")
    before = visit.tokens().evaluate_all(HEARD)
    visit.tokens().evaluate_all("(all) => all.forEach((one) => (one.old = true))")
    visit.get("reroll").evaluate("(one) => one.click()")
    visit.settle()
    after = visit.tokens().evaluate_all(HEARD)
    kept = visit.tokens().evaluate_all("(all) => all.map((one) => Boolean(one.old))")
    assert kept == [one == other for one, other in zip(before, after, strict=True)]
    assert 0 < sum(kept) < len(kept)


def test_the_hand_stays_on_its_token_when_it_is_made_anew(visit):
    visit.at("bert", "&p.rate=0.5")
    changed = []
    for index in (2, 5, 8):
        before = visit.tokens().evaluate_all(HEARD)
        visit.tokens().nth(index).focus()
        visit.get("reroll").evaluate("(one) => one.click()")
        visit.settle()
        changed.append(visit.tokens().evaluate_all(HEARD)[index] != before[index])
        assert visit.page.evaluate("() => document.activeElement.dataset.index") == str(index)
    assert any(changed)
