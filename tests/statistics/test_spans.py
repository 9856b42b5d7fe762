"""T5's spans: exact totals, the law of their lengths, where they lie, and what happens when sentinels run out."""

from itertools import pairwise
from math import comb

import numpy as np
import pytest

import maskdial as md
from maskdial import rng
from maskdial.corruption.select import span_counts
from maskdial.corruption.spans import RandomSpans
from maskdial.sample import SILENT
from tests.statistics.tolerance import average, categories, draws, frequencies, frequency, uniform

#: T5, mT5 and the denoisers of UL2: (rate, mean length)
SETTINGS = [(0.15, 3.0), (0.15, 8.0), (0.5, 3.0), (0.5, 8.0), (0.15, 64.0), (0.5, 64.0), (0.15, 1.0), (0.9, 2.0), (1.0, 3.0)]


def counts(length, rate, mean):
    """Hidden tokens and spans of a text, in plain numbers: round half to even, at least one, never all, as many as fit."""
    if length < 2 or not rate:
        return 0, 0
    hidden = min(max(round(length * rate), 1), length - 1)
    return hidden, min(max(1, round(hidden / mean)), hidden, length - hidden)


def spans(count, length, rate, mean, name="t5", **options):
    """(starts, lengths) of `count` texts of one length, a row each (without `roll` all have as many spans)."""
    keys = rng.keys(0, name, 0, np.arange(count, dtype=np.uint64))
    made = RandomSpans(rate, mean, **options).of(np.full(count, length), keys)
    return made.start.reshape(count, -1), made.length.reshape(count, -1)


def flags(count, length, rate, mean, **options):
    """Hidden or not, a row a text."""
    keys = rng.keys(0, "t5", 0, np.arange(count, dtype=np.uint64))
    made = RandomSpans(rate, mean, **options).of(np.full(count, length), keys)
    marks = np.zeros((count, length + 1), dtype=np.int64)
    live = np.arange(len(made.start)) < (made.begin + made.count)[made.entry_unit]
    unit, start, size = made.entry_unit[live], made.start[live], made.length[live]
    np.add.at(marks, (unit, start), 1)
    np.add.at(marks, (unit, start + size), -1)
    return np.cumsum(marks, axis=1)[:, :length]


def compositions(total, parts, size):
    """P(a given part of a uniformly random composition of `total` into `parts` positive parts is `size`)."""
    if parts == 1:
        return float(size == total)
    return comb(total - size - 1, parts - 2) / comb(total - 1, parts - 1) if size <= total - parts + 1 else 0.0


@pytest.mark.parametrize(("rate", "mean"), SETTINGS)
def test_totals_are_exact_at_every_length(rate, mean, ragged, vocab):
    drawn = md.objective("t5", rate=rate, mean_length=mean).draw(ragged(range(701)), vocab)["spans"]
    for length in range(701):
        pairs = drawn.unit(length)
        assert (sum(n for _, n in pairs), len(pairs)) == counts(length, rate, mean)
        edges = [0, *(x for start, n in pairs for x in (start, start + n))]
        assert all(a < b for a, b in pairwise(edges)), "kept text first, at least one token between spans"
        assert not pairs or edges[-1] == length, "the last token is hidden"


def test_worked_totals():
    assert counts(568, 0.15, 3) == (85, 28)
    for (raw, rate, mean), expected in {
        (568, 0.15, 3): (85, 28), (588, 0.15, 8): (88, 11), (766, 0.5, 3): (383, 128), (908, 0.5, 8): (454, 57),
        (600, 0.15, 64): (90, 1), (1006, 0.5, 64): (503, 8),
    }.items():  # fmt: skip
        assert tuple(span_counts(raw, rate, float(mean), False)) == expected


@draws(5000)
@pytest.mark.parametrize("place", [0, 13, 27])
def test_lengths_follow_the_law_of_compositions(place, draws):
    """568 tokens, 85 hidden in 28 spans: .321, .221, .151, .102, …, mean 3.036; one span a text, wherever it stands."""
    _start, length = spans(draws, 568, 0.15, 3.0)
    law = np.array([0.0] + [compositions(85, 28, n) for n in range(1, 59)])
    assert [round(p, 3) for p in law[1:5]] == [0.321, 0.221, 0.151, 0.102]
    mean = float(law @ np.arange(59))
    assert mean == pytest.approx(85 / 28)
    categories(np.bincount(length[:, place], minlength=59), law, "span lengths")
    average(length[:, place], mean, float(law @ np.arange(59) ** 2 - mean**2) ** 0.5, "span length")


@draws(5000)
def test_kept_runs_follow_the_same_law(draws):
    """54 tokens are kept in 3 runs of a text of 64; the first run tells how the first positions fare."""
    start, length = spans(draws, 64, 0.15, 3.0)
    for run, found in enumerate((start[:, 0], start[:, 1] - start[:, 0] - length[:, 0])):
        categories(np.bincount(found, minlength=54), [0.0] + [compositions(54, 3, n) for n in range(1, 54)], f"kept run {run}")
    hidden = flags(draws, 64, 0.15, 3.0)
    assert not hidden[:, 0].any()
    assert hidden[:, 63].all()
    frequency(hidden[:, 1].sum(), draws, compositions(54, 3, 1), "the second token")
    frequency(hidden[:, 62].sum(), draws, 1 - compositions(10, 3, 1), "the last but one")


@draws(5000)
def test_all_nine_masks_of_eight_tokens_are_equally_likely(draws):
    code = flags(draws, 8, 0.5, 2.0) @ (1 << np.arange(8))
    found, number = np.unique(code, return_counts=True)
    assert len(found) == 9 == comb(3, 1) * comb(3, 1)
    uniform(number, "masks")


