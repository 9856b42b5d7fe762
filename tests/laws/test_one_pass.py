"""What is drawn and written in one pass is what `Build` makes of decisions that are drawn first, to the bit."""

import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import maskdial as md
from maskdial import build
from maskdial.corruption.render import Replace
from maskdial.corruption.separate import separated
from maskdial.corruption.spans import RandomSpans
from maskdial.one_pass import one_pass
from tests.conftest import make_rows
from tests.laws.cases import CASES, IDS
from tests.laws.test_every_recipe import LENGTHS, same


def with_ends(rows, every, eod=3):
    """The same rows with an end of document here and there."""
    return replace(rows, tokens=np.where(np.random.default_rng(0).integers(0, every, len(rows.tokens)) == 0, np.int32(eod), rows.tokens))


TABLES = [
    make_rows([*LENGTHS, 512], 4), make_rows([60, 0, 300, 1], 5, "isolated", documents=4), make_rows([], 6),
    with_ends(make_rows([450, 65, 64, 1, 0, 130], 7), 90), with_ends(make_rows([300, 200, 40], 8), 4),
]  # fmt: skip
#: which recipes have samples that are made in one pass, and in how many of the settings of `CASES`
ONCE = {"bart": 3, "fim": 3, "mbart": 2, "t5": 10, "ul2": 2, "ul2r": 2}


def made_once(monkeypatch, call):
    """What a call gives, and how many of its builds were made in one pass."""
    found = []
    monkeypatch.setattr(build, "one_pass", lambda b: found.append(one_pass(b)) or found[-1])
    return call(), sum(made is not None for made in found)


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
            drawn = objective.draw(rows, vocab, **given)
            apart, never = made_once(monkeypatch, lambda rows=rows, drawn=drawn: objective.build(rows, vocab, drawn))
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


def test_nothing_that_is_drawn_waits(vocab):
    """What `draw` gives belongs to nobody's rows, can be pickled, and is built as it stands, by another objective too."""
    rows = make_rows([60, 200], 1)
    for name in ("t5", "bart", "mbart", "fim", "prefix-lm"):
        objective = md.objective(name)
        drawn = objective.draw(rows, vocab)
        assert not any(callable(value) for value in drawn.values.values())
        waiting = objective.waiting(rows, vocab)
        assert any(callable(value) for value in waiting.values.values())
        for decisions in (pickle.loads(pickle.dumps(drawn)), pickle.loads(pickle.dumps(waiting))):
            same(objective.build(rows, vocab, decisions), objective(rows, vocab))
    half = md.objective("t5", rate=0.5).draw(rows, vocab)
    few = md.objective("t5").build(rows, vocab, half)
    same(few, md.objective("t5", rate=0.5).build(rows, vocab, half))
    assert (few.offsets != md.objective("t5")(rows, vocab).offsets).any()


def test_settings_of_its_own_are_left_to_build(vocab, monkeypatch):
    class Twice(RandomSpans):
        def __call__(self, rows, lengths, d):
            return self.of(np.minimum(lengths, 10), d.keys)

    rows, t5 = make_rows([60, 200], 1), md.objective("t5")
    for step in (Replace(Twice(0.5, 3.0)), Replace(RandomSpans(0.15, 3.0), random=0.5)):
        objective = t5.replace(steps=(step,))
        once, times = made_once(monkeypatch, lambda objective=objective: objective(rows, vocab))
        assert times == 0
        same(once, objective(rows, vocab, provenance=True))
    assert (md.objective("fim").replace(steps=())(rows, vocab).read == rows.tokens).all()


def test_rows_that_a_member_prepares(vocab):
    """A member's rows are another table's; what it makes of them first lies somewhere else."""
    given = md.objective("t5").replace(prepare=lambda rows, vocab: separated(rows, vocab, "t5"))
    rows = make_rows([60, 0, 200, 31], 1)
    mixed = md.mixture({"a": (given, 1.0), "b": (md.objective("gpt"), 1.0)})
    same(mixed(rows, vocab), mixed(rows, vocab, provenance=True))
