"""How many CPU threads to use: ask the machine, and ask again while it is shared with others.

A small model's operations are so short that threads which must wait for a busy core cost more than they give: on two cores that
others keep busy, two threads have run the tiny model 20 times slower than one.
"""

from __future__ import annotations

import statistics
import time

import torch

#: Seconds of training after which the question is asked again; a step `SLOW` times the usual asks it at once, if the last
#: time is `SOON` seconds ago.
AGAIN, SOON, SLOW = 10.0, 2.0, 3.0


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
    """Keeps torch's number of threads at what is fastest; `watch(seconds)` after every step."""

    def __init__(self, positions: int, d: int, most: int) -> None:
        self.positions, self.d, self.most = positions, d, most
        self.recent: list[float] = []
        self.since = 0.0
        self.ask()

    def ask(self) -> None:
        """Measure and set."""
        self.since, self.recent = 0.0, []
        torch.set_num_threads(best_threads(self.positions, self.d, self.most))

    def watch(self, seconds: float) -> None:
        """A step took this long."""
        self.since += seconds
        slow = len(self.recent) >= 5 and seconds > SLOW * statistics.median(self.recent)
        self.recent = [*self.recent[-15:], seconds]
        if self.since > AGAIN or (slow and self.since > SOON):
            self.ask()
