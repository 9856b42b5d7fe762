"""Encoders beyond BERT: runs of words, spans of words, draws with replacement, noise levels; laws and slow references.

A reference is the published algorithm as a plain loop over the same draws: it must agree to the token.
"""

from itertools import pairwise
from math import ceil, sqrt

import numpy as np
import pytest

import maskdial as md
from maskdial import rng
from maskdial.corruption.drawing import drawn
from maskdial.corruption.render import AS_MASK, AS_RANDOM, AS_SAME
from maskdial.corruption.short_runs import short_runs
from maskdial.corruption.word_spans import geometric, word_spans
from maskdial.corruption.words import limits, runs_of_words
from maskdial.sample import SILENT
from tests.statistics.tolerance import average, categories, draws, frequencies, frequency, uniform

MASK64 = 2**64 - 1


def bits(key, use, counter):
    """The upper 32 of the 64 bits that a key gives a use at a counter, in plain integers."""
    return rng._mix_int((rng._mix_int(int(key) ^ (use * int(rng.SITE) & MASK64)) + counter * int(rng.GOLDEN)) & MASK64) >> 32


def below(key, use, counter, n):
    return bits(key, use, counter) * n >> 32


def keys(count, seed=0):
    return rng.keys(seed, "test", 0, np.arange(count, dtype=np.uint64))


def shuffled(key, n):
    """The picks of a shuffle, one after another."""
    place = list(range(n))
    for c in range(n):
        other = c + below(key, rng.SELECT, c, n - c)
        place[c], place[other] = place[other], place[c]
        yield place[c]


def size(key, counter, weights):
    """1, 2, 3, … by the weights."""
    share, at = bits(key, rng.LENGTHS, counter) / 2**32, 0.0
    for n, weight in enumerate(weights, 1):
        at += weight / sum(weights)
        if share < at:
            return n
    return len(weights)


def albert(key, starts, fence, budget, weights):
    """ALBERT's n-grams: a shuffled start word, a length, shorter ones until it fits, skipped when it meets a hidden word."""
    first = [i for i, s in enumerate(starts) if s]
    ends, hidden = [*first[1:], len(starts)], set()
    for w in shuffled(key, len(first)):
        if len(hidden) >= budget:
            break
        for n in range(size(key, first[w], weights), 0, -1):
            run = [v for v in range(w, min(w + n, len(first))) if first[v] < fence or first[w] >= fence]
            run = {i for v in run for i in range(first[v], ends[v])}
            if len(hidden) + len(run) <= budget:
                hidden |= run if not hidden & run else set()
                break
    return hidden


def spans(key, starts, budget, weights):
    """SpanBERT's spans: an anchor that is not hidden, its word and the next ones, to the token."""
    hidden, c = set(), 0
    while len(hidden) < budget:
        anchor, words = below(key, rng.SELECT, c, len(starts)), size(key, c, weights)
        c += 1
        if anchor in hidden:
            continue
        while not starts[anchor]:
            anchor -= 1
        for i in range(anchor, len(starts)):
            words -= starts[i]
            if words < 0 or len(hidden) == budget:
                break
            hidden.add(i)
    return hidden


def unilm(key, n, budget, share, fence):
    """UniLM's picks: one token, or a run of two or three that ends where the second text begins."""
    hidden = set()
    for i in shuffled(key, n):
        if i in hidden or len(hidden) == budget:
            continue
        length = 1
        if bits(key, rng.LENGTHS, 2 * i) < share * 2**32:
            length = 2 + below(key, rng.LENGTHS, 2 * i + 1, 2)
        for j in range(i, min(i + length, fence if i < fence else n)):
            if len(hidden) < budget:
                hidden.add(j)
    return hidden


def texts(count, seed=0):
    """Offsets, word starts and a fence, where a word starts too, of `count` texts of 0 to 60 tokens."""
    g = np.random.default_rng(seed)
    lengths = g.integers(0, 61, count)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    fence = np.array([g.integers(1, n) if n > 1 else n for n in lengths.tolist()], dtype=np.int64)
    starts = (g.random(offsets[-1]) < 0.6).astype(np.uint8)
    starts[offsets[:-1][lengths > 0]] = 1
    starts[(offsets[:-1] + fence)[fence < lengths]] = 1
    return offsets, starts, fence


def sets(hidden, offsets):
    return [set(np.flatnonzero(hidden[a:b]).tolist()) for a, b in pairwise(offsets)]


