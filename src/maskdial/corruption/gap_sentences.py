"""Which sentences a text can best be told by: the ones most like all the others (PEGASUS: Zhang et al. 2020, §3.1).

A sentence's importance is the F1 of the tokens that it shares with the rest of its text (ROUGE-1). It is measured each on
its own ("ind"), or sentences are chosen one after another, each time the one that makes all chosen together most like what
is left ("seq"); a token that stands several times counts as often ("orig") or once ("uniq"). Of equals the later is taken.
"""

from __future__ import annotations

import numpy as np

from maskdial.corruption.select import choose
from maskdial.corruption.text import Decisions, Spans
from maskdial.rng import GAPS, kernel, site
from maskdial.sample import Rows

PRINCIPAL, RANDOM, LEAD = range(3)
STRATEGIES = ("principal", "random", "lead")


@kernel
def _sentences(starts, begin, end, bounds):  # type: ignore[no-untyped-def]
    """Where the sentences of a unit begin, and its end; returns how many there are."""
    n = 0
    for i in range(begin, end):
        if i == begin or starts[i]:
            bounds[n] = i
            n += 1
    bounds[n] = end
    return n


@kernel
def _share(chosen, total, uniq, sums, sign):  # type: ignore[no-untyped-def]
    """Add what one id brings to (shared tokens, chosen tokens, tokens left): it stands `total` times, `chosen` of them chosen."""
    left = total - chosen
    if uniq:
        chosen, left = min(chosen, 1), min(left, 1)
    sums[0] += sign * min(chosen, left)
    sums[1] += sign * chosen
    sums[2] += sign * left


@kernel
def _score(tokens, taken, total, own, uniq, base, sums):  # type: ignore[no-untyped-def]
    """F1 of the chosen tokens and the sentence `tokens` with what is then left; `own` is all 0 before and after."""
    sums[:] = base
    for token in tokens:
        own[token] += 1
    for token in tokens:
        if own[token]:
            _share(taken[token], total[token], uniq, sums, -1)
            _share(taken[token] + own[token], total[token], uniq, sums, 1)
            own[token] = 0
    return 2.0 * sums[0] / (sums[1] + sums[2]) if sums[0] else 0.0  # 2PR / (P + R) of P = shared / chosen, R = shared / left


@kernel
def _principal(tokens, bounds, n, picks, uniq, seq, taken, total, own, chosen):  # type: ignore[no-untyped-def]
    """Flag the `picks` most important of n sentences; `taken`, `total` and `own` are all 0 before and after."""
    base, sums = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int64)
    text, scores = tokens[bounds[0] : bounds[n]], np.zeros(n)
    for token in text:
        total[token] += 1
    for token in text:
        if not own[token]:
            _share(0, total[token], uniq, base, 1)
            own[token] = 1
    for token in text:
        own[token] = 0
    for pick in range(picks):
        best = -1
        for s in range(n):
            if pick == 0 or (seq and not chosen[s]):
                scores[s] = _score(tokens[bounds[s] : bounds[s + 1]], taken, total, own, uniq, base, sums)
            if not chosen[s] and (best < 0 or scores[s] >= scores[best]):
                best = s
        chosen[best] = 1
        if seq:
            _score(tokens[bounds[best] : bounds[best + 1]], taken, total, own, uniq, base, sums)
            base[:] = sums
            for token in tokens[bounds[best] : bounds[best + 1]]:
                taken[token] += 1
    for token in text:
        taken[token], total[token] = 0, 0


@kernel
def _gaps(tokens, starts, offsets, keys, rate, strategy, uniq, seq, vocabulary, begin, count, start, length):  # type: ignore[no-untyped-def]
    taken, total, own = (np.zeros((3, vocabulary), dtype=np.int32))
    bounds, chosen = np.empty(len(tokens) + 1, dtype=np.int64), np.empty(len(tokens) + 1, dtype=np.uint8)
    used = 0
    for u in range(len(keys)):
        begin[u] = used
        n = _sentences(starts, offsets[u], offsets[u + 1], bounds)
        picks = min(n, max(1, np.int64(np.floor(n * rate + 1e-9))))
        chosen[:n] = 0
        if strategy == RANDOM:
            choose(site(keys[u], GAPS), n, picks, chosen)
        elif strategy == LEAD:
            chosen[:picks] = 1
        elif n:
            _principal(tokens, bounds, n, picks, uniq, seq, taken, total, own, chosen)
        for s in range(n):
            if chosen[s]:
                start[used], length[used] = bounds[s] - offsets[u], bounds[s + 1] - bounds[s]
                used += 1
        count[u] = used - begin[u]
    return used


def gap_sentences(rows: Rows, d: Decisions, rate: float, strategy: str = "principal", score: str = "ind-orig") -> Spans:
    """max(1, floor(rate · sentences)) whole sentences of each unit, in the text's order.

    `strategy`: "principal" (by importance), "random" (without replacement) or "lead" (the first ones); `score` is "ind-orig",
    "ind-uniq", "seq-orig" or "seq-uniq". Wants the rows' `sentence` column.
    """
    tokens, offsets, units = rows.tokens, rows.units.offsets, len(d.keys)
    start, length = (np.empty(len(tokens), dtype=np.int32) for _ in range(2))
    begin, count = (np.empty(units, dtype=np.int64) for _ in range(2))
    used = _gaps(tokens, rows.sentence, offsets, d.keys, rate, STRATEGIES.index(strategy), score.endswith("uniq"), score.startswith("seq"),
                 int(tokens.max(initial=0)) + 1, begin, count, start, length)  # fmt: skip
    return Spans(begin, count, start[:used].copy(), length[:used].copy())
