"""Whose turn it is: exact shares, even turns, and the same answer without counting as with it."""

from math import sqrt

import numpy as np
import pytest

from maskdial.mixture.schedule import LONGEST, STAIRS, Cycle, Phase, Turns, apportion, normal, read_schedule
from tests.statistics.tolerance import categories

UNILM = (1 / 3, 1 / 3, 1 / 6, 1 / 6)
WEIGHTS = [(1.0,), (0.5, 0.5), (0.4, 0.4, 0.2), UNILM, (1,) * 7, (0.5, 0.25, 0.25), (3, 0, 1), (sqrt(2), 1.0, sqrt(5))]
EXACT = [((0.4, 0.4, 0.2), [2, 2, 1]), (UNILM, [2, 2, 1, 1]), ((1,) * 7, [1] * 7), ((30, 70), [3, 7]), ((2, 0), [1, 0]),
         ((0.1234, 0.8766), [617, 4383])]  # fmt: skip
NAMES = ("a", "b", "c")


def turns(schedule, total=None, names=NAMES):
    return Turns(read_schedule(schedule, names), total, "key")


def walk(one, n):
    return one.at(np.arange(n, dtype=np.uint64))


@pytest.mark.parametrize(("weights", "counts"), EXACT)
def test_shares_that_some_block_holds_are_exact(weights, counts):
    assert apportion(weights).tolist() == counts


def test_other_shares_are_within_one_in_ten_thousand():
    weights = (sqrt(2), sqrt(3), sqrt(5), 0.001)
    counts = apportion(weights)
    assert counts.sum() == LONGEST
    assert (np.abs(counts / LONGEST - normal(weights)) < 1 / LONGEST).all()
    with pytest.raises(ValueError, match="at least 1 in 10,000"):
        apportion((1.0, 1e-5))


@pytest.mark.parametrize("weights", WEIGHTS)
def test_every_block_has_the_shares_and_turns_are_spread_evenly(weights):
    one, counts = Cycle(weights, "key"), apportion(weights)
    assert one.period > LONGEST / 2
    for block in one.who.reshape(-1, counts.sum()):
        assert np.bincount(block, minlength=len(counts)).tolist() == counts.tolist()
    members, share = len(weights), np.array(normal(weights))
    spread = one.before - share[:, None] * np.arange(one.period + 1)
    assert np.abs(spread).max() <= 2 * (0.5 + share.max() * members / 2) + 1e-9, "twice the bound of an arrangement that is not turned"
    for m, c in enumerate(counts):
        if c > 1:
            gaps = np.diff(np.flatnonzero(one.who == m))
            assert gaps.max() <= 3 * one.period / one.counts[m] + members


@pytest.mark.parametrize("weights", WEIGHTS[1:7])
def test_no_stride_keeps_step_with_a_member(weights):
    """What stands at one place of every block follows the shares: blocks are turned independently."""
    block = int(apportion(weights).sum())
    for place in range(block):
        found = Cycle(weights, "key").who[place::block]
        categories(np.bincount(found, minlength=len(weights)), normal(weights), f"place {place}")


def test_the_key_turns_the_blocks():
    assert (Cycle((1, 2), "one").who != Cycle((1, 2), "other").who).any()
    assert (Cycle((1, 2), "one").who == Cycle((2, 4), "one").who).all()


SCHEDULES = [
    ([(1.0, {"a": 1, "b": 2, "c": 3})], 5_000),
    ([(0.5, {"a": 1.0}), (1.0, {"b": 0.4, "c": 0.6})], 21_001),
    ([(0.25, {"a": 0.3, "b": 0.3, "c": 0.4}), (1.0, {"a": 1, "b": 1, "c": 1}, {"b": 1})], 9_999),
    ([(700, {"a": 1}), (1500, {"a": 1, "b": 1}, {"c": 1}), (None, {"c": sqrt(2), "a": 1})], None),
]  # fmt: skip


@pytest.mark.parametrize(("schedule", "total"), SCHEDULES)
def test_numbers_are_those_of_counting(schedule, total):
    one, n = turns(schedule, total), 25_000
    who, number = walk(one, n)
    for m in range(3):
        mine = who == m
        assert (number[mine] == np.arange(mine.sum())).all(), "a member's own samples are 0, 1, 2, …"
        for at in (0, 1, 699, 700, 701, 5249, 10_500, 10_501, n):
            assert one.count_before(m, at) == mine[:at].sum()
    assert len(set(who.tolist())) == 3


