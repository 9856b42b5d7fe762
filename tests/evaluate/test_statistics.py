"""Intervals and corrections against known cases."""

import numpy as np
import pytest

from maskdial.evaluate.statistics import Outcome, differences, holm, interval, wilson


def test_holm_matches_the_textbook() -> None:
    # Holm 1979 with .05 / 4, .05 / 3, …: .01 and .005 are rejected, .03 fails at .05 / 2 and stops the rest
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm([]) == []
    assert holm([0.06]) == [False]
    assert holm([0.02, 0.02]) == [True, True]


def test_bootstrap_of_independent_documents_matches_the_normal_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(3.0, 2.0, size=400)
    low, high = interval([Outcome.of(np.arange(400), values)])
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.03)
    assert high == pytest.approx(values.mean() + half, abs=0.03)


def test_items_of_one_document_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(1).normal(size=50)
    once = interval([Outcome.of(np.arange(50), values)])
    copied = interval([Outcome.of(np.repeat(np.arange(50), 20), np.repeat(values, 20))])
    assert copied == pytest.approx(once)


def test_the_interval_covers_the_truth_about_95_times_in_a_hundred() -> None:
    rng, hits = np.random.default_rng(2), 0
    for _ in range(60):
        low, high = interval([Outcome.of(np.arange(60), rng.random(60) < 0.4)])
        hits += low <= 0.4 <= high
    assert hits >= 52


def test_ratio_of_sums() -> None:
    o = Outcome.of([0, 1], [8.0, 2.0], [4.0, 1.0], [10.0, 5.0])
    assert (o.value, o.baseline) == (2.0, 3.0)
    low, high = interval([o])
    assert low == 2.0 == high  # each document has the same ratio


@pytest.mark.parametrize(("right", "low", "high"), [(1.0, 0.886, 1.0), (0.0, 0.0, 0.114)])
def test_a_proportion_without_variation_is_not_certain(right: float, low: float, high: float) -> None:
    o = Outcome.of(np.arange(30), np.full(30, right), proportion=True)
    assert interval([o]) == pytest.approx((low, high), abs=0.001)
    assert wilson(right, 30) == pytest.approx((low, high), abs=0.001)


def test_differences_are_paired_and_corrected() -> None:
    rng = np.random.default_rng(3)
    hard = rng.normal(0, 5, size=200)  # shared by both: pairing takes it out
    a = Outcome.of(np.arange(200), hard + 1 + rng.normal(0, 0.3, 200))
    b = Outcome.of(np.arange(200), hard + rng.normal(0, 0.3, 200))
    c = Outcome.of(np.arange(200), hard + rng.normal(0, 0.3, 200))
    alone = Outcome.of(np.arange(10), np.ones(10))
    found = differences({"p": {"a": [a], "b": [b], "c": [c], "other": [alone]}})
    by_pair = {(d["a"], d["b"]): d for d in found["p"]}
    assert set(by_pair) == {("a", "b"), ("a", "c"), ("b", "c")}  # different items are not compared
    assert by_pair["a", "b"]["difference"] == pytest.approx(1.0, abs=0.1)
    assert by_pair["a", "b"]["real"]
    assert by_pair["a", "c"]["real"]
    assert not by_pair["b", "c"]["real"]
    assert by_pair["b", "c"]["low"] < 0 < by_pair["b", "c"]["high"]


def test_no_difference_is_real_when_a_thing_is_compared_with_itself() -> None:
    a = Outcome.of(np.arange(50), np.arange(50.0))
    (found,) = differences({"p": {"a": [a], "b": [a]}})["p"]
    assert found["difference"] == 0
    assert found["p"] == 1
    assert not found["real"]


def test_seeds_widen_the_interval() -> None:
    rng = np.random.default_rng(4)
    outcomes = [Outcome.of(np.arange(300), rng.normal(shift, 0.1, 300)) for shift in (0.0, 1.0, 2.0)]
    low, high = interval(outcomes)
    assert high - low > 1.0
    single = interval(outcomes[:1])
    assert single[1] - single[0] < 0.05


def test_a_bound_is_not_worse_than_what_it_may_be_better_than() -> None:
    exact, bound = np.full(60, 2.0), np.full(60, 3.0)
    a = Outcome.of(np.arange(60), exact + np.linspace(0, 0.1, 60), better="lower")
    for real in (True, False):
        b = Outcome.of(np.arange(60), bound, better="lower", bound=not real)
        for pair in ({"a": [a], "b": [b]}, {"b": [b], "a": [a]}):
            (found,) = differences({"p": pair})["p"]
            assert found["real"] is real
    below = Outcome.of(np.arange(60), exact - 1, better="lower", bound=True)  # even as a bound it is better
    assert differences({"p": {"a": [a], "b": [below]}})["p"][0]["real"]
    assert below.to_json()["bound"]
    assert "bound" not in a.to_json()
