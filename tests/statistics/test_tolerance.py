"""The yardsticks themselves: they let chance pass and catch the mistakes they are sized for."""

import numpy as np
import pytest

from tests.statistics.tolerance import average, categories, frequencies, frequency, uniform


def test_chance_passes():
    g = np.random.default_rng(0)
    frequency(g.binomial(8000, 0.8), 8000, 0.8)
    frequencies(g.binomial(8000, 0.1, 50), 8000, 0.1)
    average(g.normal(3, 2, 10_000), 3, 2)
    categories(g.multinomial(10_000, [0.5, 0.3, 0.19, 0.01]), [0.5, 0.3, 0.19, 0.01])
    uniform(g.multinomial(10_000, np.full(20, 0.05)))


def test_mistakes_do_not():
    with pytest.raises(AssertionError, match=r"0\.85"):
        frequency(6800, 8000, 0.8)
    with pytest.raises(AssertionError, match="mean"):
        average(np.full(10_000, 3.2), 3, 2)
    with pytest.raises(AssertionError, match="chi-square"):
        categories([5400, 2600, 2000], [0.5, 0.3, 0.2])
    with pytest.raises(AssertionError, match="probability 0"):
        categories([5, 5, 1], [0.5, 0.5, 0.0])
    with pytest.raises(AssertionError, match="sums to"):
        categories([5, 5], [0.5, 0.4])
    with pytest.raises(AssertionError, match="one cell"):
        categories([5.0, 0.0], [0.9, 0.1])


def test_the_tail_is_pooled():
    law = np.array([0.9, 0.09, 0.009, 0.0009, 0.0001])
    categories([902, 89, 8, 1, 0], law)
    with pytest.raises(AssertionError, match="over 3 cells"):
        categories([890, 90, 0, 0, 40], law)
