"""How often the recipes with an answer of their own do what: coins, orders, runs, blanks, sentences, turns."""

from itertools import permutations
from math import sqrt

import numpy as np
import pytest

import maskdial as md
from maskdial.corruption.render import AS_MASK, AS_RANDOM, AS_SAME, REMOVED
from tests.statistics.tolerance import average, categories, draws, frequencies, frequency, uniform


def flagged(spans, draws, length):
    """Hidden or not, a row a text."""
    marks = np.zeros((draws, length + 1), dtype=np.int64)
    np.add.at(marks, (spans.entry_unit, spans.start), 1)
    np.add.at(marks, (spans.entry_unit, spans.start + spans.length), -1)
    return np.cumsum(marks, axis=1)[:, :length]


def run_law(length, rate):
    """P(a text of independent coins has k runs of hidden tokens), counted token by token."""
    law = np.zeros((2, length + 2))  # by whether the last token is hidden
    law[0, 0] = 1
    for _ in range(length):
        kept, hidden = law
        law = np.array([(kept + hidden) * (1 - rate), rate * (hidden + np.append(0, kept[:-1]))])
    return law.sum(axis=0)


@draws(3000, 30_000)
@pytest.mark.parametrize("rate", [0.15, 0.5])
def test_independent_masks(rate, draws, plain, vocab):
    """L tokens: L r hidden with variance L r (1 - r), in r + (L - 1) r (1 - r) runs, every position alike."""
    length, q = 100, rate * (1 - rate)
    spans = md.objective("t5-iid", rate=rate).draw(plain(draws, length), vocab)["spans"]
    average(spans.totals, length * rate, sqrt(length * q), "hidden tokens")
    # neighbouring tokens never both begin a run; others are independent
    average(spans.count, rate + (length - 1) * q, sqrt(q + (length - 1) * q * (1 - q) - 2 * rate * q - 2 * (length - 2) * q * q), "runs")
    frequencies(flagged(spans, draws, length).sum(axis=0), draws, rate, "position ")
    law = run_law(length, rate)
    categories(np.bincount(spans.count, minlength=len(law)), law, "runs")


@draws(2000, 20_000)
@pytest.mark.parametrize(("rate", "share"), [(0.15, 0.0), (0.25, 0.2375), (0.5, 1.0)])
def test_independent_masks_outrun_a_hundred_sentinels(rate, share, draws, plain, vocab):
    """511 tokens: 65 runs at 15 %, never over 100; at 25 % over 100 in every fourth text; at 50 % always."""
    counts = md.objective("t5-iid", rate=rate).draw(plain(draws, 511), vocab)["spans"].count
    law = run_law(511, rate)
    assert law[101:].sum() == pytest.approx(share, abs=1e-3)
    frequency((counts > 100).sum(), draws, min(float(law[101:].sum()), 1.0), "over 100 runs")


@draws(300, 10_000)
def test_bert_style_is_nine_tenths_mask_and_one_tenth_random(draws, plain, vocab):
    rows = plain(draws, 200)
    hidden = md.objective("t5-iid", style="bert").draw(rows, vocab)["hidden"]
    counts = np.bincount(hidden, minlength=5)
    assert counts[AS_SAME] == counts[REMOVED] == 0, "none is kept"
    categories(counts[:3], [0.85, 0.15 * 0.9, 0.15 * 0.1], "kept, [MASK], random")
    assert counts[AS_RANDOM]
    mass = np.bincount(md.objective("t5-iid", style="mass").draw(rows, vocab)["hidden"], minlength=2)
    categories(mass, [0.85, 0.15], "kept, [MASK]")


@draws(3000, 30_000)
def test_dropped_tokens_are_coins(draws, plain, vocab):
    hidden = md.objective("t5-drop").draw(plain(draws, 60), vocab)["hidden"].reshape(draws, 60)
    assert set(np.unique(hidden)) == {0, REMOVED}
    frequencies((hidden > 0).sum(axis=0), draws, 0.15, "position ")
    average((hidden > 0).sum(axis=1), 9.0, sqrt(60 * 0.15 * 0.85), "removed")