@pytest.mark.parametrize("rate", [0.15, 0.5, 1.0])
def test_runs_of_words_are_alberts(rate):
    offsets, starts, fence = texts(150)
    counts = np.rint((np.diff(offsets) + 3) * rate).astype(np.int64)
    for weights in ((1.0, 1 / 2, 1 / 3), (1 / 3, 1 / 2, 1.0), (1.0,)):
        found = sets(runs_of_words(offsets, keys(150), counts, starts, fence, weights), offsets)
        expected = [albert(key, starts[a:b], f, k, weights)
                    for key, (a, b), f, k in zip(keys(150), pairwise(offsets), fence.tolist(), counts.tolist(), strict=True)]  # fmt: skip
        assert found == expected
        assert any(found)
        assert all(len(f) <= k for f, k in zip(found, counts, strict=True))


@pytest.mark.parametrize("rate", [0.15, 0.5, 1.0])
def test_spans_of_words_are_spanberts(rate):
    offsets, starts, _fence = texts(150, seed=1)
    counts = np.ceil(np.round(np.diff(offsets) * rate, 9)).astype(np.int64)
    found = sets(word_spans(offsets, keys(150), counts, starts, geometric(0.2, 10)), offsets)
    assert found == [spans(key, starts[a:b].tolist(), k, geometric(0.2, 10))
                     for key, (a, b), k in zip(keys(150), pairwise(offsets), counts.tolist(), strict=True)]  # fmt: skip
    assert [len(f) for f in found] == counts.tolist()


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_short_runs_are_unilms(share):
    offsets, _starts, fence = texts(150, seed=2)
    counts = np.rint(np.diff(offsets) * 0.3).astype(np.int64)
    found = sets(short_runs(offsets, keys(150), counts, share, 3, fence), offsets)
    assert found == [unilm(key, b - a, k, share, f)
                     for key, (a, b), k, f in zip(keys(150), pairwise(offsets), counts.tolist(), fence.tolist(), strict=True)]  # fmt: skip
    assert [len(f) for f in found] == counts.tolist()


@draws(6000, 60_000)
@pytest.mark.parametrize(("weights", "law", "mean"), [
    ((1.0, 1 / 2, 1 / 3), [0.5455, 0.2727, 0.1818], 1.636),
    ((1 / 3, 1 / 2, 1.0), [0.1818, 0.2727, 0.5455], 2.364),
    (geometric(0.2, 10), None, 3.797),
    (geometric(0.3, 10), None, 3.043),
])  # fmt: skip
def test_sizes_follow_their_law(weights, law, mean, draws):
    """n-grams with weight 1/n, and SpanBERT's lengths: cut off at ten words, not clamped there (4.463)."""
    shares = np.array(weights) / sum(weights)
    assert law is None or np.abs(shares - law).max() < 5e-5
    sizes = np.arange(1, len(weights) + 1)
    assert abs(float(shares @ sizes) - mean) < 6e-4
    at = np.array([bits(key, rng.LENGTHS, 7) for key in keys(draws).tolist()], dtype=np.uint64)
    found = 1 + np.searchsorted(limits(weights)[:-1], at, side="right")
    categories(np.bincount(found, minlength=len(weights) + 1)[1:], shares, "sizes")
    average(found, float(shares @ sizes), sqrt(float(shares @ sizes**2 - (shares @ sizes) ** 2)), "size")


def test_spanbert_hides_exactly_its_budget(vocab):
    """ceil(.15 · n) tokens whatever the words, words cut where the budget ends."""
    g = np.random.default_rng(4)
    lengths = [*range(130), 510]
    rows = md.rows([[100] * n for n in lengths], word=[(g.random(n) < 0.5).astype(int) for n in lengths])
    for seed in range(3):
        s = md.objective("spanbert")(rows, vocab, seed=seed)
        assert [int((one.target != SILENT).sum()) for one in s] == [ceil(n * 15 / 100) for n in lengths]


