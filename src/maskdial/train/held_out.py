"""Held-out text: an objective's own questions about documents that training never reads, the same ones at every look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from maskdial.batch import Batch
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.train.feed import Feed
from maskdial.train.mixed_feed import MixedFeed
from maskdial.train.parallel import Engine


def batches(objective: Objective | Mixture, corpus: Any, length: int, samples: int, packing: str, rows: int) -> list[Batch]:
    """The first `samples` held-out samples, about `rows` a batch, in the objective's own rooms and under fixed noise."""
    parts = max(1, samples // rows)
    if isinstance(objective, Mixture):
        in_run = objective.over(samples) if objective.in_shares else objective
        return MixedFeed(in_run, corpus, length, seed=0, packing=packing, part="held_out").batches(0, samples, parts)
    raw = objective.room(length, vocab=corpus.vocab).raw
    return Feed(objective, corpus, raw, seed=0, packing=packing, part="held_out").batches(0, samples, parts)


def losses(engine: Engine, made: Iterable[Batch]) -> tuple[dict[str, float | None], dict[str, int]]:
    """By head, as the training log counts them: nats a scored position (None where nothing is asked), and scored positions."""
    sums: dict[str, float] = {}
    scored: dict[str, int] = {}
    was = engine.model.training
    engine.model.eval()
    for batch in made:
        found = engine.look(batch)
        for head, value in found.plain.items():
            sums[head] = sums.get(head, 0.0) + float(value)
            scored[head] = scored.get(head, 0) + found.scored[head]
    engine.model.train(was)
    return {head: sums[head] / n if n else None for head, n in scored.items()}, scored
