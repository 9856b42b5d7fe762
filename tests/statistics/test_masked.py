"""BERT: which tokens are chosen, how many, and what becomes of them, in every counting mode."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

import maskdial as md
from maskdial.corruption.render import AS_MASK, AS_RANDOM, AS_SAME
from maskdial.corruption.select import exact
from maskdial.sample import SILENT
from tests.statistics.tolerance import categories, draws, frequencies, frequency, uniform

LENGTH = 100


def hidden(objective, rows, vocab, **keys):
    """The actions as one table, a row a sample (all rows of one length)."""
    return objective.draw(rows, vocab, **keys)["hidden"].reshape(len(rows), -1)


@draws(80_000)
@pytest.mark.parametrize(("mask", "random"), [(0.8, 0.1), (0.5, 0.3), (0.0, 0.9)])
def test_of_the_chosen_80_10_10(mask, random, plain, vocab, draws):
    """A random token may be the very token it replaces: of the kept look there is a little more than a tenth."""
    objective = md.objective("bert", mask=mask, random=random)
    s = objective(plain(draws // LENGTH, LENGTH), vocab, provenance=True)
    asked = s.target != SILENT
    read, said = s.read[asked], s.target[asked]
    frequency(asked.sum(), draws, 0.15)
    masked, kept = read == vocab.mask, read == said
    chance = random / len(vocab.body)
    law = [mask, 1 - mask - random + chance, random - chance]
    categories([masked.sum(), kept.sum(), (~masked & ~kept).sum()], law, f"{mask}/{random}")
    kinds = np.bincount(s.kind[asked], minlength=10)
    categories([kinds[1], kinds[2], kinds[3]], [mask, random, 1 - mask - random], "kinds")
    body = np.isin(s.kind, (0, 1, 2, 3))
    assert (s.read[body & ~asked] == 100).all(), "nothing changes but the chosen"


@draws(60_000)
def test_random_tokens_are_ordinary_ones_all_equally_likely(plain, vocab, draws):
    s = md.objective("bert", rate=1.0, mask=0.0, random=1.0)(plain(draws // LENGTH, LENGTH), vocab, seed=3)
    made = s.read[s.target != SILENT]
    assert len(made) == draws
    assert not set(made.tolist()) & set(vocab.special)
    uniform(np.bincount(made, minlength=vocab.size)[vocab.body], "random tokens")
    pairs = made.reshape(-1, LENGTH)
    frequency((pairs[:, 1:] == pairs[:, :-1]).sum(), pairs[:, 1:].size, 1 / len(vocab.body), "neighbours alike")


@draws(60_000)
@pytest.mark.parametrize("compat", ["google-bert", "hf"])
def test_released_modes_draw_random_tokens_from_the_whole_vocabulary(compat, plain, vocab, draws):
    objective = md.objective("bert", compat=compat, rate=1.0, mask=0.0, random=1.0)
    s = objective(plain(draws // LENGTH, LENGTH), vocab)
    uniform(np.bincount(s.read[s.target != SILENT], minlength=vocab.size), "random tokens, special ones among them")


@draws(4000, 10_000)
@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_coins_fall_on_every_position_alike_and_counts_are_binomial(rate, plain, vocab, draws):
    chosen = hidden(md.objective("bert", rate=rate, count="bernoulli"), plain(draws, LENGTH), vocab) > 0
    frequencies(chosen.sum(axis=0), draws, rate, "position ")
    law = np.array([comb(LENGTH, k) * rate**k * (1 - rate) ** (LENGTH - k) for k in range(LENGTH + 1)])
    categories(np.bincount(chosen.sum(axis=1), minlength=LENGTH + 1), law, "chosen tokens a row")
    together = (chosen[:, 1:] & chosen[:, :-1])[:, ::2]
    frequency(together.sum(), together.size, rate**2, "neighbours together")


def test_nothing_may_be_chosen_and_no_minimum_is_forced(plain, vocab):
    empty = hidden(md.objective("bert", compat="hf"), plain(20_000, 10), vocab).sum(axis=1) == 0
    frequency(empty.sum(), 20_000, 0.85**10, "rows without a target")


@pytest.mark.parametrize("rate", [0.15, 0.2, 0.4])
def test_exact_counts_the_frame_and_chooses_at_least_one(rate, ragged, vocab):
    rows = ragged(range(700))
    drawn = md.objective("bert", rate=rate, count="exact").draw(rows, vocab)["hidden"] > 0
    found = [int(drawn[a:b].sum()) for a, b in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)]
    assert found == [min(n, max(1, round((n + 2) * rate))) for n in range(700)]


def test_exact_rounds_half_to_even():
    """0.15 of 10, 30, 50 and 70 tokens with their frame: 1.5, 4.5, 7.5, 10.5 become 2, 4, 8, 10; the script's 128 give 19."""
    vocab = md.Vocab(size=300, cls=1, sep=2, mask=3)
    rows = md.rows([[100] * n for n in (8, 28, 48, 68, 126, 1, 0)])
    s = md.objective("bert", compat="google-bert")(rows, vocab)
    assert [int((one.target != SILENT).sum()) for one in s] == [2, 4, 8, 10, 19, 1, 0]
    assert all(one.target[0] == one.target[-1] == SILENT for one in s), "the frame is counted, never chosen"