@draws(20_000)
def test_a_span_is_masked_replaced_or_kept_as_one(plain, vocab, draws):
    """80/10/10 a merged span: all its tokens share what becomes of them, and only those."""
    rows = plain(draws // 20, 400, word=[1, 0] * 200)
    actions = md.objective("spanbert").draw(rows, vocab)["hidden"].reshape(-1, 400)
    edge = (actions[:, 1:] > 0) & (actions[:, :-1] > 0)
    assert (actions[:, 1:][edge] == actions[:, :-1][edge]).all()
    begins = np.concatenate([actions[:, :1] > 0, (actions[:, 1:] > 0) & (actions[:, :-1] == 0)], axis=1)
    first = actions[begins]
    assert len(first) > draws / 4
    categories([(first == a).sum() for a in (AS_MASK, AS_RANDOM, AS_SAME)], [0.8, 0.1, 0.1], "spans")
    each = md.objective("spanbert", scope="token").draw(rows, vocab)["hidden"].reshape(-1, 400)
    assert ((each > 0) == (actions > 0)).all(), "what is hidden does not depend on how it looks"
    frequency((each[:, 1:][edge] == each[:, :-1][edge]).sum(), int(edge.sum()), 0.8**2 + 2 * 0.1**2, "neighbours alike by chance")


@draws(30_000)
def test_random_tokens_are_uniform_over_what_the_row_shows(vocab, draws):
    """Each of the tokens of the row that are not hidden is equally likely: on average the corpus's own frequencies."""
    text, count = list(range(100, 120)), draws // 3
    rows = md.rows([text] * count, word=[[1] * 20] * count)
    hide = (4, 5, 15)
    flags = np.tile(np.where(np.isin(np.arange(20), hide), AS_RANDOM, 0).astype(np.uint8), count)
    objective = md.objective("spanbert")
    read = objective.build(rows, vocab, objective.draw(rows, vocab, force={"hidden": flags})).read.reshape(count, 22)[:, 1:-1]
    for i in hide:
        uniform(np.bincount(read[:, i] - 100, minlength=20)[np.setdiff1d(np.arange(20), hide)], f"place {i}")
    frequency((read[:, 4] == read[:, 5]).sum(), count, 1 / 17, "neighbours alike")


@draws(20_000)
def test_roberta_rounds_by_chance_over_the_framed_text(plain, vocab, draws):
    """Six tokens in a frame, 0.15 · 8 = 1.2: one, and two in a fifth of the texts; every place alike, the frame's too."""
    target = md.objective("roberta")(plain(draws, 6), vocab).target.reshape(draws, 8)
    categories(np.bincount((target != SILENT).sum(axis=1), minlength=3), [0, 0.8, 0.2], "chosen")
    frequencies((target != SILENT).sum(axis=0), draws, 0.15, "place ")


def test_roberta_is_dynamic(plain, vocab):
    rows, objective = plain(40, 100), md.objective("roberta")
    first, second = (objective(rows, vocab, epoch=e).target.reshape(40, -1) != SILENT for e in (0, 1))
    assert (first != second).any(axis=1).all(), "another epoch hides other tokens of every text"
    assert ((objective(rows, vocab, epoch=1).target.reshape(40, -1) != SILENT) == second).all()


WORDS = [1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 1, 0, 1]


@draws(20_000)
@pytest.mark.parametrize("name", ["roberta", "bert"])
def test_fairseqs_whole_words_are_counted_as_words(name, plain, vocab, draws):
    """Nine words and a frame: floor(11 · .15 + U) of them, each alike; one decision a word."""
    rows = plain(draws, len(WORDS), word=WORDS)
    options = {"whole_word": True} | ({"compat": "fairseq"} if name == "bert" else {})
    d = md.objective(name, **options).draw(rows, vocab)
    actions, starts = d["hidden"].reshape(draws, -1), np.flatnonzero(WORDS)
    word = np.cumsum(WORDS) - 1
    assert (actions == actions[:, starts][:, word]).all(), "all pieces of a word share what becomes of it"
    chosen = np.concatenate([actions[:, starts], d["frame"]], axis=1) > 0
    categories(np.bincount(chosen.sum(axis=1), minlength=4), [0, 0.35, 0.65, 0], "words")
    frequencies(chosen.sum(axis=0), draws, 0.15, "word ")
    used = np.concatenate([actions[:, starts], d["frame"]], axis=1)[chosen]
    categories([(used == a).sum() for a in (AS_MASK, AS_RANDOM, AS_SAME)], [0.8, 0.1, 0.1], "decisions")


@draws(40_000)
@pytest.mark.parametrize("name", ["roberta", "bert"])
def test_fairseqs_random_tokens_may_be_any_but_the_first_four(name, plain, vocab, draws):
    s = md.objective(name, compat="fairseq", rate=1.0, mask=0.0, random=1.0)(plain(draws // 100, 98), vocab)
    four = {vocab.bos, vocab.pad, vocab.eos, vocab.unk}
    made = np.bincount(s.read, minlength=vocab.size)
    assert s.target.min() >= 0, "every token is chosen, those of the frame too"
    assert not made[list(four)].any()
    uniform(made[[i for i in range(vocab.size) if i not in four]], "random tokens, [MASK] among them")


@draws(3000, 60_000)
def test_bert_chooses_19_of_128_and_masks_four_fifths(plain, vocab, draws):
    """The released data's rows: 126 tokens in a frame, always 19 chosen."""
    actions = md.objective("bert", compat="google-bert").draw(plain(draws, 126), vocab)["hidden"].reshape(draws, -1)
    assert ((actions > 0).sum(axis=1) == 19).all()
    frequency((actions == AS_MASK).sum(), 19 * draws, 0.8, "[MASK]")


@draws(4000, 60_000)
def test_electra_with_replacement_leaves_17_69_of_19_distinct(plain, vocab, draws):
    """125 candidates (128 less two texts' frame), 19 draws: 125 · (1 - (1 - 1/125)^19) distinct on average; without replacement 19."""
    candidates, k = 125, 19
    once, never, neither = candidates, (1 - 1 / candidates) ** k, (1 - 2 / candidates) ** k
    mean = once * (1 - never)
    assert abs(mean - 17.69) < 0.005
    deviation = sqrt(once * never + once * (once - 1) * neither - (once * never) ** 2)
    rows = plain(draws, candidates)
    with_it = md.objective("electra", compat="google-electra").draw(rows, vocab)
    times = with_it["times"].reshape(draws, -1)
    assert (times.sum(axis=1) == k).all()
    average((times > 0).sum(axis=1), mean, deviation, "distinct")
    assert ((times > 0) == (with_it["hidden"].reshape(draws, -1) > 0)).all()
    without = md.objective("electra").draw(rows, vocab)["hidden"].reshape(draws, -1) > 0
    assert (without.sum(axis=1) == k).all()
    assert abs(mean - k) > 10 * deviation / sqrt(draws), "the two can be told apart"
    frequencies(without.sum(axis=0), draws, k / candidates, "place ")


def test_electra_draws_each_token_alike():
    """Draws are independent: the law of how often one token is drawn is binomial."""
    count, n, k = 20_000, 10, 4
    times = drawn(np.arange(count + 1) * n, keys(count), np.full(count, k)).reshape(count, n)
    law = [(0.9 ** (k - j)) * 0.1**j * c for j, c in enumerate((1, 4, 6, 4, 1))]
    for place in (0, 4, 9):
        categories(np.bincount(times[:, place], minlength=k + 1), law, f"place {place}")


@draws(40_000)
def test_electra_masks_85_in_100_and_more_of_what_is_drawn_twice(plain, vocab, draws):
    rows = plain(draws // 19, 126)
    actions = md.objective("electra").draw(rows, vocab)["hidden"]
    frequency((actions == AS_MASK).sum(), int((actions > 0).sum()), 0.85, "[MASK]")
    d = md.objective("electra", compat="google-electra").draw(rows, vocab)
    for n, share in ((1, 0.85), (2, 1 - 0.15**2)):
        looked = d["hidden"][d["times"] == n]
        assert len(looked) > 500
        frequency((looked == AS_MASK).sum(), len(looked), share, f"drawn {n} times")


def test_unilms_four_tasks_take_turns():
    """A third, a third, a sixth and a sixth of the samples, exactly in every six."""
    mixture = md.objective("unilm")
    assert list(mixture.shares.values()) == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6])
    turns = [mixture.member_of(n) for n in range(600)]
    assert all(sorted(turns[i : i + 6]) == ["bidirectional"] * 2 + ["left", "right"] + ["sequence"] * 2 for i in range(0, 600, 6))


@draws(400, 6000)
def test_unilm_chooses_15_in_100_in_every_task(plain, vocab, draws):
    s = md.objective("unilm")(plain(draws, 100), vocab)
    assert all((one.target != SILENT).sum() == 15 for one in s)
    asked = s.target != SILENT
    read, said = s.read[asked], s.target[asked]
    masked = int((read == vocab.mask).sum())
    frequency(masked, len(read), 0.8, "[MASK]")
    chance = 0.1 / len(vocab.body)
    frequency(int((read == said).sum()), len(read), 0.1 + chance, "unchanged")


@draws(6000, 200_000)
def test_noise_levels_are_uniform_and_tokens_follow_them(plain, vocab, draws):
    """t is uniform in [0.001, 1]; given t each token is hidden with probability t, and 1/t makes the weights sum to the text."""
    n = 64
    objective = md.objective("dlm")
    d = objective.draw(plain(draws, n), vocab)
    t, hidden = d["t"], d["hidden"].reshape(draws, n).astype(np.int64)
    assert t.min() >= 1e-3
    assert t.max() < 1
    uniform(np.histogram(t, bins=20, range=(1e-3, 1.0))[0], "levels")
    excess = hidden.sum(axis=1) - n * t
    assert abs(excess.sum()) <= 5 * sqrt((n * t * (1 - t)).sum())
    weight = objective.build(plain(draws, n), vocab, d).weight.reshape(draws, n)
    assert np.allclose(weight[hidden > 0], np.repeat(1 / t, hidden.sum(axis=1)), rtol=1e-6)
    over = weight.sum(axis=1, dtype=np.float64) / n - 1
    assert abs(over.sum()) <= 5 * sqrt(((1 - t) / (t * n)).sum())
    assert set(np.unique(hidden).tolist()) == {0, AS_MASK}, "never random, never unchanged"
    frequencies(hidden.sum(axis=0), draws, float(t.mean()), "place ")
