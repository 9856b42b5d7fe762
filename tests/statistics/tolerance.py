"""How far chance may carry a number, fixed before looking: five standard errors, or a chi-square below one in a million.

Every test draws from a fixed seed, so it always says the same. Sizes are chosen so that the mistake one fears lies at
least ten standard errors away; `draws(n)` adds a run of 10^6 draws, marked slow.
"""

from math import sqrt

import numpy as np
import pytest
from scipy.stats import chi2

Z = 5.0
LEAST = 1e-6
FULL = 1_000_000


def draws(quick, full=FULL):
    """Run a test at the size chosen for its power, and at 10^6 draws as a long proof."""
    return pytest.mark.parametrize("draws", [quick, pytest.param(full, marks=pytest.mark.slow)])


def frequency(hits, trials, share, what=""):
    """`hits` of `trials` happen with probability `share` each."""
    allowed = Z * sqrt(trials * share * (1 - share)) + 0.5
    assert abs(hits - trials * share) <= allowed, f"{what} {hits / trials:.5f} of {trials}, expected {share:.5f} ± {allowed / trials:.5f}"


def frequencies(hits, trials, share, what=""):
    """The same of many cells, each on its own."""
    for i, k in enumerate(np.asarray(hits).tolist()):
        frequency(k, trials, float(np.broadcast_to(share, np.shape(hits))[i]), f"{what}[{i}]")


def average(values, mean, deviation, what=""):
    """The mean of independent `values` whose law has this mean and standard deviation."""
    values = np.asarray(values, dtype=np.float64)
    allowed = Z * deviation / sqrt(len(values))
    assert abs(values.mean() - mean) <= allowed, f"{what} mean {values.mean():.5f} of {len(values)}, expected {mean:.5f} ± {allowed:.5f}"


def categories(observed, law, what=""):
    """Counts of independent draws follow `law` (shares that sum to 1); cells of the tail are pooled until 5 are expected."""
    observed, law = np.asarray(observed, dtype=np.float64), np.asarray(law, dtype=np.float64)
    assert len(observed) == len(law)
    assert abs(law.sum() - 1) < 1e-9, f"the law sums to {law.sum()}"
    assert not observed[law == 0].any(), f"{what}: a cell of probability 0 was drawn"
    expected = observed.sum() * law
    seen, wanted = [], []
    left = [0.0, 0.0]
    for o, e in sorted(zip(observed, expected, strict=True), key=lambda cell: -cell[1]):
        if e >= 5:
            seen.append(o)
            wanted.append(e)
        else:
            left[0] += o
            left[1] += e
    if left[1] >= 5 or not wanted:
        seen.append(left[0])
        wanted.append(left[1])
    else:
        seen[-1] += left[0]
        wanted[-1] += left[1]
    assert len(seen) > 1, "one cell proves nothing"
    statistic = float(((np.array(seen) - wanted) ** 2 / np.array(wanted)).sum())
    p = float(chi2.sf(statistic, len(seen) - 1))
    assert p >= LEAST, f"{what}: chi-square {statistic:.1f} over {len(seen)} cells, p = {p:.2g}"


def uniform(observed, what=""):
    """Counts of independent draws, every cell equally likely."""
    categories(observed, np.full(len(observed), 1 / len(observed)), what)
