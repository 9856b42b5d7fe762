"""Exact laws that the claims are held against, computed from the papers' definitions and from nothing of ours."""

from __future__ import annotations

from functools import cache
from math import comb, exp, lgamma, log
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64
    Law = Float64[np.ndarray, " k"]


def uniform(cells: int) -> Law:
    """Every cell equally likely."""
    return np.full(cells, 1 / cells)


def half_even(value: float) -> int:
    """Round half to even."""
    return int(np.rint(value))


def first_part(total: int, parts: int) -> Law:
    """P(ℓ), ℓ = 0 … total, of one part of a uniformly random composition of `total` into `parts` positive parts:
    C(total − ℓ − 1, parts − 2) / C(total − 1, parts − 1)."""
    if parts == 1:
        return np.eye(total + 1)[total]
    ways = [0.0 if part == 0 or part > total - parts + 1 else comb(total - part - 1, parts - 2) for part in range(total + 1)]
    return np.array(ways) / comb(total - 1, parts - 1)


@cache
def poisson(mean: float) -> Law:
    """The Poisson law, cut where its probability falls below 1e-7 and renormalised (fairseq)."""
    law: list[float] = []
    while not (len(law) > mean and exp(len(law) * log(mean) - mean - lgamma(len(law) + 1)) < 1e-7):
        law.append(exp(len(law) * log(mean) - mean - lgamma(len(law) + 1)))
    return np.array(law) / sum(law)


@cache
def first_length(budget: int, mean: float) -> Law:
    """The length of a text's first span when lengths are drawn until they fill `budget`, the last one is cut to fit and all
    are put in a random order: summed over how many were drawn."""
    law, most = poisson(mean), 4 * budget + 40
    fills, sums = np.zeros((budget + 1, most + 1)), np.zeros((budget + 1, most + 1))
    fills[0, 0] = sums[0, 0] = 1  # fills[b, m]: m draws fill a budget of b; sums[t, m]: m draws sum to t < budget
    tail = np.append(np.cumsum(law[::-1])[::-1], 0.0)
    beyond = [float(tail[min(b, len(law))]) for b in range(budget + 1)]
    for m in range(1, most + 1):
        for b in range(1, budget + 1):
            k = np.arange(min(b, len(law)))
            fills[b, m] = law[k] @ fills[b - k, m - 1] + (beyond[b] if m == 1 else 0)
        for t in range(budget):
            k = np.arange(min(t + 1, len(law)))
            sums[t, m] = law[k] @ sums[t - k, m - 1]
    made = np.zeros(budget + 1)
    for n in range(1, most + 1):
        for size in range(budget + 1):
            whole = law[size] * fills[budget - size, n - 1] if size < min(budget, len(law)) else 0.0
            cut = sums[budget - size, n - 1] * beyond[size] if size else 0.0
            made[size] += ((n - 1) * whole + cut) / n
    return made


def geometric(p: float, most: int) -> Law:
    """P(ℓ) ∝ p (1 − p)^(ℓ − 1), ℓ = 1 … most, renormalised, not clamped (SpanBERT); cell 0 is ℓ = 0."""
    law = np.array([0.0] + [p * (1 - p) ** (size - 1) for size in range(1, most + 1)])
    return law / law.sum()


def harmonic(most: int) -> Law:
    """P(n) ∝ 1 / n, n = 1 … most (ALBERT's and XLNet's runs); cell 0 is n = 0."""
    law = np.array([0.0] + [1 / n for n in range(1, most + 1)])
    return law / law.sum()


def cut_pairs(length: int) -> Law:
    """Two uniform cuts of 0 … length, sorted, as cells of lower · (length + 1) + upper (fill-in-the-middle)."""
    law = np.zeros((length + 1, length + 1))
    for a in range(length + 1):
        for b in range(a, length + 1):
            law[a, b] = (1 if a == b else 2) / (length + 1) ** 2
    return law.reshape(-1)


def occupied(cells: int, draws: int) -> tuple[float, float]:
    """(mean, standard deviation) of how many of `cells` are hit by `draws` draws with replacement."""
    one, two = (1 - 1 / cells) ** draws, (1 - 2 / cells) ** draws
    return cells * (1 - one), (cells * one + cells * (cells - 1) * two - cells**2 * one**2) ** 0.5


def level_deviation(least: float, length: int) -> float:
    """Standard deviation of the hidden share of a text of `length` tokens whose noise level is uniform in `least` … 1."""
    mean, square = (1 + least) / 2, (1 + least + least**2) / 3
    return (square - mean**2 + (mean - square) / length) ** 0.5


def runs(rate: float, length: int) -> tuple[float, float]:
    """(mean, standard deviation) of the runs that independent coins make: a run starts at the first token with probability r,
    elsewhere with r (1 − r), and never at two neighbours."""
    inner = rate * (1 - rate)
    starts = np.array([rate] + [inner] * (length - 1))
    variance = (starts * (1 - starts)).sum() - 2 * (starts[1:] * starts[:-1]).sum()
    return float(starts.sum()), float(variance) ** 0.5