@draws(6000)
@pytest.mark.parametrize("length", [2, 3, 4])
def test_deshuffling_takes_every_order_alike(length, draws, plain, vocab):
    """P(any order, the text's own among them) = 1 / L!"""
    order = md.objective("deshuffle").draw(plain(draws, length), vocab)["permutation"].reshape(draws, length)
    cells = [int((order == one).all(axis=1).sum()) for one in permutations(range(length))]
    assert sum(cells) == draws
    uniform(cells, "orders")


@draws(2000, 20_000)
def test_deshuffling_puts_every_token_anywhere(draws, plain, vocab):
    order = md.objective("deshuffle").draw(plain(draws, 40), vocab)["permutation"].reshape(draws, 40)
    assert (np.sort(order, axis=1) == np.arange(40)).all()
    for place in (0, 17, 39):
        uniform(np.bincount(order[:, place], minlength=40), f"token at {place}")


def starts_of(hidden):
    """Where the one run of each row begins; every row has exactly one."""
    assert ((np.diff(hidden > 0, axis=1, prepend=False) & (hidden > 0)).sum(axis=1) == 1).all()
    return (hidden > 0).argmax(axis=1)


@draws(6000, 200_000)
def test_a_mass_run_begins_anywhere_alike(draws, plain, vocab):
    """10 tokens, 5 hidden: six places; released, a fifth of the runs begins the text and a fifth ends it."""
    rows = plain(draws, 10)
    hidden = md.objective("mass").draw(rows, vocab)["hidden"].reshape(draws, 10)
    assert ((hidden > 0).sum(axis=1) == 5).all()
    uniform(np.bincount(starts_of(hidden), minlength=6), "start")
    counts = np.bincount(hidden[hidden > 0], minlength=4)
    categories(counts[1:], [0.8, 0.1, 0.1], "[MASK], random, unchanged")
    assert counts[[AS_MASK, AS_RANDOM, AS_SAME]].all()
    released = md.objective("mass", compat="mass").draw(rows, vocab)["hidden"].reshape(draws, 10)
    categories(np.bincount(starts_of(released), minlength=6), [0.3, 0.1, 0.1, 0.1, 0.1, 0.3], "released start")


def test_a_mass_run_is_half_of_the_text(ragged, vocab):
    hidden = md.objective("mass").draw(ragged(range(300)), vocab)["hidden"] > 0
    ends = np.cumsum(np.arange(300))
    for length in range(300):
        assert hidden[ends[length] - length : ends[length]].sum() == min(max(1, round(length / 2)), length)


@draws(5000)
@pytest.mark.parametrize("length", [2, 3, 9])
def test_cmlm_hides_any_number_alike(length, draws, plain, vocab):
    """N tokens in the answer: 1 … N - 1 of them hidden, each number as likely; which ones, without preference."""
    d = md.objective("cmlm", split=1 / (length + 1)).draw(plain(draws, length + 1), vocab)
    assert (d["split"] == 1).all()
    hidden = d["hidden"].reshape(draws, length + 1)
    assert not hidden[:, 0].any(), "the source is read as it is"
    counts = hidden.sum(axis=1)
    found = np.bincount(counts, minlength=length + 1)
    assert found[0] == found[length] == 0
    if length > 2:
        uniform(found[1:length], "hidden")
    chosen = hidden[counts == 1][:, 1:]
    uniform(chosen.sum(axis=0), "which one")
    frequencies(hidden[:, 1:].sum(axis=0), draws, 0.5, "position ")


def test_cmlm_hides_an_answer_of_one_token(plain, vocab):
    for length in (1, 2):
        d = md.objective("cmlm").draw(plain(50, length), vocab)
        assert (d["split"] == length - 1).all()
        assert (d["hidden"].reshape(50, length)[:, -1] == 1).all()


@draws(5000)
def test_cmlm_parts_a_text_anywhere_alike(draws, plain, vocab):
    split = md.objective("cmlm").draw(plain(draws, 11), vocab)["split"]
    uniform(np.bincount(split, minlength=11)[1:], "split")