@pytest.mark.parametrize(("schedule", "total"), SCHEDULES)
def test_far_away_is_as_near_as_the_start(schedule, total):
    one = turns(schedule, total)
    for n in (2**60 - 1, 2**60, 2**62 + 12_345):
        (who, *_), (number, *_) = one.at(np.array([n], dtype=np.uint64))
        before, after = ([one.count_before(m, k) for m in range(3)] for k in (n, n + 1))
        assert sum(before) == n
        assert [b - a for a, b in zip(before, after, strict=True)] == [int(m == who) for m in range(3)]
        assert before[who] == number


def test_phases_begin_where_they_should():
    one = turns([(0.3, {"a": 1}), (0.5, {"b": 1}), (1.0, {"c": 1})], 1000)
    assert walk(one, 1200)[0].tolist() == [0] * 300 + [1] * 200 + [2] * 700
    one = turns([(10, {"a": 1}), (12, {"b": 1}), (None, {"c": 1})])
    assert walk(one, 20)[0].tolist() == [0] * 10 + [1] * 2 + [2] * 8
    short = turns([(0.3, {"a": 1}), (0.5, {"b": 1}), (1.0, {"c": 1})], 1)
    assert walk(short, 3)[0].tolist() == [2, 2, 2], "phases shorter than a sample are passed over"


def test_a_ramp_goes_from_the_first_weights_to_the_second():
    phases = read_schedule([(0.5, {"a": 1}), (1.0, {"a": 4}, {"b": 0.5, "c": 0.5})], NAMES)
    assert len(phases) == 1 + STAIRS
    assert phases[-1].end == 1.0
    shares = np.array([p.weights for p in phases[1:]])
    np.testing.assert_allclose(shares[:, 0], 1 - (np.arange(STAIRS) + 0.5) / STAIRS)
    np.testing.assert_allclose(shares[:, 1], shares[:, 2])
    who, _ = walk(Turns(phases, 64_000, "key"), 64_000)
    assert (who[:32_000] == 0).all()
    quarters = [np.bincount(part, minlength=3) / 8000 for part in who[32_000:].reshape(4, -1)]
    np.testing.assert_allclose([q[0] for q in quarters], [7 / 8, 5 / 8, 3 / 8, 1 / 8], atol=0.01)


@pytest.mark.parametrize(("schedule", "message"), [
    ([], "a schedule is a list"), ([(1.0,)], "a schedule is a list"), ([(1.0, {"x": 1})], "no member 'x'"),
    ([(0.5, {"a": 1}), (0.5, {"b": 1}), (1.0, {"c": 1})], "ascend"), ([(0, {"a": 1}), (1.0, {"b": 1, "c": 1})], "ascend"),
    ([(None, {"a": 1}), (1.0, {"b": 1, "c": 1})], "ascend"), ([(1.0, {"a": 1, "b": 1})], "'c' has no turn"),
    ([(1.0, {"a": -1, "b": 1, "c": 1})], "from 0 up"), ([(1.0, {"a": 0, "b": 0, "c": 0})], "can't all be 0"),
    ([(0.5, {"a": 1}), (0.9, {"b": 1, "c": 1})], "the last is 1.0"), ([(1.5, {"a": 1}), (None, {"b": 1, "c": 1})], "whole numbers"),
    ([(5, {"a": 1}), (None, {"b": 1}, {"c": 1})], "needs an end"),
])  # fmt: skip
def test_mistakes_are_named(schedule, message):
    with pytest.raises(ValueError, match=message):
        read_schedule(schedule, NAMES)


def test_shares_of_a_run_need_its_length():
    phases = read_schedule([(0.5, {"a": 1}), (1.0, {"b": 1, "c": 1})], NAMES)
    with pytest.raises(ValueError, match=r"mixture\.over\(samples\)"):
        Turns(phases, None, "key")
    assert Turns((Phase(1.0, (1, 1, 1)),), None, "key").count_before(0, 30) == 10, "one phase is the whole run, whatever its length"