@draws(6000, 30_000)
def test_exact_falls_on_every_position_and_pair_alike(plain, vocab, draws):
    chosen = hidden(md.objective("bert", count="exact"), plain(draws, 38), vocab) > 0
    assert (chosen.sum(axis=1) == 6).all()
    frequencies(chosen.sum(axis=0), draws, 6 / 38, "position ")
    for a, b in ((0, 1), (0, 37), (18, 19), (5, 30)):
        frequency((chosen[:, a] & chosen[:, b]).sum(), draws, 6 * 5 / (38 * 37), f"positions {a} and {b} together")


@draws(6000)
def test_exact_takes_every_subset_alike(plain, draws):
    keys = md.rng.keys(0, "bert", 0, np.arange(draws, dtype=np.uint64))
    flags = exact(np.arange(draws + 1) * 5, keys, np.full(draws, 2)).reshape(draws, 5)
    code = (flags << np.arange(5, dtype=np.uint8)).sum(axis=1)
    cells = [sum(1 << i for i in pair) for pair in combinations(range(5), 2)]
    counts = np.bincount(code, minlength=32)
    assert counts[cells].sum() == draws
    uniform(counts[cells], "pairs of five")


@draws(10_000, 100_000)
def test_fairseq_rounds_by_chance_and_may_choose_the_frame(plain, vocab, draws):
    """30 tokens and two of the frame: 0.15 · 32 = 4.8, so four or five, five in 80 %."""
    s = md.objective("bert", compat="fairseq")(plain(draws, 30), vocab)
    target, read = s.target.reshape(draws, 32), s.read.reshape(draws, 32)
    asked = target != SILENT
    count = asked.sum(axis=1)
    assert set(count.tolist()) == {4, 5}
    frequency((count == 5).sum(), draws, 0.8, "rounded up")
    frequencies(asked.sum(axis=0), draws, 0.15, "position ")
    for side, id in ((0, vocab.cls), (31, vocab.sep)):
        hit = asked[:, side]
        assert (target[hit, side] == id).all(), "the frame's token is what must be said"
        assert (read[~hit, side] == id).all()
        shown = read[hit, side]
        masked, same = (shown == vocab.mask).sum(), (shown == id).sum()
        categories([masked, same, len(shown) - masked - same], [0.8, 0.1, 0.1], f"frame {side}")


