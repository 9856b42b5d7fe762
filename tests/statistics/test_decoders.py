"""The laws of cuts, blanks, permutations and noise levels, with tolerances from the laws themselves."""

import math
from itertools import permutations

import numpy as np
import pytest

import maskdial as md
from maskdial import rng
from maskdial.corruption.blanks import DRAWN, LIMITS, SPREAD, most_blanks
from maskdial.corruption.middle import PSM, SPM, SPM_1
from maskdial.corruption.sixths import RUNS, _sixths
from tests.statistics.tolerance import average, categories, draws, frequency, uniform


def orders(found, size):
    """How often each order of `size` things was drawn."""
    number = {order: i for i, order in enumerate(permutations(range(size)))}
    return np.bincount([number[tuple(row)] for row in np.asarray(found).reshape(-1, size).tolist()], minlength=math.factorial(size))


# fill in the middle


@draws(4000)
@pytest.mark.parametrize("n", [1, 4])
def test_every_pair_of_cuts_is_equally_likely(n, draws, plain, vocab):
    """All (n + 1)² ordered pairs alike: 2 / (n + 1)² for two different places, 1 / (n + 1)² for the same; 15 cells for n = 4."""
    cuts = md.objective("fim").draw(plain(draws, n), vocab)["cuts"]
    cells = [(a, b) for a in range(n + 1) for b in range(a, n + 1)]
    assert len(cells) == {1: 3, 4: 15}[n]
    pairs = list(zip(cuts.first.tolist(), cuts.second.tolist(), strict=True))
    categories([pairs.count(cell) for cell in cells], [(1 + (a < b)) / (n + 1) ** 2 for a, b in cells], "cuts")


@draws(4000)
def test_each_part_has_a_third_of_the_text(draws, plain, vocab):
    n = 100
    cuts = md.objective("fim").draw(plain(draws, n), vocab)["cuts"]
    middle = cuts.second - cuts.first
    law = np.array([(n + 1) if m == 0 else 2 * (n + 1 - m) for m in range(n + 1)]) / (n + 1) ** 2
    mean = float(law @ np.arange(n + 1))
    assert mean == pytest.approx(n * (n + 2) / (3 * (n + 1)))
    average(middle, mean, float(law @ np.arange(n + 1) ** 2 - mean**2) ** 0.5, "middle")
    frequency((middle == 0).sum(), draws, 1 / (n + 1), "an empty middle")
    law = np.array([2 * (n - a) + 1 for a in range(n + 1)]) / (n + 1) ** 2
    outer = float(law @ np.arange(n + 1))
    assert outer == pytest.approx(n * (2 * n + 1) / (6 * (n + 1)))
    for part in (cuts.first, n - cuts.second):
        average(part, outer, float(law @ np.arange(n + 1) ** 2 - outer**2) ** 0.5, "an outer part")


@draws(4000)
@pytest.mark.parametrize(("rate", "spm", "variant"), [(0.5, 0.5, 2), (0.9, 0.25, 1)])
def test_shares_of_the_forms(rate, spm, variant, draws, plain, vocab):
    form = md.objective("fim", rate=rate, spm=spm, variant=variant).draw(plain(draws, 8), vocab)["cuts"].form
    frequency((form > 0).sum(), draws, rate, "turned")
    frequency((form == (SPM if variant == 2 else SPM_1)).sum(), draws, rate * spm, "suffix first")
    frequency((form == PSM).sum(), draws, rate * (1 - spm), "prefix first")


def test_a_higher_rate_turns_the_same_documents_and_more(plain, vocab):
    few, many = (md.objective("fim", rate=rate).draw(plain(500, 9), vocab)["cuts"] for rate in (0.3, 0.7))
    assert ((few.form > 0) <= (many.form > 0)).all()
    assert (few.first == many.first).all()
    assert 0 < (few.form > 0).sum() < (many.form > 0).sum()


# blank infilling


LAW = np.diff(np.concatenate([[0], LIMITS.astype(np.float64)])) / 2.0**32


def test_lengths_of_blanks_are_poisson_without_zero():
    weight = [math.exp(-3) * 3**k / math.factorial(k) for k in range(1, 40)]
    assert np.allclose(LAW, np.array(weight) / sum(weight), atol=1e-9)
    assert round(DRAWN, 3) == 3.157
    assert float(LAW @ (np.arange(1, 40) - DRAWN) ** 2) == pytest.approx(SPREAD, abs=1e-6)


@draws(5000)
def test_one_blank_follows_the_law_and_lies_anywhere(draws, plain, vocab):
    """13 tokens have a budget of one: a single draw, dropped when it does not fit; its start is uniform where it fits."""
    spans = md.objective("glm").draw(plain(draws, 13), vocab)["spans"]
    none = int((spans.count == 0).sum())
    assert spans.count.max() == 1
    categories([none, *np.bincount(spans.length, minlength=14)[1:]], [LAW[13:].sum(), *LAW[:13]], "lengths")
    for size in (1, 3):
        uniform(np.bincount(spans.start[spans.length == size], minlength=13 - size + 1), f"start of {size}")


@draws(3000, 100_000)
def test_blanks_reach_their_budget_as_sums_of_draws_do(draws, plain, vocab):
    """How many draws it takes to reach floor(.15 · 512) = 76: the renewal law, by convolution."""
    count = md.objective("glm").draw(plain(draws, 512), vocab)["spans"].count
    below, law = np.zeros(76), []
    below[0] = 1.0
    single = np.concatenate([[0], LAW])
    for _ in range(60):
        after = np.convolve(below, single)[:76]
        law.append(below.sum() - after.sum())
        below = after
    categories(np.bincount(count, minlength=61)[1:], np.array(law) / sum(law), "spans of 512 tokens")
    assert count.max() < most_blanks(512, 0.15) < 45, "the bound is never met, and rows are not much longer than the text"


