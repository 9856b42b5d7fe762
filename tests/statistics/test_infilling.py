"""BART: the lengths and places of its spans, what fairseq's overlap costs, and its other noises."""

from fractions import Fraction
from functools import cache
from itertools import permutations
from math import ceil, comb, exp, lgamma, log

import numpy as np
import pytest

import maskdial as md
from maskdial import rng
from maskdial.corruption.poisson import poisson_spans
from maskdial.corruption.render import AS_MASK, AS_RANDOM, REMOVED
from tests.statistics.tolerance import average, categories, draws, frequencies, frequency, uniform


@cache
def poisson(mean):
    """The Poisson law, cut where its probability falls below 1e-7 and renormalised (fairseq)."""
    law = []
    while not (len(law) > mean and exp(len(law) * log(mean) - mean - lgamma(len(law) + 1)) < 1e-7):
        law.append(exp(len(law) * log(mean) - mean - lgamma(len(law) + 1)))
    return np.array(law) / sum(law)


def at_least(law, size):
    return float(law[size:].sum())


def first_length(budget, mean):
    """The law of the length of a text's first span, when lengths are drawn until they fill `budget`, the last one is cut to
    fit and all are put in a random order. Exact, by summing over how many were drawn."""
    law, most = poisson(mean), 4 * budget + 40
    # fills[b, m]: m draws fill a budget of b;  sums[t, m]: m draws sum to t < budget
    fills, sums = np.zeros((budget + 1, most + 1)), np.zeros((budget + 1, most + 1))
    fills[0, 0] = sums[0, 0] = 1
    for m in range(1, most + 1):
        for b in range(1, budget + 1):
            fills[b, m] = sum(law[k] * fills[b - k, m - 1] for k in range(min(b, len(law)))) + (at_least(law, b) if m == 1 else 0)
        for t in range(budget):
            sums[t, m] = sum(law[k] * sums[t - k, m - 1] for k in range(min(t + 1, len(law))))
    made = np.zeros(budget + 1)
    for n in range(1, most + 1):
        for size in range(budget + 1):
            whole = law[size] * fills[budget - size, n - 1] if size < budget and size < len(law) else 0.0
            cut = sums[budget - size, n - 1] * at_least(law, size) if size else 0.0
            made[size] += ((n - 1) * whole + cut) / n
    return made


def drawn(count, length, rate=0.3, mean=3.0, seed=0):
    keys = rng.keys(seed, "bart", 0, np.arange(count, dtype=np.uint64))
    return poisson_spans(np.full(count, length), keys, rate, mean)


def test_the_law_is_the_cut_poisson():
    assert [round(float(poisson(m)[0]), 4) for m in (3.5, 3.0)] == [0.0302, 0.0498]
    assert first_length(30, 3.0).sum() == pytest.approx(1)
    assert abs(float(poisson(3.0) @ np.arange(len(poisson(3.0)))) - 3) < 1e-5


@draws(8000)
@pytest.mark.parametrize("mean", [3.0, 3.5])
def test_lengths_follow_the_poisson_law(mean, draws):
    """One span a text: the first in reading order. Its law differs from Poisson by the cut that makes the total exact."""
    spans = drawn(draws, 100, 0.3, mean)
    categories(np.bincount(spans.length[spans.begin], minlength=31), first_length(30, mean), "first span")
    last = spans.length[spans.begin + spans.count - 1]
    categories(np.bincount(last, minlength=31), first_length(30, mean), "last span")


