"""One optimizer step over one or several batches, normalised over all of them and over all ranks together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from maskdial.batch import Batch
from maskdial.model import Model, counts
from maskdial.train.config import LossSettings
from maskdial.train.feed import Silent
from maskdial.train.optimizer import Optimizer
from maskdial.train.parallel import Asked, Engine
from maskdial.train.ranks import Ranks


@dataclass(frozen=True)
class Stepped:
    """What a step did: by head, Σ −log p (`plain`, on the device) and scored positions; text tokens; FLOPs; gradient norm.

    `by_member` holds the first head's sum and count of each member of a mixture.
    """

    plain: dict[str, Tensor]
    scored: dict[str, int]
    tokens: int
    flops: float
    norm: float
    by_member: dict[str, tuple[Tensor, int]] = field(default_factory=dict)


def gradients(
    model: Model, batches: Sequence[Batch], settings: LossSettings, by_member: dict[str, tuple[Tensor, int]] | None = None,
    engine: Engine | None = None,
) -> tuple[dict[str, Tensor], dict[str, int], float]:  # fmt: skip
    """Backward of Σ sum / Σ count over all batches of all ranks (exact accumulation): this rank's plain sums and scored positions
    by head, and FLOPs.

    `by_member` is filled with the first head's of each member of a mixture.
    """
    engine = engine or Engine(model)
    divisors: dict[str, float] = {}
    for batch in batches:
        for head, count in counts(batch, batch.heads, batch.body_tokens).items():
            divisors[head] = divisors.get(head, 0.0) + (0.0 if isinstance(batch, Silent) else count)
    divisors = engine.ranks.sum(divisors)
    plain: dict[str, Tensor] = {}
    scored: dict[str, int] = {}
    flops = 0.0
    for number, batch in enumerate(batches, 1):
        made = engine.backward(Asked(batch.torch(model.device), settings, divisors), last=number == len(batches))
        flops += 0.0 if isinstance(batch, Silent) else model.flops(batch, made.scored)
        for head, value in made.plain.items():
            plain[head] = plain[head] + value.detach() if head in plain else value.detach()
            scored[head] = scored.get(head, 0) + made.scored[head]
        if by_member is not None and batch.member is not None:
            value, count = made.plain[batch.heads[0].name].detach(), made.scored[batch.heads[0].name]
            before, earlier = by_member.get(batch.member, (torch.zeros_like(value), 0))
            by_member[batch.member] = (before + value, earlier + count)
    return plain, scored, flops


def step(
    model: Model, optimizer: Optimizer, batches: Sequence[Batch], factor: float, settings: LossSettings, engine: Engine | None = None
) -> Stepped:
    """Gradients, clipping, update. A gradient that is not finite leaves the parameters as they were (`norm` says so).

    With several ranks the numbers are those of all of them.
    """
    engine, by_member = engine or Engine(model), dict[str, tuple[Tensor, int]]()
    plain, scored, flops = gradients(model, batches, settings, by_member, engine)
    norm = optimizer.step(factor)
    optimizer.clear()
    done = Stepped(plain, scored, sum(b.body_tokens for b in batches), flops, float(torch.as_tensor(norm)), by_member)
    return totals(done, engine.ranks) if engine.ranks.several else done


def totals(one: Stepped, ranks: Ranks) -> Stepped:
    """What all ranks did; they ran the same sorts of batches, so that they have the same names."""
    pairs = {("", head): (value, one.scored[head]) for head, value in one.plain.items()}
    pairs |= {("member", name): pair for name, pair in one.by_member.items()}
    sums = ranks.sum({f"sum {kind}:{name}": float(value) for (kind, name), (value, _) in pairs.items()}
                     | {f"count {kind}:{name}": count for (kind, name), (_, count) in pairs.items()}
                     | {"tokens": one.tokens, "flops": one.flops})  # fmt: skip

    def all_of(kind: str, name: str) -> tuple[Tensor, int]:
        return torch.tensor(sums[f"sum {kind}:{name}"], dtype=torch.float64), int(sums[f"count {kind}:{name}"])

    heads = {head: all_of("", head) for head in one.plain}
    return Stepped({h: value for h, (value, _) in heads.items()}, {h: count for h, (_, count) in heads.items()}, int(sums["tokens"]),
                   sums["flops"], one.norm, {name: all_of("member", name) for name in one.by_member})  # fmt: skip
