"""Which samples a step of a mixture sees: each member feeds its own, in its own room, windows and shuffle.

Sample n of the run is sample `count_before(member, n)` of the member whose turn it is, so the members need no state beyond n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from maskdial.batch import Batch
from maskdial.errors import UserError
from maskdial.mixture import Mixture
from maskdial.mixture.schedule import shuffle_seed
from maskdial.objective import Objective
from maskdial.sample import Rows
from maskdial.train.budget import Budget
from maskdial.train.config import TrainConfig
from maskdial.train.feed import Feed, Piece, cuts


class Shuffled:
    """A corpus in a member's own shuffle: members with equal rooms must not read the same windows side by side."""

    def __init__(self, corpus: Any, member: str) -> None:
        self.corpus, self.member, self.vocab, self.epoch_of = corpus, member, corpus.vocab, corpus.epoch_of

    def rows(self, *given: Any, seed: int, **settings: Any) -> Rows:
        made: Rows = self.corpus.rows(*given, seed=shuffle_seed(seed, self.member), **settings)
        return made


class MixedFeed:
    """`batches(first, count)` are samples first … first + count − 1 as numpy batches, one rectangle a member (and epoch)."""

    def __init__(self, mixture: Mixture, corpus: Any, length: int, *, seed: int, packing: str, part: str = "train") -> None:
        self.mixture = mixture
        self.feeds = {
            name: Feed(mixture.member(name, corpus.vocab), Shuffled(corpus, name), room.raw, seed=seed, packing=packing, part=part)
            for name, room in mixture.rooms(length, vocab=corpus.vocab).items()
        }

    def batches(self, first: int, count: int, parts: int = 1) -> list[Batch]:
        """The samples in at least `parts` batches (accumulation), each of one member: its name is `batch.member`."""
        return [self.make(piece) for piece in self.pieces(first, count, parts)]

    def pieces(self, first: int, count: int, parts: int = 1) -> list[Piece]:
        return [piece for at, n in cuts(first, count, parts) for name in self.feeds for piece in self._own(name, at, at + n)]

    def make(self, piece: Piece) -> Batch:
        made = self.feeds[str(piece.member)].make(piece)
        made.member = piece.member
        return made

    def one(self, first: int) -> Sequence[Piece]:
        own = ((name, self.mixture.count_before(name, first)) for name in self.feeds)
        return [replace(piece, member=name) for name, at in own for piece in self.feeds[name].pieces(at, 1)]

    def _own(self, name: str, first: int, end: int) -> list[Piece]:
        """The pieces of a member's samples among first … end − 1."""
        own, after = (self.mixture.count_before(name, n) for n in (first, end))
        return [replace(piece, member=name) for piece in self.feeds[name].pieces(own, after - own)]


def feed_of(objective: Objective | Mixture, corpus: Any, raw: int, config: TrainConfig, steps: int | None) -> Feed | MixedFeed:
    """What feeds a run of so many steps (None: not known yet)."""
    if not isinstance(objective, Mixture):
        return Feed(objective, corpus, raw, seed=config.seed, packing=config.packing)
    in_run = objective if steps is None else objective.over(steps * config.rows)
    return MixedFeed(in_run, corpus, config.length, seed=config.seed, packing=config.packing)


def mixed_steps(asked: Budget, config: TrainConfig, feed: MixedFeed, flops: Callable[[Feed], float]) -> int | None:
    """Steps that fill a budget with a mixture; None for time. `flops` measures a step's FLOPs with one member's feed.

    Members cost differently and a schedule changes how often each has its turn, so the steps are searched for.
    """
    mixture = feed.mixture
    if mixture.length not in (None, config.length):
        raise UserError(f"this mixture's weights were converted for rows of {mixture.length} positions, but length={config.length}",
                        hint=f"mix it with length={config.length}", code="config.mixture", where="length")  # fmt: skip
    if asked.kind == "time":
        if mixture.in_shares:
            raise UserError("a schedule in shares of the run needs a budget that says how long the run is, not a time",
                            hint="for example --budget 2Mtok or 1000steps; or give the schedule in samples",
                            code="config.budget", where="budget")  # fmt: skip
        return None
    if asked.kind == "steps":
        return asked.steps(1, 1.0)
    costs = {name: one.tokens_a_row() if asked.kind == "tokens" else flops(one) / config.rows for name, one in feed.feeds.items()}

    def spent(steps: int) -> float:
        samples = steps * config.rows
        return sum(cost * mixture.over(samples).count_before(name, samples) for name, cost in costs.items())

    most = 1
    while spent(most) < asked.amount:
        most *= 2
    return 1 + bisect_left(range(1, most + 1), asked.amount, key=spent)
