"""What a run of tokens costs at most, for objectives that fill hidden tokens in any order (masked diffusion)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float64, Int32

from maskdial.evaluate.facts import Run
from maskdial.evaluate.items import shuffled, uniform
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer, rows_of_scored

#: How many noise levels each run is asked at.
LEVELS = 8
NOTE = f"an upper bound, from {LEVELS} noise levels: the text may cost less"


def bound(scorer: Scorer, phrasing: Phrasing, texts: Sequence[Int32[np.ndarray, " n"]], runs: Sequence[Run]) -> Float64[np.ndarray, " r"]:
    """Nats that each run costs at most, given the rest of its text that the objective reads.

    Of the n tokens of a run (of a block) l are hidden, every l from 1 to n as likely, and their summed loss counts n / l times:
    the mean is the bound of Sahoo et al. 2024 (eq. 10) in the form with less variance of Nie et al. 2025 (eq. 6). The levels are
    spread evenly, so that l differs from one to the next.
    """
    total = np.zeros(len(texts))
    for level in range(LEVELS):
        hidden, weights = [], []
        for i, run in enumerate(runs):
            chosen, counted = noise(phrasing.block, run, i, level)
            hidden.append([(j, j + 1) for j in chosen])
            weights += counted
        samples = phrasing.ask(texts, hidden, runs)
        values = scorer.token_log_probs(samples) * np.array(weights)
        total -= np.bincount(rows_of_scored(samples), values, len(texts)) / LEVELS
    return total


def noise(block: int | None, run: Run, number: int, level: int) -> tuple[list[int], list[float]]:
    """The tokens of run `number` that are hidden at a level, ascending, and what each counts."""
    first, end = run
    cuts = [first, *range(first + block - first % block, end, block), end] if block else [first, end]
    chosen: list[int] = []
    weights: list[float] = []
    for a, b in pairwise(cuts):
        size, name = b - a, f"bound {number} {a}"
        shift = int(uniform(1, name, 1 << 20)[0]) / (1 << 20)
        count = 1 + int((level + shift) / LEVELS * size)
        chosen += sorted((a + shuffled(size, f"{name} {level}")[:count]).tolist())
        weights += [size / count] * count
    return chosen, weights