def test_one_span_is_the_tail(ragged, vocab):
    """Released law: while one span is enough nothing is random. Up to 30 tokens at the defaults, far longer in UL2."""
    for rate, mean, last in ((0.15, 3.0, 30), (0.15, 8.0, 76), (0.15, 64.0, 636), (0.5, 64.0, 190)):
        objective = md.objective("t5", rate=rate, mean_length=mean)
        for seed in (0, 1):
            drawn = objective.draw(ragged(range(last + 2)), vocab, seed=seed)["spans"]
            for length in range(2, last + 1):
                hidden = counts(length, rate, mean)[0]
                assert drawn.unit(length) == [(length - hidden, hidden)]
            assert len(drawn.unit(last + 1)) == 2


@draws(4000, 100_000)
@pytest.mark.parametrize(("length", "rate", "mean"), [(40, 0.15, 3.0), (20, 0.15, 3.0), (24, 0.5, 2.0)])
def test_a_rolled_mask_hides_every_position_alike(length, rate, mean, draws):
    hidden = flags(draws, length, rate, mean, roll=True)
    n, s = counts(length, rate, mean)
    assert (hidden.sum(axis=1) == n).all()
    frequencies(hidden.sum(axis=0), draws, n / length, "position ")
    around = np.concatenate([hidden, hidden[:, :1]], axis=1)
    assert ((np.diff(around, axis=1) == 1).sum(axis=1) == s).all(), "as many spans, counted round the end"
    wraps = (hidden[:, 0] & hidden[:, -1]).sum()
    frequency(wraps, draws, (n - s) / length, "a span that wraps")


def test_a_rolled_sample_rebuilds_its_text(vocab):
    rows = md.rows([list(range(100, 140))] * 200)
    for layout in ("announce", "complement"):
        s = md.objective("t5", roll=True, layout=layout)(rows, vocab, provenance=True)
        for one in s:
            shown = one.origin[(one.stream == 0) & (one.origin < 40)]
            said = one.answer[(one.answer >= 0) & (one.answer < 40)]
            assert sorted([*shown, *said]) == list(range(40))


def test_float32_hides_one_more_where_the_release_does(vocab):
    """At 190 tokens 0.15 · L is 28.5: even is 28, but float32 carries it over to 29. 39 such lengths up to 4,096."""
    rows = md.rows([[100] * 190])
    totals = {mode: int(md.objective("t5", compat=mode).draw(rows, vocab)["spans"].totals[0]) for mode in (None, "t5")}
    assert totals == {None: 28, "t5": 29}
    differ = [n for n in range(4097) if span_counts(n, 0.15, 3.0, True)[0] != span_counts(n, 0.15, 3.0, False)[0]]
    assert differ[:4] == [190, 350, 390, 670]
    assert len(differ) == 39
    for rate in (0.2, 0.25, 0.5):
        assert all(span_counts(n, rate, 3.0, True) == span_counts(n, rate, 3.0, False) for n in range(4097))


def test_more_spans_than_sentinels():
    """766 tokens at (0.5, 3) have 128 spans. T5 has 100 sentinels and counts on down into ordinary ids."""
    vocab = md.Vocab(size=1100, pad=0, eos=1, start=0, sentinels=range(1099, 999, -1))
    rows = md.rows([list(range(100, 866))])
    with pytest.raises(ValueError, match=r"needs 128 sentinels for one row and this vocabulary has 100.*merge_tail"):
        md.objective("t5", rate=0.5)(rows, vocab)
    counted = md.objective("t5", rate=0.5, overflow="vocab")(rows, vocab, provenance=True)
    shown = counted.read[(counted.kind == 4) & (counted.stream == 0)]
    assert shown.tolist() == list(range(1099, 1099 - 128, -1)), "the release's silent overflow, by name"
    merged = md.objective("t5", rate=0.5, overflow="merge_tail")(rows, vocab, provenance=True)[0]
    source = merged.read[merged.stream == 0]
    said = merged.target[merged.target != SILENT]
    assert sum(t >= 1000 for t in source.tolist()) == 99
    assert [t for t in said.tolist() if t >= 1000] == list(range(1099, 999, -1)), "one sentinel is kept for the end"
    rebuilt, parts = [], {}
    for token in said[:-1].tolist():
        if token >= 1000:
            parts[token] = current = []
        else:
            current.append(token)
    for token in source[:-1].tolist():
        rebuilt += parts[token] if token >= 1000 else [token]
    assert rebuilt == list(range(100, 866))


@draws(5000)
@pytest.mark.parametrize("length", [2, 3, 10])
def test_a_prefix_ends_anywhere_alike(length, draws, plain, vocab):
    split = md.objective("prefix-lm").draw(plain(draws, length), vocab)["split"]
    found = np.bincount(split, minlength=length)
    assert found[0] == 0
    assert found.sum() == found[1:length].sum() == draws
    if length > 2:
        uniform(found[1:], "split")
    average(split, length / 2, max(((length - 1) ** 2 - 1) / 12, 1e-12) ** 0.5, "split")


def test_a_prefix_of_one_token_is_empty_and_a_fixed_share_is_fixed(ragged, vocab):
    assert md.objective("prefix-lm").draw(ragged([0, 1, 2]), vocab)["split"].tolist() == [0, 0, 1]
    fixed = md.objective("prefix-lm", split=0.25).draw(ragged([0, 1, 2, 8, 100]), vocab)["split"].tolist()
    assert fixed == [0, 0, 1, 2, 25]