@draws(20_000, 200_000)
def test_fairseq_draws_each_side_of_the_frame_on_its_own(plain, vocab, draws):
    objective = md.objective("bert", compat="fairseq", pool="body", rate=1.0, mask=0.0, random=1.0)
    read = objective(plain(draws, 2), vocab).read.reshape(draws, 4)
    for a, b in combinations(range(4), 2):
        frequency((read[:, a] == read[:, b]).sum(), draws, 1 / len(vocab.body), f"slots {a} and {b} alike")
    for slot in range(4):
        uniform(np.bincount(read[:, slot], minlength=vocab.size)[vocab.body], f"slot {slot}")


@draws(5000, 100_000)
def test_fairseq_worked_example(plain, vocab, draws):
    """Six tokens in a frame, 0.15 · 8 = 1.2: one token, and two in a fifth of the draws."""
    s = md.objective("bert", compat="fairseq")(plain(draws, 6), vocab)
    count = (s.target != SILENT).reshape(draws, 8).sum(axis=1)
    categories(np.bincount(count, minlength=3), [0.0, 0.8, 0.2], "chosen tokens")


WORDS = [1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1] * 3


def by_word(chosen):
    """Chosen pieces and size of each word."""
    starts = np.flatnonzero(WORDS)
    return np.add.reduceat(chosen, starts, axis=1), np.diff(np.append(starts, len(WORDS)))


@draws(4000, 20_000)
def test_whole_words_are_chosen_whole_each_by_its_coin(plain, vocab, draws):
    chosen = hidden(md.objective("bert", whole_word=True), plain(draws, len(WORDS), word=WORDS), vocab) > 0
    found, size = by_word(chosen.astype(int))
    assert ((found == 0) | (found == size)).all()
    frequencies((found > 0).sum(axis=0), draws, 0.15, "word ")
    pairs = (found[:, :-1] > 0) & (found[:, 1:] > 0)
    for w in range(pairs.shape[1]):
        frequency(pairs[:, w].sum(), draws, 0.15**2, f"words {w} and {w + 1} together")


@draws(4000, 20_000)
@pytest.mark.parametrize("rate", [0.15, 0.3])
def test_whole_words_within_a_budget_never_overshoot(rate, plain, vocab, draws):
    rows = plain(draws, len(WORDS), word=WORDS)
    chosen = hidden(md.objective("bert", whole_word=True, count="exact", rate=rate), rows, vocab) > 0
    found, size = by_word(chosen.astype(int))
    budget = max(1, round((len(WORDS) + 2) * rate))
    assert ((found == 0) | (found == size)).all()
    assert (chosen.sum(axis=1) == budget).all(), "with words of one piece about, the budget is always filled"
    alike = [np.flatnonzero(size == n) for n in (1, 2, 4)]
    for words in alike:  # words of one size stand in symmetric places of the shuffle
        share = (found[:, words] > 0).mean()
        frequencies((found[:, words] > 0).sum(axis=0), draws, share, f"words of {size[words[0]]}: ")


def test_a_word_that_overshoots_is_skipped():
    """`[CLS] a ##b ##c ##d [SEP]`: the budget is one piece, the only word has four, so nothing is chosen."""
    vocab = md.Vocab(size=300, cls=1, sep=2, mask=3)
    rows = md.rows([[100, 101, 102, 103]], word=[[1, 0, 0, 0]])
    s = md.objective("bert", compat="google-bert", whole_word=True)(rows, vocab)
    assert (s.target == SILENT).all()


@pytest.mark.parametrize("options", [{"count": "bernoulli"}, {"count": "exact"}, {"whole_word": True}])
def test_a_higher_rate_keeps_the_picks_and_what_became_of_them(options, plain, vocab):
    rows = plain(50, len(WORDS), word=WORDS)
    low, high = (hidden(md.objective("bert", rate=rate, **options), rows, vocab) for rate in (0.15, 0.35))
    assert (low > 0).sum() < (high > 0).sum()
    assert (high[low > 0] == low[low > 0]).all()
    assert set(np.unique(high)) == {0, AS_MASK, AS_RANDOM, AS_SAME}
