"""Whose turn it is: which member of a mixture makes sample n and how many samples it made before, without counting.

Within a cycle of at most 10,000 samples every member has its share: exactly where some number of samples holds all shares as
whole numbers, else within 1 in 10,000 (largest remainders). A cycle is made of equal blocks, the shortest runs that hold the
shares. Within a block a member's k-th of c turns stands near (k + ½) / c of the way, so that its turns are spread evenly; and
each block is turned round by an amount of its own, so that no stride over the samples (a rank's part) keeps step with a member.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial import rng
from maskdial.errors import nearest
from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64, UInt64

#: samples of a cycle at most; a share is wrong by less than one part in this many
LONGEST = 10_000
#: how far from a whole number a share of a block may lie (weights are sums and quotients of floats)
NEAR = 1e-9
#: stairs of a linear ramp
STAIRS = 32

Entry = tuple[Any, ...]


@dataclass(frozen=True)
class Phase:
    """These weights, one a member, until `end`: a share of the run (float), a number of samples (int) or for ever (None)."""

    end: float | int | None
    weights: tuple[float, ...]


def read_schedule(schedule: Sequence[Entry], names: Sequence[str]) -> tuple[Phase, ...]:
    """Phases from `[(end, {name: weight}), …]`; `(end, {…}, {…})` is a ramp from the first weights to the second.

    Ends ascend. They are shares of the run when the last is 1, else numbers of samples, and the last phase goes on for ever
    (its end may be None). `ValueError` for an unknown member, a weight that is none, a member that never has a turn.
    """
    entries = [tuple(entry) for entry in schedule]
    if not entries or any(len(entry) not in (2, 3) for entry in entries):
        raise ValueError("a schedule is a list of (end, {member: weight}), or (end, {…}, {…}) for a ramp")
    ends = [entry[0] for entry in entries]
    shares, numbers = ends[-1] == 1, [end for end in ends if end is not None]
    if None in ends[:-1] or any(b <= a for a, b in zip([0, *numbers], numbers, strict=False)):
        raise ValueError(f"the ends of a schedule ascend from above 0, and only the last may be None: {ends}")
    if not shares and not all(isinstance(end, int) for end in numbers):
        raise ValueError(f"the ends of a schedule are shares of the run (the last is 1.0) or whole numbers of samples: {ends}")
    made = list(_phases(entries, names, shares))
    for i, name in enumerate(names):
        if not any(phase.weights[i] for phase in made):
            raise ValueError(f"member {name!r} has no turn in any phase of the schedule")
    return tuple(made)


def _phases(entries: Sequence[Entry], names: Sequence[str], shares: bool) -> Iterator[Phase]:
    start: float = 0
    for end, *given in entries:
        weights = [read_weights(one, names) for one in given]
        if len(weights) == 1:
            yield Phase(float(end) if shares else end, weights[0])
        elif end is None:
            raise ValueError("a ramp needs an end")
        else:
            for k in range(STAIRS):
                far = (k + 0.5) / STAIRS
                stair = start + (end - start) * (k + 1) / STAIRS
                mixed = tuple(a * (1 - far) + b * far for a, b in zip(*map(normal, weights), strict=True))
                yield Phase(stair if shares else round(stair), mixed)
        start = end


def read_weights(given: Mapping[str, Any], names: Sequence[str]) -> tuple[float, ...]:
    """One weight a member (0 where none is given) of `{name: weight}`."""
    for name, weight in given.items():
        if name not in names:
            raise ValueError(f"there is no member {name!r}: {nearest(name, names)}")
        if not 0 <= weight < float("inf"):
            raise ValueError(f"the weight of member {name!r} is a number from 0 up, not {weight!r}")
    if not sum(given.values()):
        raise ValueError("the weights of a mixture can't all be 0")
    return tuple(float(given.get(name, 0)) for name in names)


def normal(weights: Sequence[float]) -> tuple[float, ...]:
    """Weights that sum to 1."""
    total = sum(weights)
    return tuple(weight / total for weight in weights)


def apportion(weights: Sequence[float]) -> Int64[np.ndarray, " m"]:
    """Turns of each member in the shortest block that holds the shares exactly, or in one of `LONGEST` samples."""
    shares = np.array(normal(weights))
    wanted: Float64[np.ndarray, "b m"] = np.arange(1, LONGEST + 1)[:, None] * shares
    exact = np.flatnonzero((np.abs(wanted - np.rint(wanted)) <= NEAR).all(axis=1))
    if len(exact):
        return np.rint(wanted[exact[0]]).astype(np.int64)
    counts = np.floor(wanted[-1]).astype(np.int64)
    counts[np.argsort(counts - wanted[-1], kind="stable")[: LONGEST - counts.sum()]] += 1
    if ((counts == 0) & (shares > 0)).any():
        raise ValueError(f"a member's weight is {shares[shares > 0].min():.2g} of the whole: it must be at least 1 in {LONGEST:,}")
    return counts


def shuffle_seed(seed: int, member: str) -> int:
    """The seed of a member's own shuffle of the corpus."""
    return rng.word(f"{seed}/{member}")