@draws(4000, 50_000)
def test_random_gap_sentences(draws, plain, vocab):
    """Ten sentences of two tokens: three of them, without preference; "lead" takes the first three."""
    rows = plain(draws, 20, sentence=[1, 0] * 10)
    spans = md.objective("pegasus", strategy="random").draw(rows, vocab)["spans"]
    assert (spans.count == 3).all()
    assert (np.diff(spans.start.reshape(draws, 3), axis=1) > 0).all()
    frequencies(np.bincount(spans.start // 2, minlength=10), draws, 0.3, "sentence ")
    lead = md.objective("pegasus", strategy="lead").draw(rows, vocab)["spans"]
    assert (lead.start.reshape(draws, 3) == [0, 2, 4]).all()


@pytest.mark.parametrize(("sentences", "gaps"), [(1, 1), (3, 1), (4, 1), (7, 2), (10, 3), (20, 6)])
def test_gap_sentences_are_rounded_down(sentences, gaps, plain, vocab):
    rows = plain(4, sentences, sentence=[1] * sentences)
    for strategy in ("principal", "random", "lead"):
        assert (md.objective("pegasus", strategy=strategy).draw(rows, vocab)["spans"].count == gaps).all()


@draws(300, 5000)
def test_mbart_covers_35_percent(draws, plain, vocab):
    """100 tokens, their end of sequence counted: 36 in spans, exactly; released they overlap and fewer are removed."""
    rows = plain(draws, 100, sentence=[1] + [0] * 99)
    single = md.Vocab(size=640, bos=1, eos=2, mask=6, languages={"en": 9}, reserved=range(7, 100))
    assert (md.objective("mbart").draw(rows, single)["spans"].totals == 36).all()
    hidden = md.objective("mbart", compat="fairseq").draw(rows, single)["hidden"].reshape(draws, 101)
    assert 0.25 < (hidden > 0).mean() < 0.34


@draws(4000, 100_000)
def test_the_long_span_of_ul2(draws, plain, vocab):
    """600 tokens, one span of 90: without roll the tail in every text; rolled, every position hidden alike."""
    ul2, tail = md.objective("ul2").member("x-64-15"), md.objective("ul2", roll=False).member("x-64-15")
    rows = plain(draws, 600)
    fixed = tail.draw(rows, vocab)["spans"]
    assert (fixed.start == 510).all()
    assert (fixed.totals == 90).all()
    rolled = ul2.draw(rows, vocab)["spans"]
    hidden = flagged(rolled, draws, 600)
    assert (hidden.sum(axis=1) == 90).all()
    assert ((np.diff(hidden, axis=1, append=hidden[:, :1]) == 1).sum(axis=1) == 1).all(), "one span, counted round the end"
    frequencies(hidden.sum(axis=0), draws, 0.15, "position ")


@pytest.mark.parametrize(("name", "options", "shares"), [
    ("ul2", {}, {"r-3-15": 1, "r-8-15": 1, "x-3-50": 1, "x-8-50": 1, "x-64-15": 1, "x-64-50": 1, "s": 1}),
    ("ul2", {"weights": "grouped"}, {"r-3-15": 2, "r-8-15": 2, "x-3-50": 1, "x-8-50": 1, "x-64-15": 1, "x-64-50": 1, "s": 2}),
    ("ul2r", {}, {"r-3-15": 2, "x-32-15": 1, "x-3-50": 1, "s": 4}),
])  # fmt: skip
def test_turns_of_a_mixture_of_denoisers(name, options, shares):
    """Exactly the weights, in every block of samples that can hold them."""
    mixture, block = md.objective(name, **options), sum(shares.values())
    for first in (0, 7 * block, 1000 * block):
        turns = [mixture.member_of(n) for n in range(first, first + block)]
        assert {member: turns.count(member) for member in shares} == shares


@draws(5000)
def test_the_rest_of_ul2_begins_anywhere_alike(draws, plain, vocab):
    uniform(np.bincount(md.objective("ul2").member("s").draw(plain(draws, 9), vocab)["split"], minlength=9)[1:], "split")
    fixed = md.objective("ul2", s_split=0.25).member("s").draw(plain(4, 100), vocab)["split"]
    assert (fixed == 75).all(), "the last quarter is asked"
