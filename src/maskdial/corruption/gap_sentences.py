"""Which sentences a text can best be told by: the ones most like all the others (PEGASUS: Zhang et al. 2020, §3.1).

A sentence's importance is the F1 of the tokens that it shares with the rest of its text (ROUGE-1). It is measured each on
its own ("ind"), or sentences are chosen one after another, each time the one that makes all chosen together most like what
is left ("seq"); a token that stands several times counts as often ("orig") or once ("uniq"). Of equals the later is taken.
"""

from __future__ import annotations

import numpy as np

from maskdial.corruption.runs import SPARE, longest_of, stretches
from maskdial.corruption.select import choose
from maskdial.corruption.text import Decisions, Spans
from maskdial.rng import GAPS, kernel, site
from maskdial.sample import Rows

PRINCIPAL, RANDOM, LEAD = range(3)
STRATEGIES = ("principal", "random", "lead")


@kernel
def _numbered(text, known, before, word):  # type: ignore[no-untyped-def]
    """Number the different ids of a text 0, 1, 2, …, so that counts of them lie together; returns how many there are. `known` has a
    number above 0 for each id of any text so far, one above `before` for those of this text."""
    ids = np.int32(0)
    for i in range(np.uint64(len(text))):
        number = known[text[i]] - before
        if number <= 0:
            ids += np.int32(1)
            number = ids
            known[text[i]] = before + ids
        word[i] = number - np.int32(1)
    return ids


@kernel
def _share(chosen, total, uniq):  # type: ignore[no-untyped-def]
    """What one id brings to (shared tokens, chosen tokens, tokens left): it stands `total` times, `chosen` of them chosen."""
    left = total - chosen
    if uniq:
        chosen, left = min(chosen, np.int32(1)), min(left, np.int32(1))
    return min(chosen, left), chosen, left


@kernel
def _with(words, taken, total, own, uniq, sums):  # type: ignore[no-untyped-def]
    """What `sums` become once the sentence `words` is chosen too; `own` is all 0 before and after."""
    shared, chosen, left = sums
    for w in words:
        own[w] += np.int32(1)
    for w in words:
        if own[w]:
            before, after = _share(taken[w], total[w], uniq), _share(taken[w] + own[w], total[w], uniq)
            shared, chosen, left = shared + after[0] - before[0], chosen + after[1] - before[1], left + after[2] - before[2]
            own[w] = 0
    return shared, chosen, left


@kernel
def _f1(sums):  # type: ignore[no-untyped-def]
    shared, chosen, left = sums
    return 2.0 * shared / (chosen + left) if shared else 0.0  # 2PR / (P + R) of P = shared / chosen, R = shared / left


@kernel
def _best(scores, picks, chosen):  # type: ignore[no-untyped-def]
    """Flag those than which fewer than `picks` are better, or as good and later."""
    for s in range(len(scores)):
        better = 0
        for t in range(len(scores)):
            better += int((scores[t] > scores[s]) | ((scores[t] == scores[s]) & (t > s)))
        chosen[s] = better < picks


@kernel
def _principal(word, ids, bounds, n, picks, uniq, seq, counts, scores, chosen):  # type: ignore[no-untyped-def]
    """Flag the `picks` most important of n sentences of a text of numbered ids."""
    counts[:, :ids] = 0
    taken, total, own = counts
    for w in word[: bounds[n]]:
        total[w] += np.int32(1)
    sums = np.int64(0), np.int64(0), np.int64(ids if uniq else bounds[n])
    if not seq:
        for s in range(n):
            scores[s] = _f1(_with(word[bounds[s] : bounds[s + 1]], taken, total, own, uniq, sums))
        _best(scores[:n], picks, chosen)
        return
    for _ in range(picks):
        best, highest = 0, -1.0
        for s in range(n):
            if not chosen[s]:
                score = _f1(_with(word[bounds[s] : bounds[s + 1]], taken, total, own, uniq, sums))
                best, highest = (s, score) if score >= highest else (best, highest)
        chosen[best], words = 1, word[bounds[best] : bounds[best + 1]]
        sums = _with(words, taken, total, own, uniq, sums)
        for w in words:
            taken[w] += np.int32(1)


@kernel
def _gaps(tokens, starts, offsets, keys, rate, strategy, uniq, seq, vocabulary):  # type: ignore[no-untyped-def]
    begin, count, used = np.empty(len(keys), dtype=np.int64), np.empty(len(keys), dtype=np.int64), 0
    start, length = np.empty(len(tokens), dtype=np.int32), np.empty(len(tokens), dtype=np.int32)
    room, known, before = longest_of(offsets) + SPARE + 1, np.zeros(vocabulary, dtype=np.int32), np.int32(0)
    bounds, chosen, scores = np.empty(room, dtype=np.int64), np.empty(room, dtype=np.uint8), np.empty(room)
    word, counts = np.empty(room, dtype=np.int32), np.empty((3, room), dtype=np.int32)
    for u in range(len(keys)):
        begin[u], text = used, tokens[offsets[u] : offsets[u + 1]]
        n = stretches(starts[offsets[u] : offsets[u + 1]], bounds)
        picks = min(n, max(1, np.int64(np.floor(n * rate + 1e-9))))
        chosen[:n] = 0
        if strategy == RANDOM:
            choose(site(keys[u], GAPS), n, picks, chosen)
        elif strategy == LEAD:
            chosen[:picks] = 1
        else:
            ids = _numbered(text, known, before, word)
            _principal(word, ids, bounds, n, picks, uniq, seq, counts, scores, chosen)
            before += ids
        for s in range(n):
            if chosen[s]:
                start[used], length[used] = bounds[s], bounds[s + 1] - bounds[s]
                used += 1
        count[u] = used - begin[u]
    return begin, count, start[:used].copy(), length[:used].copy()


def gap_sentences(rows: Rows, d: Decisions, rate: float, strategy: str = "principal", score: str = "ind-orig") -> Spans:
    """max(1, floor(rate · sentences)) whole sentences of each unit, in the text's order.

    `strategy`: "principal" (by importance), "random" (without replacement) or "lead" (the first ones); `score` is "ind-orig",
    "ind-uniq", "seq-orig" or "seq-uniq". Wants the rows' `sentence` column.
    """
    vocabulary = int(rows.tokens.max(initial=0)) + 1
    return Spans(*_gaps(rows.tokens, rows.sentence, rows.units.offsets, d.keys, rate, STRATEGIES.index(strategy), score.endswith("uniq"),
                        score.startswith("seq"), vocabulary))  # fmt: skip
