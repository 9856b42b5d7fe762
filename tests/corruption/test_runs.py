"""Places and runs against plain numpy: every length around a word of 64, every density, any layout."""

import numpy as np
import pytest

from maskdial.corruption.runs import AT_ONCE, SPARE, copy_on, differ, longest_of, next_set, number, places, stretches
from maskdial.rng import kernel

LENGTHS = [0, 1, 2, 7, 63, 64, 65, 127, 128, 129, 500]


@kernel
def copied(source, first, count, target, place):
    """`copy_on`, which only kernels can call."""
    copy_on(source, first, count, target, place)


@pytest.mark.parametrize("density", [0.0, 0.02, 0.15, 0.5, 1.0])
@pytest.mark.parametrize("length", LENGTHS)
def test_places_are_where_the_bytes_are(length, density):
    g = np.random.default_rng(length)
    flags = (g.random(length) < density).astype(np.uint8) * g.integers(1, 5, length).astype(np.uint8)
    out = np.empty(length + SPARE, dtype=np.int32)
    for value in range(5):
        for equal in (True, False):
            wanted = np.flatnonzero((flags == value) == equal)
            assert places(flags, np.uint8(value), equal, out) == number(flags, np.uint8(value), equal) == len(wanted)
            assert (out[: len(wanted)] == wanted).all()


@pytest.mark.parametrize("density", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("length", LENGTHS)
def test_the_next_place_is_the_first_from_there_on(length, density):
    flags = (np.random.default_rng(length).random(length) < density).astype(np.uint8) * np.uint8(3)
    marked = np.flatnonzero(flags)
    for at in range(length + 2):
        assert next_set(flags, at) == min(marked[marked >= at].tolist(), default=length)


@pytest.mark.parametrize("length", LENGTHS)
def test_places_in_arrays_of_any_kind(length):
    g = np.random.default_rng(1)
    wide = g.integers(0, 3, 2 * length)
    out = np.empty(length + SPARE, dtype=np.int64)
    for flags in (wide.astype(np.uint8)[::2], wide[:length] > 0, wide[:length], wide[:length].astype(np.int8)):
        wanted = np.flatnonzero(flags)
        assert places(flags, np.uint8(0), False, out) == len(wanted)
        assert (out[: len(wanted)] == wanted).all()


def test_the_loop_that_stands_for_the_comparison_says_the_same():
    """What runs where the compiler is off."""
    flags = np.random.default_rng(2).integers(0, 3, 100).astype(np.uint8)
    bits = int(differ(flags, np.uint64(20), np.uint8(0)))
    assert [bits >> i & 1 for i in range(64)] == (flags[20:84] != 0).tolist()


@pytest.mark.parametrize("count", [0, 1, 8, 31, 32, 33, 40, 100])
def test_a_run_is_copied_whole_and_spills_only_to_the_right(count):
    source = np.arange(1000, 1000 + count + 60, dtype=np.int32)
    for room in (0, 1, 31, 32, 64):  # what the target has behind the run
        target = np.zeros(5 + count + room, dtype=np.int32)
        copied(source, 7, count, target, 5)
        assert (target[:5] == 0).all()
        assert (target[5 : 5 + count] == source[7 : 7 + count]).all()
        assert (target[5 + count + int(AT_ONCE) :] == 0).all()
    copied(source, 60, count, target, 5)  # to the source's very end
    assert (target[5 : 5 + count] == source[60:]).all()


@pytest.mark.parametrize("starts", [[], [0], [1], [0, 0, 1, 0, 1], [1, 0, 1], [0] * 70 + [1] + [0] * 70])
def test_stretches_part_the_text(starts):
    out = np.empty(len(starts) + SPARE + 1, dtype=np.int32)
    n = stretches(np.array(starts, dtype=np.uint8), out)
    wanted = [i for i, flag in enumerate(starts) if i == 0 or flag]
    assert out[: n + 1].tolist() == [*wanted, len(starts)]
    assert longest_of(out[: n + 1].astype(np.int64)) == np.diff(out[: n + 1]).max(initial=0)
