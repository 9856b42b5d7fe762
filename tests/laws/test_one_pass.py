"""What is drawn and written in one pass is what `Build` makes of decisions that somebody has looked at, to the bit."""

from collections import Counter
from dataclasses import replace

import pytest

import maskdial as md
from maskdial import build
from maskdial.mixture import Mixture
from maskdial.one_pass import one_pass
from tests.conftest import make_rows
from tests.laws.cases import CASES, IDS
from tests.laws.test_every_recipe import LENGTHS, same

TABLES = [make_rows([*LENGTHS, 512], 4), make_rows([60, 0, 300, 1], 5, "isolated", documents=4), make_rows([], 6)]
#: which recipes have samples that are made in one pass, and in how many of the settings of `CASES`
ONCE = {"bart": 3, "fim": 3, "mbart": 2, "t5": 10, "ul2": 2, "ul2r": 2}


def made_once(monkeypatch, call):
    """What a call gives, and how many of its builds were made in one pass."""
    found = []
    monkeypatch.setattr(build, "one_pass", lambda b: found.append(one_pass(b)) or found[-1])
    return call(), sum(made is not None for made in found)


def looked_at(objective, rows, vocab, **given):
    """Decisions none of which waits to be drawn."""
    decisions = objective.draw(rows, vocab, **given)
    for name in decisions.values:
        decisions[name]
    return decisions


@pytest.mark.parametrize("framed", [True, False])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_one_pass_makes_what_build_makes(name, options, framed, vocab, monkeypatch):
    objective = md.objective(name, **options)
    objective = objective if framed else objective.replace(frame=False)
    for rows in TABLES:
        for epoch in range(3):
            given = {"seed": 3, "epoch": epoch}
            once = objective(rows, vocab, **given)
            traced, never = made_once(monkeypatch, lambda rows=rows, given=given: objective(rows, vocab, provenance=True, **given))
            same(once, traced)
            assert never == 0
            if not isinstance(objective, Mixture):
                decisions = looked_at(objective, rows, vocab, **given)
                apart, never = made_once(monkeypatch, lambda rows=rows, d=decisions: objective.build(rows, vocab, d))
                same(once, apart)
                assert never == 0


def test_which_recipes_take_it(vocab, monkeypatch):
    found = Counter()
    for name, options in CASES:
        _, times = made_once(monkeypatch, lambda name=name, options=options: md.objective(name, **options)(TABLES[0], vocab))
        found[name] += times > 0
    assert {name: count for name, count in found.items() if count} == ONCE


@pytest.mark.parametrize("overflow", ["error", "vocab", "merge_tail"])
def test_too_few_sentinels_are_left_to_build(overflow, vocab, monkeypatch):
    few = replace(vocab, sentinels=vocab.sentinels[:20])
    objective = md.objective("t5", overflow=overflow)
    for length, wanted in ((350, 1), (400, 0), (420, 0)):  # 18, 20 and 21 spans
        rows = make_rows([length], 1)
        if overflow == "error" and length == 420:
            with pytest.raises(ValueError, match="needs 21 sentinels for one row and this vocabulary has 20"):
                objective(rows, few)
            continue
        once, times = made_once(monkeypatch, lambda rows=rows: objective(rows, few))
        assert times == wanted
        same(once, objective(rows, few, provenance=True))


def test_nearly_all_insertions(vocab, monkeypatch):
    """A mean so small that a text runs out of room for its spans before they hide their share."""
    objective = md.objective("bart", poisson_lambda=0.1)
    for rows in TABLES:
        once, times = made_once(monkeypatch, lambda rows=rows: objective(rows, vocab))
        assert times == 1
        same(once, objective(rows, vocab, provenance=True))
        spans = objective.draw(rows, vocab)["spans"]
        inserted = spans.length == 0
        assert len(rows) == 0 or inserted.mean() > 0.4
