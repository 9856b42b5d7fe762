"""A removed span: which of ten stood there?

Spans come in groups of ten, and the candidates for each gap are the group's ten spans, so every span is right once and wrong
nine times: no candidate is favoured by being frequent. Each objective ranks them by its own likelihood:

    continues (gpt, prefix-lm)      the candidate and all that follows it, given what stands before
    is shown the gap (t5, bart, …)  the answer, given the text with the gap; and that the answer then goes on as it should
    each by itself (bert, …)        pseudo-likelihood (Salazar et al. 2020) of the span and three tokens on each side, every third
                                    of them hidden at a time: about as many as in training, and the span must suit its neighbours

A phrase that is common everywhere scores high in every gap. So each score is set against what the same candidate scores in
gaps where it does not belong (pointwise mutual information, as Holtzman et al. 2021 §3), cells of wrong pairs only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int32

from maskdial.evaluate.abilities import NOTHING_HIDDEN, left_only, unusual
from maskdial.evaluate.facts import Run
from maskdial.evaluate.items import Items, Passage
from maskdial.evaluate.likelihood import Found, record
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer, rows_of_scored
from maskdial.evaluate.statistics import Outcome, not_applicable
from maskdial.sample import SILENT

#: Nats below which two scores are the same: sums of some twenty float32 numbers.
TIE = 1e-4

Ids = Int32[np.ndarray, " n"]
Unigram = Float64[np.ndarray, " v"]
Table = Float64[np.ndarray, "n c"]


LENGTH = 48
SPAN = 5
CANDIDATES = 10
ITEMS = 200
#: In place: tokens around the span that are scored too, and every how many-th is hidden at a time.
AROUND = STRIDE = 3



def infill(scorer: Scorer, phrasing: Phrasing, items: Items) -> Found:
    """Share of gaps of five tokens for which the true span ranks first among ten; chance .10 (ties share the point)."""
    if phrasing.rewrites and not phrasing.shows:
        return not_applicable(NOTHING_HIDDEN)
    passages = items.passages(LENGTH, ITEMS)
    passages = passages[: len(passages) // CANDIDATES * CANDIDATES]
    if not passages:
        return not_applicable("held-out text has fewer than ten passages of 16 tokens")
    groups = [passages[i : i + CANDIDATES] for i in range(0, len(passages), CANDIDATES)]
    scores = score(scorer, phrasing, groups)
    points = np.concatenate([credit(calibrated(s)) for s in scores.reshape(-1, CANDIDATES, CANDIDATES)])
    records = [
        record(items, p, at=gap(p)[0], truth=items.text(p.ids[slice(*gap(p))]), right=round(float(x), 3),
               scores=[round(float(v), 2) for v in row])
        for p, x, row in zip(passages, points, scores.reshape(len(passages), CANDIDATES), strict=True)
    ]  # fmt: skip
    return Outcome.of([p.group for p in passages], points, None, 1 / CANDIDATES, proportion=True, note=_note(phrasing),
                      records=records)  # fmt: skip


def gap(passage: Passage) -> Run:
    """The removed span: five tokens in the middle."""
    size = min(SPAN, len(passage) // 4)
    middle = (len(passage) - size) // 2
    return middle, middle + size


def with_span(passage: Passage, other: Passage) -> Ids:
    """The passage with another one's span in its gap (equal lengths)."""
    a, b = gap(passage)
    c, d = gap(other)
    return np.concatenate([passage.ids[:a], other.ids[c:d], passage.ids[b:]])


def score(scorer: Scorer, phrasing: Phrasing, groups: Sequence[Sequence[Passage]]) -> Table:
    """Scores in nats, one row a gap (all groups below one another), one column a candidate of its group."""
    pairs = [(p, c) for group in groups for p in group for c in group]
    texts = [with_span(p, c) for p, c in pairs]
    spans = [gap(p) for p, _ in pairs]
    if not phrasing.chain:
        asked = [(max(0, a - AROUND), min(b + AROUND, len(t))) for (a, b), t in zip(spans, texts, strict=True)]
        return pseudo_likelihood(scorer, phrasing, texts, asked, STRIDE).reshape(-1, CANDIDATES)
    if phrasing.shows:
        samples = phrasing.ask(texts, [[s] for s in spans], spans, closing=True)
    else:
        samples = phrasing.ask(texts, [[s] for s in spans], [(s[0], len(t)) for s, t in zip(spans, texts, strict=True)])
    return scorer.log_likelihood(samples)[0].reshape(-1, CANDIDATES)


def pseudo_likelihood(
    scorer: Scorer, phrasing: Phrasing, texts: Sequence[Ids], asked: Sequence[Run], stride: int, plain: Unigram | None = None
) -> Float64[np.ndarray, " n"]:
    """Sum over each run `asked` of log p(token | the tokens that are not hidden with it), every `stride`-th hidden at a time.

    With `plain` (a unigram's log-probabilities) what is summed is the gain over it, both among body tokens.
    """
    total = np.zeros(len(texts))
    for turn in range(stride):
        hidden = [[(i, i + 1) for i in range(a + turn, b, stride)] for a, b in asked]
        samples = phrasing.ask(texts, hidden, asked)
        values: Float64[np.ndarray, " k"] = scorer.token_log_probs(samples, among_body=plain is not None).astype(np.float64)
        if plain is not None:
            values -= plain[samples.target[samples.target != SILENT]]
        total += np.bincount(rows_of_scored(samples), values, len(texts))
    return total


def calibrated(scores: Table) -> Table:
    """Scores of one group less what each candidate scores in gaps it does not belong to.

    Rows are first put on one footing (a text's own likelihood says nothing about the candidates). What a candidate usually
    scores is its mean over the other wrong pairs, so that no right pair tells on the others.
    """
    count = len(scores)
    wrong = ~np.eye(count, dtype=bool)
    level = scores - scores.mean(1, keepdims=True)
    usual = np.empty_like(level)
    for i in range(count):
        usable = wrong.copy()
        usable[i] = False
        usual[i] = np.where(usable, level, 0).sum(0) / usable.sum(0)
    return np.asarray(level - usual)


def credit(scores: Table) -> Float64[np.ndarray, " n"]:
    """1 where the diagonal is the row's only best, 1/k where it ties with k - 1 others, else 0."""
    ties = scores >= scores.max(1, keepdims=True) - TIE
    return np.asarray(np.where(np.diag(ties), 1.0 / ties.sum(1), 0.0))


def _note(phrasing: Phrasing) -> str:
    if not phrasing.chain:
        how = "pseudo-likelihood of the span and three tokens on each side, every third hidden at a time"
        return how if phrasing.shows else f"{how}; {left_only(phrasing)}"
    if not phrasing.shows:
        return "scores the candidate and all that follows it, given the left side"
    after = " up to the token after the gap" if phrasing.rewrites else ""
    return f"{unusual(phrasing, SPAN)}scores the answer{' and the sentinel after it' if phrasing.mark == 'one sentinel' else after}"
