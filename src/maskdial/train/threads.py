"""How many CPU threads to use: ask the machine, and ask again while it is shared with others.

A small model's operations are so short that threads which must wait for a busy core cost more than they give: on two cores that
others keep busy, two threads have run the tiny model 20 times slower than one.
"""

from __future__ import annotations

import statistics
import time

import torch

#: Seconds of training between trials of another number, doubled up to `MOST` while they lose; steps of a trial; how much slower
#: than when it was chosen a number must get for a trial at once.
BETWEEN, MOST, TRIAL, WORSE = 10.0, 80.0, 2, 1.5


def best_threads(positions: int, d: int, most: int) -> int:
    """The number of threads, 1, 2, 4 … `most`, that runs a layer's kind of work fastest just now (about 0.1 s).

    On two cores that others keep busy, two threads have run this model 20 times slower than one.
    """
    x, w = torch.ones(min(positions, 4096), d), torch.ones(d, 3 * d)
    before, best = torch.get_num_threads(), (float("inf"), 1)
    try:
        for threads in sorted({*(1 << i for i in range(most.bit_length()) if 1 << i < most), most}):
            torch.set_num_threads(threads)
            best = min(best, (_chain(x, w), threads))
    finally:
        torch.set_num_threads(before)
    return best[1]


def _chain(x: torch.Tensor, w: torch.Tensor, repeats: int = 20) -> float:
    """Seconds of `repeats` short products and sums in a row, after one to warm up."""
    start = 0.0
    for number in range(repeats + 1):
        start = time.perf_counter() if number == 1 else start
        y = x @ w
        (y * y).sum(-1)
    return time.perf_counter() - start


class Threads:
    """Keeps torch's number of threads at what is fastest; `watch(seconds)` after every step.

    It starts from a measurement and then goes by the steps themselves, since others come and go within milliseconds: now and
    then, and at once when steps have become slow, half or twice as many threads get two steps to be faster.
    """

    def __init__(self, positions: int, d: int, most: int) -> None:
        self.most, self.now = most, best_threads(positions, d, most)
        self.usual = self.chosen_at = 0.0
        self.since, self.between = 0.0, BETWEEN
        self.before, self.trial = self.now, list[float]()
        self.trying, self.up = False, True
        torch.set_num_threads(self.now)

    def watch(self, seconds: float) -> None:
        """A step took this long."""
        if self.trying:
            self.trial.append(seconds)
            if seconds > self.usual or len(self.trial) == TRIAL:
                self._decide()
            return
        self.since += seconds
        self.usual = seconds if self.usual == 0 else 0.7 * self.usual + 0.3 * seconds
        self.chosen_at = min(self.chosen_at, self.usual) or self.usual
        if self.since > self.between or (self.usual > WORSE * self.chosen_at and self.since > 1.0):
            self._try()

    def _try(self) -> None:
        """Give the next number a trial: fewer and more in turn."""
        self.up = not self.up
        other = self.now * 2 if self.up else self.now // 2
        other = other if 1 <= other <= self.most else self.now // 2 if self.up else min(self.most, self.now * 2)
        self.trial, self.since, self.chosen_at = [], 0.0, self.usual
        if other not in (0, self.now):
            self.before, self.now, self.trying = self.now, other, True
            torch.set_num_threads(other)

    def _decide(self) -> None:
        """Keep the number on trial if all its steps were faster than usual."""
        self.trying = False
        if max(self.trial) < self.usual:
            self.usual = self.chosen_at = statistics.fmean(self.trial)
            self.between = BETWEEN
        else:
            self.now, self.between = self.before, min(MOST, 2 * self.between)
            torch.set_num_threads(self.now)
