"""The shuffle is a bijection for every size, keyed, and pinned to the bit."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from maskdial.data.shuffle import permute

SIZES = [1, 2, 3, 4, 5, 7, 13, 63, 64, 65, 97, 255, 256, 257, 1009, 4095, 4096, 4097, 65537]


@pytest.mark.parametrize("n", SIZES)
def test_each_place_comes_exactly_once(n):
    for seed, epoch in ((0, 0), (0, 1), (7, 3)):
        assert np.array_equal(np.sort(permute(np.arange(n), n, seed, epoch)), np.arange(n))


@given(n=st.integers(1, 3000), seed=st.integers(0, 2**63), epoch=st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_any_size_and_key_is_a_bijection(n, seed, epoch):
    assert len(np.unique(permute(np.arange(n), n, seed, epoch))) == n


def test_part_of_the_range_agrees_with_the_whole():
    whole = permute(np.arange(1009), 1009, 5, 2)
    some = np.array([1008, 0, 17, 17, 512])
    assert np.array_equal(permute(some, 1009, 5, 2), whole[some])


def test_a_huge_range_costs_no_memory_and_stays_inside():
    n = 10**15 + 37
    out = permute(np.arange(1000) * 10**12, n, 1, 0)
    assert len(np.unique(out)) == 1000
    assert 0 <= out.min() <= out.max() < n


def test_seeds_and_epochs_give_different_orders():
    orders = {tuple(permute(np.arange(50), 50, s, e)) for s in range(5) for e in range(5)}
    assert len(orders) == 25


def test_all_orders_of_three_are_about_equally_likely():
    counts = {}
    for seed in range(600):
        order = tuple(permute(np.arange(3), 3, seed, 0))
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert chisquare(list(counts.values())).pvalue > 1e-4


def test_first_place_is_uniform():
    first = [int(permute([0], 20, seed, 0)[0]) for seed in range(2000)]
    assert chisquare(np.bincount(first, minlength=20)).pvalue > 1e-4


def test_golden_vectors():
    assert permute(np.arange(10), 10, 0, 0).tolist() == GOLDEN[0]
    assert permute(np.arange(10), 10, 0, 1).tolist() == GOLDEN[1]
    assert permute([0, 1, 999_999_999_999], 10**12, 42, 7).tolist() == GOLDEN[2]


def test_golden_vectors_in_a_fresh_process():
    code = "from maskdial.data.shuffle import permute; print(permute(range(10), 10, 0, 1).tolist())"
    for hash_seed in ("0", "1"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                              env={"PYTHONHASHSEED": hash_seed, "PATH": ""})  # fmt: skip
        assert done.stdout.strip() == str(GOLDEN[1])


@pytest.mark.parametrize(("numbers", "n"), [([10], 10), ([0], 0), ([0], 2**63)])
def test_outside_the_range_is_an_error(numbers, n):
    with pytest.raises(ValueError, match="place"):
        permute(numbers, n, 0, 0)


GOLDEN = [[4, 7, 0, 2, 8, 9, 5, 6, 3, 1], [0, 8, 9, 5, 2, 1, 3, 4, 7, 6], [494388389783, 630914588774, 947883105476]]
