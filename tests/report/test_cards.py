"""Evidence cards: five fields first, every claim with its origin, nothing claimed that the interval does not bear."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest

import maskdial as md
from maskdial.cli.card import card as card_command
from maskdial.cli.report import report as report_command
from maskdial.errors import UserError
from maskdial.report import cards
from maskdial.report.card_text import markdown, terminal
from maskdial.report.cards import FIELDS, card, check
from maskdial.report.claims import TEXTS, sources, texts
from maskdial.report.folder import read
from maskdial.report.page import render_card
from tests.report.fixture import CYCLE, make
from tests.report.tree import parse

FIRST = ["objective", "training_sample", "architecture_fit", "behaviour_effect", "limitation"]


@pytest.mark.parametrize("name", md.recipes())
def test_without_a_run_a_card_holds_literature_only_and_says_so(name):
    made = check(card(name))
    assert [f["id"] for f in made["fields"]][:5] == FIRST
    assert all(f["claims"] for f in made["fields"]), "written cards fill all nine fields"
    assert {c["tag"] for f in made["fields"] for c in f["claims"]} == {"literature"}
    assert "literature" in made["note"]
    assert made["formula"]


@pytest.mark.parametrize("name", CYCLE)
def test_with_a_run_every_measured_claim_leads_to_its_number(folder, name):
    found = read(folder)
    made = check(card(name, found))
    told = [c for f in made["fields"] for c in f["claims"] if c["tag"] == "measured" and c["path"].startswith("results.json#")]
    assert len(told) > 6
    for claim in told:
        value = found.results
        for key in claim["path"].split("#/")[1].split("/"):
            value = value[key]
        if "interval" in claim:
            assert claim["interval"] == [value["low"], value["high"]]


def test_an_interval_that_includes_the_baseline_is_no_difference(folder):
    made = card("t5", read(folder))
    effect = {c["text"].split(":")[0]: c["text"] for f in made["fields"] if f["id"] == "behaviour_effect" for c in f["claims"]}
    assert "no difference found" in effect["Infill"]
    assert "no difference found" not in effect["Cloze"]
    assert "5th of 5" in effect["Cloze"]


def test_ties_and_reasons_are_told(folder):
    made = card("bert", read(folder))
    words = " ".join(c["text"] for f in made["fields"] for c in f["claims"])
    assert "1st of 5, can’t be told from bart" in words
    assert "Can’t answer bits per byte and bits per byte, whole documents: it predicts hidden tokens independently" in words


def test_a_failed_run_is_a_limitation(tmp_path):
    made = check(card("bart", read(make(tmp_path / "failed", failed="bart", points=2))))
    assert "failed at step 412" in made["note"]
    assert made["fields"][4]["claims"][0]["text"].startswith("Did not finish")


@pytest.mark.parametrize("name", md.recipes())
def test_a_recipe_without_a_written_card_says_what_it_says_of_itself(monkeypatch, name):
    monkeypatch.setattr(cards, "texts", lambda recipe: None)
    made = check(card(name))
    assert made["fields"][0]["claims"][0]["text"] == made["formula"]
    assert set(made["dials"]) == {"hide", "see", "score"}
    assert not {"two-stream", "source-first", "mixed"} & set(made["dials"].values())
    assert made["fields"][0]["claims"][0]["source"]["url"].startswith("http")
    assert markdown(made)
    assert terminal(made)


def test_a_name_in_the_run_finds_its_recipe(tmp_path):
    folder = make(tmp_path / "named", names=["gpt", "mine"], points=2)
    assert card("mine", read(folder))["recipe"] == "bert"


def test_unknown_objectives_are_named_with_the_nearest(folder):
    with pytest.raises(UserError, match="no objective 'brt'") as without:
        card("brt")
    assert without.value.hint
    with pytest.raises(UserError, match="no objective 'brt'"):
        card("brt", read(folder))


@pytest.mark.parametrize("path", sorted(p.stem for p in TEXTS.glob("*.toml") if p.stem != "sources"))
def test_written_cards_keep_the_rules(path):
    written = texts(path)
    assert written is not None
    assert {c["field"] for c in written["claims"]} == set(FIELDS) - {"evidence"}
    for claim in written["claims"]:
        assert claim["source"] in sources()
        assert claim["where"]
    for source in sources().values():
        assert re.match(r"https://(arxiv\.org/abs/\d{4}\.\d{5}$|cdn\.openai\.com/|github\.com/)", source["url"])


def test_a_card_that_breaks_a_rule_is_refused():
    made = card("gpt")
    with pytest.raises(ValueError, match="in this order"):
        check(made | {"fields": made["fields"][::-1]})
    empty = [{**f, "claims": []} if f["id"] == "limitation" else f for f in made["fields"]]
    with pytest.raises(ValueError, match="'limitation' is required"):
        check(made | {"fields": empty})
    bare = [{**f, "claims": [{"text": "x", "tag": "measured"}]} if f["id"] == "cost" else f for f in made["fields"]]
    with pytest.raises(ValueError, match="no place"):
        check(made | {"fields": bare})


@pytest.mark.parametrize("width", [60, 92, 110])
def test_the_terminal_box_is_straight(folder, width):
    for made in (card("t5"), card("bart", read(folder))):
        lines = terminal(made, width).splitlines()
        assert {len(line) for line in lines} == {width}
        assert not [c for line in lines for c in line if unicodedata.combining(c)]


def test_text_cannot_steer_the_terminal(folder):
    found = read(folder)
    found.results["objectives"]["gpt"]["probes"]["repair"] = {"not_applicable": "\x1b[31mred\x07"}
    assert "\x1b" not in terminal(card("gpt", found))


def test_the_page_of_a_card_is_made_from_its_json(folder):
    made = json.loads(json.dumps(card("t5", read(folder))))
    page = parse(render_card(made))
    shown = [n.text for n in page.all("dt")]
    assert shown == [f["label"] for f in made["fields"]]
    said = " ".join(page.text.split())
    for field in made["fields"]:
        for claim in field["claims"]:
            assert " ".join(claim["text"].split()) in said


# --- the commands ----------------------------------------------------------------------------------------------------


def test_card_prints_every_format(folder, capsys):
    card_command("bert")
    assert capsys.readouterr().out.startswith("┌─ MASKED LANGUAGE MODELLING (BERT)")
    card_command("bert", run=folder, format_="md")
    assert capsys.readouterr().out.startswith("# Masked language modelling (BERT)\n")
    card_command("bert", run=folder, format_="json")
    assert check(json.loads(capsys.readouterr().out))["measured"]
    card_command("bert", run=folder, json_=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert check(answer["data"])
    card_command("bert", format_="html")
    assert parse(capsys.readouterr().out).all("article", "card")
    with pytest.raises(UserError, match="no format 'pdf'"):
        card_command("bert", format_="pdf")


def test_report_prints_where_the_page_is(tmp_path, capsys):
    folder = make(tmp_path / "small", names=["gpt"], points=2)
    report_command(folder)
    assert capsys.readouterr().out == f"{folder / 'report.html'}\n"
    report_command(folder, out=tmp_path / "elsewhere.html", json_=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["schema"] == "report/1"
    assert (tmp_path / "elsewhere.html").stat().st_size == answer["data"]["bytes"]
    with pytest.raises(UserError, match="is a folder"):
        report_command(folder, out=tmp_path)