@draws(2000, 20_000)
def test_long_texts_show_the_law_itself(draws):
    """In 10,000 tokens the one cut span among a thousand is lost: all but that one follow the law."""
    law = poisson(3.0)
    total = np.zeros(len(law))
    spans = drawn(draws // 500, 10_000)
    for u in range(draws // 500):
        sizes = [n for _, n in spans.unit(u)]
        total += np.bincount(sizes, minlength=len(law))
    categories(total, law, "all lengths")


@pytest.mark.parametrize("rate", ["0.3", "0.35", "0.14", "0.07", "1"])
def test_exactly_the_budget_is_covered_and_spans_stay_apart(rate, ragged, vocab):
    rows = ragged(range(601))
    spans = md.objective("bart", infill=float(rate), permute=False).draw(rows, vocab)["spans"]
    inserted = 0
    for length in range(601):
        pairs = spans.unit(length)
        assert sum(n for _, n in pairs) == ceil(Fraction(rate) * length)
        end = 0
        for start, n in pairs:
            assert end <= start <= length
            end = start + n
            inserted += n == 0
        assert end <= length
        assert len(pairs) <= ceil(Fraction(rate) * length), "infilling never makes a text longer"
    assert inserted > 100


@draws(40_000, 400_000)
def test_every_placement_is_equally_likely(draws):
    """Ten tokens, three hidden in two spans of any lengths: with a slot a span, 36 placements."""
    spans = drawn(draws, 10)
    two = spans.count == 2
    a, b = spans.begin[two], spans.begin[two] + 1
    first, second = spans.start[a], spans.start[b] - spans.length[a] + 1
    assert (first < second).all()
    assert two.sum() > draws / 4
    uniform(np.bincount(9 * first + second, minlength=81)[[9 * i + j for i in range(9) for j in range(i + 1, 9)]], "placements")
    assert comb(9, 2) == 36


@draws(4000, 40_000)
def test_places_and_lengths_are_exchangeable(draws):
    """A text read from its end looks the same: no part of it is hidden more, no part holds the longer spans."""
    spans = drawn(draws, 60)
    covered = np.zeros((draws, 61), dtype=np.int64)
    np.add.at(covered, (spans.entry_unit, spans.start), 1)
    np.add.at(covered, (spans.entry_unit, spans.start + spans.length), -1)
    hidden = np.cumsum(covered, axis=1)[:, :60]
    assert (hidden.sum(axis=1) == 18).all()
    for i in range(30):
        average(hidden[:, i] - hidden[:, 59 - i], 0, float(np.sqrt(2 * 0.3 * 0.7)) * 1.05, f"position {i} and its mirror")
    first, last = spans.length[spans.begin], spans.length[spans.begin + spans.count - 1]
    differ = first != last
    frequency((first > last).sum(), int(differ.sum()), 0.5, "the first span is the longer")


@draws(3000, 30_000)
def test_fairseq_spans_overlap_and_remove_less(draws, plain, vocab):
    """510 words at λ 3.5: not 30 % but 26.6 % removed, 34.4 masks left, 1.3 inserted, as a run of the released code gives."""
    d = md.objective("bart", compat="fairseq", permute=False).draw(plain(draws, 510), vocab)
    actions = d["hidden"].reshape(draws, 510)
    removed = 100 * (actions > 0).mean(axis=1)
    masks = np.isin(actions, (AS_MASK, AS_RANDOM)).sum(axis=1)
    assert set(np.unique(actions)) == {0, AS_MASK, AS_RANDOM, REMOVED}
    assert abs(removed.mean() - 26.6) <= 0.3
    assert removed.max() <= 30.0
    assert 0.9 <= removed.std() <= 1.3, "± 1.1 % from text to text"
    assert abs(masks.mean() - 34.4) <= 0.2
    assert abs(d["inserted"].mean() - 1.3) <= 0.1
    frequency((actions == AS_RANDOM).sum(), int(masks.sum()), 0.1, "random instead of [MASK]")


@draws(3000, 30_000)
def test_fairseq_source_length(draws, plain, vocab):
    """256 words, mask 0.3, λ 3.5, no permutation: 206.1 are read, 187.7 kept words and 18.4 masks."""
    objective = md.objective("bart", compat="fairseq", permute=False, random=0.0).replace(frame=False)
    s = objective(plain(draws, 256), vocab)
    source = s.stream == 0
    masks = int((s.read[source] == vocab.mask).sum()) / draws
    length = int(source.sum()) / draws
    assert abs(length - 206.1) <= 0.4
    assert abs(masks - 18.4) <= 0.2
    assert abs(length - masks - 187.7) <= 0.4


@draws(6000)
def test_three_sentences_come_in_all_six_orders(draws, plain, vocab):
    rows = plain(draws, 9, sentence=[1, 0, 0, 1, 0, 0, 0, 1, 0])
    start = md.objective("bart", infill=0.0).draw(rows, vocab)["sentences"].start.reshape(draws, 3)
    cells = [int((start == order).all(axis=1).sum()) for order in permutations((0, 3, 7))]
    assert sum(cells) == draws
    uniform(cells, "orders")


@draws(8000, 200_000)
@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_a_rotation_begins_at_every_token_alike(rate, draws, plain, vocab):
    turned = md.objective("bart", infill=0.0, permute=False, rotate=rate).draw(plain(draws, 12), vocab)["rotate"]
    categories(np.bincount(turned, minlength=13), [1 - rate] + [rate / 12] * 12, "first token")


@draws(60_000)
def test_tokens_are_masked_and_deleted_by_coins_of_their_own(draws, plain, vocab):
    rows = plain(draws // 100, 100)
    hidden = md.objective("bart", infill=0.0, permute=False, mask=0.2, delete=0.1).draw(rows, vocab)["hidden"]
    counts = np.bincount(hidden, minlength=5)
    categories([counts[0], counts[AS_MASK], counts[REMOVED]], [0.9 * 0.8, 0.9 * 0.2, 0.1], "kept, [MASK], removed")
    frequencies((hidden.reshape(-1, 100) == REMOVED).sum(axis=0), draws // 100, 0.1, "position ")


@draws(2000, 20_000)
def test_a_share_of_the_masks_are_random_tokens(draws, plain, vocab):
    rows = plain(draws, 100, token=99)
    s = md.objective("bart", permute=False, random=0.1).replace(frame=False)(rows, vocab)
    read = s.read[(s.stream == 0) & (s.read != 99)]
    made = read[read != vocab.mask]
    frequency(len(made), len(read), 0.1, "random")
    uniform(np.bincount(made, minlength=vocab.size)[vocab.body], "random tokens")
    assert not set(made.tolist()) & set(vocab.special)
