"""Turning, linking, typing nonsense: the page asks for the right sample, keeps the last good picture and says what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from maskdial.explore.links import decode
from maskdial.explore.request import canonical, read
from tests.explore.browsing import TEXT, Visit, answers, asked, chromium, needs_chromium

pytestmark = needs_chromium


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
    one_page.reply = answers()
    yield one_page
    assert one_page.said == []


def dial(visit: Visit, name: str, value: str) -> None:
    visit.get(f"dial-{name}").fill(value)
    visit.settle()


def test_tokens_are_hidden_by_hand(visit):
    visit.at("t5")
    visit.get("by-hand").check()
    visit.settle()
    drawn = visit.asked[-1]["hide"]
    visit.page.locator("[data-piece='1']").click()
    visit.settle()
    assert visit.asked[-1]["hide"] == sorted({*drawn, 1})
    assert visit.page.evaluate("document.activeElement.dataset.piece") == "1", "the focus stays where it was"
    visit.get("by-hand").uncheck()
    visit.settle()
    assert "hide" not in visit.page.url


@pytest.mark.parametrize(
    "request_",
    [
        asked(objective="gpt"),
        asked(objective="bert", options={"rate": 0.4, "whole_word": True}, seed=7),
        asked(objective="prefix-lm", options={"see": {"visibility": "prefix", "split": 3}}),
        asked(objective="t5", hide=[2, 3, 8], tokenizer="bytes", text="naïve + 100 % = 漢字 & #"),
        asked(objective="bart", text="One two. Three four! " * 12),
    ],
    ids=lambda one: one["objective"],
)
def test_a_link_opens_the_same_sample_in_either_language(visit, request_):
    link = answers()(request_)["extra"]["code"]["link"]
    visit.page.evaluate("(link) => { location.hash = link }", link + "&row=source.2")
    visit.drawn(request_["objective"])
    visit.settle()
    assert canonical(visit.asked[-1]) == canonical(request_)
    assert visit.tokens().nth(2).get_attribute("aria-selected") == "true"
    visit.page.wait_for_function("() => document.querySelector('[data-testid=code]').textContent === location.href")
    again = decode(visit.page.url)
    assert again.ignored == ()
    assert again.request == read(request_)
    assert again.page["row"] == "source.2"


def test_no_text_is_a_choice_of_texts(visit):
    visit.at("gpt")
    sent = len(visit.asked)
    visit.get("text").fill("   ")
    visit.get("empty").wait_for()
    assert visit.get("stage").is_visible() is False
    assert len(visit.asked) == sent
    visit.get("empty").get_by_role("button").first.click()
    visit.get("strip-source").wait_for()
    assert visit.get("text").input_value() == TEXT


def test_a_bad_value_stays_and_is_explained_and_the_picture_stays(visit):
    visit.at("bert", "&p.rate=0.3")
    before = visit.get("strip-source").inner_html()
    box = visit.page.get_by_label("rate, exactly")
    box.fill("7")
    visit.get("error").wait_for()
    assert "0 … 1" in visit.get("error").inner_text()
    assert (box.input_value(), box.get_attribute("aria-invalid")) == ("7", "true")
    assert visit.get("strip-source").inner_html() == before
    visit.get("error").get_by_role("button").click()
    visit.get("error").wait_for(state="detached")
    visit.settle()
    assert "rate" not in visit.page.url


def test_what_is_too_long_is_said_and_cut_only_when_asked(visit):
    visit.at("gpt")
    visit.get("text").fill("word " * 700)
    visit.get("error").wait_for()
    assert "700 tokens" in visit.get("error").inner_text()
    visit.get("error").get_by_role("button", name="Show what fits").click()
    visit.get("error").wait_for(state="detached")
    assert len(visit.asked[-1]["text"].split()) == 512
    assert visit.tokens().count() == 512


@pytest.mark.parametrize("text", ["<script>alert(1)</script> <b>bold</b>", "👩‍👩‍👧 é ‮abc‬ שלום", "a\tb\nc  d", "\u0000\u0007 bell"])
def test_any_text_is_only_text(visit, text):
    visit.at("gpt", f"&t={quote(text)}")
    visit.settle()
    assert visit.get("error").count() == 0
    assert visit.page.locator("main script, main b b, main .read b:not(.letter)").count() == 0
    read = visit.tokens().evaluate_all("(all) => all.map((one) => one.querySelector('.read').textContent)")
    assert read
    assert all(part.strip() and "\u202e" not in part for part in read), "no token is blank or turns the line around"


def test_nothing_scored_is_said_with_a_way_out(visit):
    visit.at("prefix-lm", "&p.see=prefix:12")
    assert "No position is scored" in visit.page.locator(".notice.warning").inner_text()


def test_a_slow_answer_is_announced_in_words(browser):
    release = threading.Event()

    def slowly(request: Any) -> Any:
        release.wait(0.8)
        return answers()(request)

    visit = Visit(browser, reply=slowly)
    visit.page.evaluate("() => { window.heard = []; new MutationObserver(() => heard.push(document.querySelector('.working').textContent))"
                        ".observe(document.querySelector('.working'), { childList: true }) }")  # fmt: skip
    visit.get("objective-gpt").click()
    visit.drawn("gpt")
    visit.settle()
    assert visit.page.evaluate("window.heard") == ["Building the sample…", ""]
    assert visit.get("stage").get_attribute("aria-busy") == "false"
    visit.close()


def test_the_first_questions_are_answered_by_a_picture(browser):
    visit = Visit(browser)
    ask = visit.page.locator(".questions").get_by_role("button")
    wanted = (("prefix-lm", "0 leaks"), ("prefix-lm", "6 of 6"), ("bert", "taken out"), ("sft", "0 leaks"))
    assert ask.count() == len(wanted)
    for number, (objective, said) in enumerate(wanted):
        ask.nth(number).click()
        visit.drawn(objective)
        visit.settle()
        assert said in visit.page.locator(".leak-say").inner_text()
    assert visit.get("text").input_value().startswith("Which planet")
    assert visit.attributes("scored") == ["false"] * 4 + ["true"] * 5 + ["false"]
    assert visit.said == []
    visit.close()
