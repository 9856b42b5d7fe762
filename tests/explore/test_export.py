"""An exported page: one file, every answer Python's own, found again by the very request that the page makes."""

from __future__ import annotations

import json
import re

import pytest

from maskdial.explore.answers import Answers
from maskdial.explore.export import export, positions, requests
from maskdial.explore.meta import meta
from maskdial.explore.module import module
from maskdial.explore.request import canonical, read
from maskdial.explore.texts import EXAMPLES, FIRST
from tests.cli.run import maskdial
from tests.explore.conftest import SIX, carried


@pytest.fixture(scope="module")
def page(exported):
    return exported.read_text(encoding="utf-8")


def test_every_answer_is_found_by_its_request_and_is_python_s(page):
    held, answers = json.loads(carried(page, "answers")), Answers()
    assert len(held) > 100
    for key, answer in held.items():
        assert key == canonical(json.loads(key)), "the page writes the same key"
        assert key == canonical(answer["extra"]["request"])
    for key in list(held)[::9]:
        assert held[key] == answers(json.loads(key))


def test_the_first_request_of_every_recipe_on_every_text_is_held(page):
    held = json.loads(carried(page, "answers"))
    known = json.loads(carried(page, "meta"))
    assert [recipe["name"] for recipe in known["recipes"]] == sorted(SIX)
    for name in SIX:
        for example in EXAMPLES:
            assert canonical(FIRST | {"objective": name, "text": example["text"], "options": {}}) in held
    assert canonical(FIRST) in held
    assert json.loads(carried(page, "first")) == held[canonical(FIRST)]


def test_the_file_needs_nothing_else(page):
    assert module().replace("</script", "<\\/script") in page
    assert page.count("<script") == 4
    assert not re.search(r"<(link|img|iframe)\b", page)
    assert not re.search(r'\b(?:src|href)="(?!#)', page)
    assert '<meta name="maskdial-token"' not in page


def test_positions_are_one_dial_at_a_time_and_all_can_be_asked():
    for recipe in meta()["recipes"]:
        found = list(positions(recipe))
        assert all(len(options) <= 1 for options in found)
        assert {} in found
        assert len({canonical(options) for options in found}) == len(found)
        for options in found:
            read(FIRST | {"objective": recipe["name"], "options": options})


def test_the_file_stays_small(page):
    """Every recipe, reckoned from these six: under 8 MB."""
    known = meta()["recipes"]
    shown = len(list(requests(known))) / len(list(requests([r for r in known if r["name"] in SIX])))
    assert len(carried(page, "answers").encode()) * shown < 8e6


def test_the_command_writes_the_page(tmp_path, monkeypatch):
    import maskdial.explore.export as made

    whole = made.requests
    monkeypatch.setattr(made, "requests", lambda recipes: list(whole(recipes))[:3])
    status, out, _ = maskdial("explore", "--export", tmp_path / "a.html")
    assert (status, out) == (0, f"{tmp_path / 'a.html'}\n")
    status, out, _ = maskdial("explore", "--export", tmp_path / "b.html", "--json")
    said = json.loads(out)["data"]
    assert said == {"page": str(tmp_path / "b.html"), "bytes": (tmp_path / "b.html").stat().st_size}
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes(), "twice the same to the byte"


@pytest.mark.slow
def test_all_of_it(tmp_path):
    path = export(tmp_path / "all.html")
    assert path.stat().st_size < 8_000_000
    held = json.loads(carried(path.read_text(encoding="utf-8"), "answers"))
    assert len(held) == len({canonical(read(request).plain()) for request in requests(meta()["recipes"])})
