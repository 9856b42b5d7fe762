"""Noise never repeats itself: neither between rows, epochs, seeds, names and documents nor between the uses of one row."""

import numpy as np
import pytest

import maskdial as md
from maskdial import rng
from maskdial.corruption.poisson import poisson_spans
from maskdial.corruption.select import independent
from maskdial.corruption.spans import RandomSpans
from tests.statistics.tolerance import draws, frequency

RATE, LENGTH = 0.3, 200


def picks(keys, use=rng.SELECT):
    return independent(np.arange(len(keys) + 1) * LENGTH, keys, RATE, use).reshape(len(keys), LENGTH) > 0


def apart(a, b, what):
    """Two tables of coin flips share no more picks than chance gives."""
    frequency((a & b).sum(), a.size, RATE**2, what)


@draws(200_000)
def test_picks_of_two_keys_are_independent(draws):
    index = np.arange(draws // LENGTH, dtype=np.uint64)
    first = picks(rng.keys(0, "bert", 0, index))
    frequency(first.sum(), first.size, RATE)
    others = {
        "the next row": rng.keys(0, "bert", 0, index + np.uint64(1)),
        "the next epoch": rng.keys(0, "bert", 1, index),
        "the next seed": rng.keys(1, "bert", 0, index),
        "another recipe": rng.keys(0, "roberta", 0, index),
        "the next document": rng.keys(0, "bert", 0, index, np.ones(len(index), dtype=np.int64)),
        "seed and epoch exchanged": rng.keys(1, "bert", 0, index),
        "a row 2^32 further": rng.keys(0, "bert", 0, index + np.uint64(2**32)),
    }
    for what, keys in others.items():
        apart(first, picks(keys), what)
    apart(picks(rng.keys(1, "bert", 0, index)), picks(rng.keys(0, "bert", 1, index)), "seed 1 epoch 0, seed 0 epoch 1")
    for lag in (1, 2, 7, 64):
        apart(first[:, lag:], first[:, :-lag], f"{lag} tokens apart")
    for use in range(2, 14):
        apart(first, picks(rng.keys(0, "bert", 0, index), use), f"use {use} of the same key")


def test_a_document_is_noised_alike_alone_and_first_in_a_row():
    index = np.array([4, 9], dtype=np.uint64)
    alone, first = rng.keys(0, "t5", 0, index), rng.keys(0, "t5", 0, index, np.array([0, 1]))
    assert alone[0] == first[0]
    assert alone[1] != first[1]


@draws(3000, 100_000)
@pytest.mark.parametrize("name", ["spans", "infilling"])
def test_span_masks_of_neighbouring_rows_are_independent(name, draws):
    """Two texts draw the same mask no more often than the law makes any two."""

    def starts(seed, epoch, first):
        keys = rng.keys(seed, name, epoch, np.arange(first, first + draws, dtype=np.uint64))
        lengths = np.full(draws, 12)
        made = RandomSpans(0.5, 2.0).of(lengths, keys) if name == "spans" else poisson_spans(lengths, keys, 0.3, 3.0)
        code = np.zeros(draws, dtype=np.int64)
        np.add.at(code, made.entry_unit, (13 * made.start + made.length) * 7 ** (np.arange(len(made.start)) - made.begin[made.entry_unit]))
        return np.unique(code, return_inverse=True)

    values, plain = starts(0, 0, 0)
    count = np.bincount(plain).astype(np.float64)
    meet = float((count * (count - 1)).sum() / (draws * (draws - 1)))  # unbiased: pairs of different rows
    assert name != "spans" or abs(meet - 0.01) < 0.002, "ten compositions of the hidden times ten of the kept"
    for what, other in {"row": starts(0, 0, draws), "epoch": starts(0, 1, 0), "seed": starts(1, 0, 0)}.items():
        same = (values[plain] == other[0][other[1]]).sum()
        frequency(same, draws, meet, f"same mask in another {what}")


@draws(400, 4000)
def test_no_two_rows_epochs_or_seeds_hold_the_same_mask(draws, plain, vocab):
    """Dynamic masking: a million (seed, epoch, row) would do as well; here each recipe's bits all differ."""
    rows = plain(draws, 120, sentence=[int(i % 10 == 0) for i in range(120)])
    for name, options in (("bert", {}), ("bert", {"count": "exact"}), ("t5", {}), ("bart", {}), ("bart", {"compat": "fairseq"})):
        objective = md.objective(name, **options)
        seen = set()
        for seed, epoch in ((0, 0), (0, 1), (1, 0)):
            s = objective(rows, vocab, seed=seed, epoch=epoch, provenance=True)
            seen |= {one.origin[one.stream == 0].tobytes() + one.target.tobytes() for one in s}
        assert len(seen) == 3 * draws, f"{name} {options} repeated itself"
