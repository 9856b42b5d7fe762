"""One optimizer step over one or several batches, normalised over all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from maskdial.batch import Batch
from maskdial.model import Model, counts, loss
from maskdial.train.config import LossSettings
from maskdial.train.optimizer import Optimizer


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
    model: Model, batches: Sequence[Batch], settings: LossSettings, by_member: dict[str, tuple[Tensor, int]] | None = None
) -> tuple[dict[str, Tensor], dict[str, int], float]:
    """Backward of Σ sum / Σ count over all batches (exact accumulation): plain sums and scored positions by head, FLOPs.

    `by_member` is filled with the first head's of each member of a mixture.
    """
    divisors: dict[str, float] = {}
    for batch in batches:
        for head, count in counts(batch, batch.heads, batch.body_tokens).items():
            divisors[head] = divisors.get(head, 0.0) + count
    plain: dict[str, Tensor] = {}
    scored: dict[str, int] = {}
    flops = 0.0
    for batch in batches:
        made = loss(model, batch.torch(model.device), z=settings.z, smoothing=settings.smoothing,
                    smoothing_kind=settings.smoothing_kind, divisors=divisors)  # fmt: skip
        made.total().backward()  # type: ignore[no-untyped-call]
        flops += model.flops(batch, made.scored)
        for head, value in made.plain.items():
            plain[head] = plain[head] + value.detach() if head in plain else value.detach()
            scored[head] = scored.get(head, 0) + made.scored[head]
        if by_member is not None and batch.member is not None:
            value, count = made.plain[batch.heads[0].name].detach(), made.scored[batch.heads[0].name]
            before, earlier = by_member.get(batch.member, (torch.zeros_like(value), 0))
            by_member[batch.member] = (before + value, earlier + count)
    return plain, scored, flops


def step(model: Model, optimizer: Optimizer, batches: Sequence[Batch], factor: float, settings: LossSettings) -> Stepped:
    """Gradients, clipping, update. A gradient that is not finite leaves the parameters as they were (`norm` says so)."""
    by_member: dict[str, tuple[Tensor, int]] = {}
    plain, scored, flops = gradients(model, batches, settings, by_member)
    norm = optimizer.step(factor)
    optimizer.clear()
    return Stepped(plain, scored, sum(b.body_tokens for b in batches), flops, float(torch.as_tensor(norm)), by_member)
