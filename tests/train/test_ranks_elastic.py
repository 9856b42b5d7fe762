"""Any number of ranks and parts of a step: the same rows, the same noise, the same gradients; changed whenever one likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

import maskdial as md
from maskdial.batch import Batch
from maskdial.model import Model, build, counts
from maskdial.train import TrainConfig
from maskdial.train.config import LossSettings
from maskdial.train.feed import Feed, Feeding, Silent, share, silent
from maskdial.train.mixed_feed import MixedFeed
from maskdial.train.parallel import Engine
from maskdial.train.ranks import Ranks
from maskdial.train.step import gradients
from tests.model import helpers as small
from tests.train.helpers import FakeCorpus

FORMS = ["next-sentence", "span-boundary", "multi-token-reach-0", "multi-token-reach-1", "electra-generator", "electra-discriminator",
         "xlnet", "glm", "block-diffusion", "fim-spm"]  # fmt: skip
WORLDS, PARTS = (1, 2, 3, 4, 8), (1, 2, 4)


@dataclass(frozen=True)
class Told(Ranks):
    """A rank whose others have been asked already."""

    totals: Mapping[str, float] = field(default_factory=dict)

    def sum(self, values: Mapping[str, float]) -> dict[str, float]:
        assert set(values) == set(self.totals), "all ranks ask the same heads"
        return dict(self.totals)


def feed_of(name: str) -> tuple[Feeding, Any]:
    """A recipe or a mixture of members with other rooms and heads, over a corpus of 11 windows."""
    corpus = FakeCorpus(11, size=small.V)
    if name != "mixed":
        objective = md.objective(name)
        return Feed(objective, corpus, objective.room(32, vocab=corpus.vocab).raw, seed=2, packing="joined"), objective
    members: Any = {n: (md.objective(n), w) for n, w in (("gpt", 3), ("bert", 2), ("mtp", 2), ("prefix-lm", 1))}
    mixture = md.mixture(members, mode_tokens=False)
    return MixedFeed(mixture, corpus, 32, seed=2, packing="joined"), mixture


def model_for(objective: Any) -> Model:
    made = TrainConfig().with_overrides({"model.d": 16, "model.layers": 2, "model.heads": 2, "model.ffn": 48, "model.generator": 0.5})
    return build(made.model_settings(small.V, objective.layout, objective.heads), seed=0)


def rows_of(batches: list[Batch]) -> dict[tuple[Any, int], bytes]:
    """What each sample reads and is asked."""
    return {(b.member, int(n)): b"".join(v[row].tobytes() for v in b.values()) for b in batches if not isinstance(b, Silent)
            for row, n in enumerate(b.index)}  # fmt: skip


def of_all(feed: Feeding, first: int, count: int, world: int, parts: int) -> list[list[Batch]]:
    return [share(feed, first, count, parts, Ranks(rank, world)) for rank in range(world)]


def added(model: Model, by_rank: list[list[Batch]]) -> tuple[dict[str, float], dict[str, int], dict[str, torch.Tensor]]:
    """Losses, scored positions and gradients of all ranks' parts, added up in one model."""
    totals: dict[str, float] = {}
    for batch in (b for batches in by_rank for b in batches):
        for head, count in counts(batch, batch.heads, batch.body_tokens).items():
            totals[head] = totals.get(head, 0.0) + (0.0 if isinstance(batch, Silent) else count)
    model.zero_grad()
    plain: dict[str, float] = {}
    scored: dict[str, int] = {}
    for rank, batches in enumerate(by_rank):
        found = gradients(model, batches, LossSettings(), engine=Engine(model, Told(rank, len(by_rank), totals=totals)))
        for head, value in found[0].items():
            plain[head], scored[head] = plain.get(head, 0.0) + float(value), scored.get(head, 0) + found[1][head]
    return plain, scored, {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("name", ["gpt", "bert", "t5", "electra", "mixed"])
def test_any_world_and_accumulation_give_the_same_gradients(name: str) -> None:
    """A step over the end of an epoch, of a number of rows that no number of ranks divides."""
    feed, objective = feed_of(name)
    model = model_for(objective)
    wanted = added(model, [feed_of(name)[0].batches(8, 7)])  # type: ignore[attr-defined]
    for world, parts in product(WORLDS, PARTS) if name == "mixed" else [(2, 1), (3, 4), (4, 2), (8, 1)]:
        by_rank = of_all(feed, 8, 7, world, parts)
        assert len({tuple((b.member, b.heads) for b in batches) for batches in by_rank}) == 1, "all ranks run the same sorts of batches"
        plain, scored, found = added(model, by_rank)
        assert scored == wanted[1]
        assert plain == pytest.approx(wanted[0], rel=1e-6)
        for key, value in wanted[2].items():
            torch.testing.assert_close(found[key], value, rtol=1e-6, atol=1e-6)  # float32 cannot tell 8 from 8.0000003


def worlds(steps: int) -> Iterator[tuple[int, int]]:
    """Another number of ranks and of parts each step."""
    for n in range(steps):
        yield WORLDS[n % len(WORLDS)], PARTS[n % len(PARTS)]


@pytest.mark.parametrize("name", ["t5", "mixed"])
def test_a_run_whose_world_changes_every_step_sees_each_sample_once(name: str) -> None:
    feed, whole = feed_of(name)[0], dict[tuple[Any, int], bytes]()
    for step, (world, parts) in enumerate(worlds(9)):
        for batches in of_all(feed, 7 * step, 7, world, parts):
            seen = rows_of(batches)
            assert not set(seen) & set(whole), "no sample twice"
            whole |= seen
    assert whole == rows_of(feed_of(name)[0].batches(0, 63))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", FORMS)
def test_a_silent_batch_asks_nothing_of_the_same_parameters(name: str) -> None:
    one = small.handmade(name)
    batch, model = one.batch(), small.model_of(one)
    hushed = silent(batch)
    totals = dict.fromkeys((h.name for h in batch.heads), 3.0)
    engine = Engine(model, Told(0, 2, totals=totals))
    gradients(model, [batch], LossSettings(), engine=engine)
    touched = {n for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    plain, scored, flops = gradients(model, [hushed], LossSettings(), engine=engine)
    assert {n: float(p.grad.abs().max()) for n, p in model.named_parameters() if p.grad is not None} == dict.fromkeys(touched, 0.0)
    assert (set(map(float, plain.values())), set(scored.values()), flops, hushed.body_tokens) == ({0.0}, {0}, 0.0, 0)
    name = next(key for key in batch if key.startswith("target:"))
    assert not np.shares_memory(hushed[name], batch[name])


def test_more_ranks_than_rows_leaves_some_with_nothing() -> None:
    feed = feed_of("bert")[0]
    by_rank = of_all(feed, 0, 3, 8, 4)
    assert sum(isinstance(b, Silent) for batches in by_rank for b in batches) == 5
    assert sum(len(b["read"]) for batches in by_rank for b in batches if not isinstance(b, Silent)) == 3
