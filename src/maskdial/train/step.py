"""One optimizer step over one or several batches, normalised over all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from maskdial.batch import Batch
from maskdial.model import Model, counts, loss
from maskdial.train.config import LossSettings
from maskdial.train.optimizer import Optimizer


@dataclass(frozen=True)
class Stepped:
    """What a step did: by head, Σ −log p (`plain`, on the device) and scored positions; text tokens; FLOPs; gradient norm."""

    plain: dict[str, Tensor]
    scored: dict[str, int]
    tokens: int
    flops: float
    norm: float


def gradients(model: Model, batches: Sequence[Batch], settings: LossSettings) -> tuple[dict[str, Tensor], dict[str, int], float]:
    """Backward of Σ sum / Σ count over all batches (exact accumulation): plain sums and scored positions by head, FLOPs."""
    divisors: dict[str, float] = {}
    for batch in batches:
        for head, count in counts(batch, batch.heads, batch.body_tokens).items():
            divisors[head] = divisors.get(head, 0.0) + count
    plain: dict[str, Tensor] = {}
    scored: dict[str, int] = {}
    flops = 0.0
    for batch in batches:
        made = loss(model, batch.torch(model.device), z=settings.z, smoothing=settings.smoothing, divisors=divisors)
        made.total().backward()  # type: ignore[no-untyped-call]
        flops += model.flops(batch, sum(made.scored.values()))
        for head, value in made.plain.items():
            plain[head] = plain[head] + value.detach() if head in plain else value.detach()
            scored[head] = scored.get(head, 0) + made.scored[head]
    return plain, scored, flops


def step(model: Model, optimizer: Optimizer, batches: Sequence[Batch], factor: float, settings: LossSettings) -> Stepped:
    """Gradients, clipping, update. A gradient that is not finite leaves the parameters as they were (`norm` says so)."""
    plain, scored, flops = gradients(model, batches, settings)
    norm = optimizer.step(factor)
    optimizer.clear()
    return Stepped(plain, scored, sum(b.body_tokens for b in batches), flops, float(torch.as_tensor(norm)))
