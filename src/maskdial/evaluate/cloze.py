"""One hidden token: both sides are shown where the objective can read them."""

from __future__ import annotations

import numpy as np

from maskdial.evaluate.abilities import NOTHING_HIDDEN, left_only, unusual
from maskdial.evaluate.facts import Run
from maskdial.evaluate.items import Items, uniform
from maskdial.evaluate.likelihood import Found, record
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer
from maskdial.evaluate.statistics import Outcome, not_applicable

LENGTH = 64
ITEMS = 800


def cloze(scorer: Scorer, phrasing: Phrasing, items: Items) -> Found:
    """Share of hidden tokens guessed right at the first try, among body tokens; baseline: the commonest train token.

    One token of each 64-token passage, uniform in its middle three quarters, so that both sides exist.
    """
    if phrasing.rewrites and not phrasing.shows:
        return not_applicable(NOTHING_HIDDEN)
    passages = items.passages(LENGTH, ITEMS)
    if not passages:
        return not_applicable("held-out text has no run of 16 tokens")
    eighth = [len(p) // 8 for p in passages]
    places = [e + int(u) % max(1, len(p) - 2 * e) for p, e, u in
              zip(passages, eighth, uniform(len(passages), "cloze", 1 << 30), strict=True)]  # fmt: skip
    asked: list[Run] = [(i, i + 1) for i in places]
    samples = phrasing.ask([p.ids for p in passages], [[run] for run in asked], asked)
    guess, sure = scorer.best(samples)
    truth = np.array([p.ids[i] for p, i in zip(passages, places, strict=True)])
    records = [
        record(items, p, at=i, truth=items.text([int(t)]), guess=items.text([int(g)]), probability=round(float(s), 4))
        for p, i, t, g, s in zip(passages, places, truth, guess, sure, strict=True)
    ]
    return Outcome.of([p.group for p in passages], guess == truth, None, (truth == items.commonest).astype(float), proportion=True,
                      note=_note(phrasing), records=records)  # fmt: skip


def _note(phrasing: Phrasing) -> str:
    if not phrasing.shows:
        return left_only(phrasing)
    if phrasing.rewrites:
        return f"{phrasing.mark} in the source; the answer is given up to the gap"
    if phrasing.mark == "one sentinel":
        return f"{unusual(phrasing, 1)}one sentinel; the first body token behind it is the guess"
    return unusual(phrasing, 1).removesuffix(": ")