class Cycle:
    """Member `who[n % period]` makes sample n; `before[m, i]` of the first i samples of a cycle are member m's, `counts[m]` of all."""

    def __init__(self, weights: Sequence[float], key: str) -> None:
        counts = apportion(weights)
        block, blocks = int(counts.sum()), LONGEST // int(counts.sum())
        place = np.concatenate([(np.arange(c) + 0.5) / c for c in counts if c])
        even = np.repeat(np.arange(len(counts)), counts)[np.argsort(place, kind="stable")]
        turned = rng.below_each(rng.keys(0, key, 0, np.arange(blocks, dtype=np.uint64)), rng.ROTATE, 0, block)
        self.who = even[(turned[:, None] + np.arange(block)) % block].reshape(-1).astype(np.int16)
        self.period, self.counts = block * blocks, counts * blocks
        self.before = np.zeros((len(counts), self.period + 1), dtype=np.int32)
        np.cumsum(self.who == np.arange(len(counts))[:, None], axis=1, out=self.before[:, 1:])


@kernel
def _turns(n, first, last, turn, before, counts, made, who, number):  # type: ignore[no-untyped-def]
    """Whose turn the samples from `first` to `last` are, in this cycle, and their numbers."""
    period = np.uint64(len(turn))
    for i in range(len(n)):
        if first <= n[i] <= last:
            rounds = (n[i] - first) // period
            place = n[i] - first - rounds * period
            member = turn[place]
            who[i], number[i] = member, made[member] + np.uint64(before[member, place]) + rounds * np.uint64(counts[member])


#: a schedule's cycles do not depend on where its phases begin, so that trying out lengths of a run costs nothing
cycle = lru_cache(maxsize=4 * STAIRS)(Cycle)


class Turns:
    """The turns of a whole run: cycles one after another, phase i from sample `first[i]` on, the last for ever.

    Every member's own samples are numbered 0, 1, 2, … in the order of its turns.
    """

    def __init__(self, phases: Sequence[Phase], total: int | None, key: str) -> None:
        self.cycles = [cycle(phase.weights, key) for phase in phases]
        self.first = [0]
        for phase in phases[:-1]:
            if isinstance(phase.end, float) and total is None:
                raise ValueError("this mixture's schedule is in shares of a run: say how many samples the run has, mixture.over(samples)")
            assert phase.end is not None
            self.first.append(round(phase.end * total) if total is not None and isinstance(phase.end, float) else int(phase.end))
        #: samples that each member made before each phase
        self.made = [[0] * len(phases[0].weights)]
        for i, end in enumerate(self.first[1:]):
            self.made.append([self._count(i, m, end) for m in range(len(self.made[0]))])

    def _count(self, phase: int, member: int, n: int) -> int:
        """Samples of a member before sample n, which lies in this phase or at its end."""
        one = self.cycles[phase]
        rounds, place = divmod(n - self.first[phase], one.period)
        return self.made[phase][member] + rounds * int(one.counts[member]) + int(one.before[member, place])

    def count_before(self, member: int, n: int) -> int:
        """How many of the samples 0 … n-1 are a member's."""
        return self._count(bisect_right(self.first, n) - 1, member, n)

    def at(self, n: UInt64[np.ndarray, " r"]) -> tuple[Int64[np.ndarray, " r"], UInt64[np.ndarray, " r"]]:
        """The member that makes each sample, and the sample's number among that member's own."""
        who, number = np.empty(len(n), dtype=np.int64), np.empty(len(n), dtype=np.uint64)
        first, phases = [*self.first, 2**64], [0]
        if len(self.first) > 1:
            phases = np.unique(np.searchsorted(np.array(self.first, dtype=np.uint64), n, side="right") - 1).tolist()
        for p in phases:
            one, made = self.cycles[p], np.array(self.made[p], dtype=np.uint64)
            _turns(n, np.uint64(first[p]), np.uint64(first[p + 1] - 1), one.who, one.before, one.counts, made, who, number)
        return who, number