@draws(3000)
def test_blanks_are_said_in_every_order(draws, plain, vocab):
    d = md.objective("glm").draw(plain(draws, 48), vocab)
    spans = d["spans"]
    for size in (2, 3):
        of = np.flatnonzero(spans.count == size)
        found = d["turns"][(spans.begin[of][:, None] + np.arange(size)).reshape(-1)]
        assert len(of) > 30 * size
        uniform(orders(found, size), f"orders of {size}")


@draws(4000)
def test_the_long_blank_ends_the_text_half_of_the_time(draws, plain, vocab):
    spans = md.objective("glm", task="document").draw(plain(draws, 40), vocab)["spans"]
    uniform(np.bincount(spans.length - 20, minlength=19), "lengths 20 … 38")
    by_chance = np.mean([1 / (40 - n + 1) for n in range(20, 39)])
    frequency((spans.start + spans.length == 40).sum(), draws, 0.5 + 0.5 * float(by_chance), "a suffix")


# permutations


@draws(4000)
def test_ranks_of_predicted_tokens_are_uniform(draws, plain, vocab):
    """Three of 18 tokens are predicted: all six orders alike."""
    uniform(orders(md.objective("xlnet").draw(plain(draws, 18), vocab)["ranks"], 3), "ranks")


@draws(5000)
def test_runs_of_predicted_tokens(draws):
    """A run has n = 1 … 5 tokens with probability proportional to 1 / n (mean 2.19) and starts uniformly in 0 … 6 n - 1."""
    hidden = np.zeros((draws, 400), dtype=np.uint8)
    offsets = np.arange(draws + 1, dtype=np.int64) * 400
    keys = rng.keys(0, "xlnet", 0, np.arange(draws, dtype=np.uint64))
    _sixths(offsets, keys, hidden[:0].reshape(-1), 6, np.full(draws, 10), RUNS, hidden.reshape(-1))
    assert (hidden.sum(axis=1) == 10).all()
    start = hidden.argmax(axis=1)
    size = np.array([row[at:].argmin() for row, at in zip(hidden, start, strict=True)])
    law = np.array([1 / n for n in range(1, 6)]) / sum(1 / n for n in range(1, 6))
    assert float(law @ np.arange(1, 6)) == pytest.approx(2.19, abs=0.005)
    categories(np.bincount(size, minlength=6)[1:], law, "runs")
    for n in (1, 2, 3):
        uniform(np.bincount(start[size == n], minlength=6 * n), f"start of runs of {n}")
    end = start + size
    after = np.array([row[at:].argmax() for row, at in zip(hidden, end, strict=True)])
    second = np.array([row[at:].argmin() for row, at in zip(hidden, end + after, strict=True)])
    gap = np.convolve(np.full(6, 1 / 6), np.full(6, 1 / 6))  # what is left of one stretch of six, then the front of the next
    categories(np.bincount(after[(size == 1) & (second == 1)], minlength=12)[1:], gap, "tokens between two runs")


@draws(5000)
def test_runs_start_words_where_words_are_known(draws):
    """What lies before a run is moved on to the start of a word; the rest of its stretch follows as before."""
    word = np.tile(np.array([1, 0, 0], dtype=np.uint8), 150)
    hidden = np.zeros(450 * draws, dtype=np.uint8)
    offsets = np.arange(draws + 1, dtype=np.int64) * 450
    keys = rng.keys(0, "xlnet", 0, np.arange(draws, dtype=np.uint64))
    _sixths(offsets, keys, np.tile(word, draws), 6, np.full(draws, 5), RUNS, hidden)
    start = hidden.reshape(draws, 450).argmax(axis=1)
    assert (start % 3 == 0).all()
    law = np.zeros(12)
    for n in range(1, 6):
        for before in range(6 * n):
            law[-(-before // 3)] += (60 / n / 137) / (6 * n)
    categories(np.bincount(start // 3, minlength=12), law, "words before the first run")


@draws(5000)
def test_sigma_gpt_reads_every_order_alike(draws, plain, vocab):
    uniform(orders(md.objective("sigma-gpt").draw(plain(draws, 4), vocab)["permutation"], 4), "orders of four tokens")


# block diffusion


@draws(4000)
def test_levels_are_uniform_and_hide_that_share(draws, plain, vocab):
    objective = md.objective("block-diffusion", block=4)
    d = objective.draw(plain(draws, 8), vocab)
    level, hidden = d["levels"], d["hidden"].reshape(-1, 4)
    assert level.min() > 0.001
    assert level.max() <= 1
    uniform(np.bincount((np.clip((level - 0.001) / 0.999, 0, 0.999999) * 20).astype(int), minlength=20), "levels")
    average(hidden.mean(axis=1) - level, 0, math.sqrt(1 / 6 / 4), "hidden beyond the level")  # E[t (1 - t)] = 1/6, four coins
    clipped = md.objective("block-diffusion", low=0.3, high=0.8).draw(plain(100, 8), vocab)["levels"]
    assert clipped.min() > 0.3
    assert clipped.max() <= 0.8


@draws(20_000)
def test_weights_add_up_to_the_tokens_of_the_text(draws, plain, vocab):
    """Each token weighs 1 / t with probability t, so the sum is an unbiased bound: mean 1, variance E[1 / t] - 1."""
    s = md.objective("block-diffusion")(plain(draws // 20, 20), vocab)
    inverse = math.log(1000) / 0.999
    average(s.weight.reshape(-1, 40)[:, 20:].reshape(-1), 1.0, math.sqrt(inverse - 1), "weight")
    assert not s.weight.reshape(-1, 40)[:, :20].any()
