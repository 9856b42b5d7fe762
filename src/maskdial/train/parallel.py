"""How a step's loss and gradients are computed: by one process, by DDP's equal models, or by FSDP2's shards.

Whatever the number of ranks, gradients are sums: what a loss is divided by is known, over all ranks, before the first backward
pass, so nothing is averaged afterwards (the division that DDP and FSDP2 do by default is switched off).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from maskdial.batch import Batch
from maskdial.mixture import Mixture
from maskdial.model import Losses, Model, counts, loss
from maskdial.objective import Objective
from maskdial.train import checkpoint as checkpoints
from maskdial.train.blocks import prepare
from maskdial.train.checkpoint import Checkpoint
from maskdial.train.config import LossSettings, TrainConfig
from maskdial.train.optimizer import Optimizer
from maskdial.train.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Asked:
    """A batch and how its loss is made; DDP and FSDP2 take mappings apart when they move them, and leave this alone."""

    batch: Batch
    settings: LossSettings
    divisors: Mapping[str, float]


class LossOf(nn.Module):
    """The model with its loss: the forward pass that DDP and FSDP2 wrap, since the projection is part of the loss."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, asked: Asked) -> tuple[Tensor, Losses]:
        s = asked.settings
        made = loss(self.model, asked.batch, z=s.z, smoothing=s.smoothing, smoothing_kind=s.smoothing_kind, divisors=asked.divisors)
        return made.total(), made


class Engine:
    """One process."""

    def __init__(self, model: Model, ranks: Ranks = ALONE, root: nn.Module | None = None) -> None:
        self.model, self.ranks, self.root = model, ranks, root or LossOf(model)

    def backward(self, asked: Asked, last: bool) -> Losses:
        """Add a batch's gradients; `last`: no other batch of this step follows."""
        total, made = self.root(asked)
        total.backward()
        return made

    @torch.no_grad()
    def look(self, batch: Batch) -> Losses:
        """A batch's losses alone; every rank asks the same batches."""
        made: Losses = self.root(Asked(batch.torch(self.model.device), LossSettings(), counts(batch, batch.heads, batch.body_tokens)))[1]
        return made

    def save(self, optimizer: Optimizer, folder: Path, step: int, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Write a checkpoint (`maskdial.train.checkpoint.save`): rank 0 has all of it."""
        if self.ranks.first:
            checkpoints.save(folder, step, {"model": optimizer.masters(), "optimizer": optimizer.state_dict()}, state, about)

    def restore(self, optimizer: Optimizer, found: Checkpoint, steps: int) -> None:
        """Take up a checkpoint's parameters and the optimizer's arrays; `UserError` when they are not this run's."""
        optimizer.load(found.tensors("model", optimizer.masters()), found.tensors("optimizer", optimizer.state_dict()), steps)


class Replicated(Engine):
    """DDP: equal models; gradients are summed during the last batch's backward pass.

    `search`: DDP looks up which parameters each pass used, which it must where some may be unused. It then also keeps its
    first buckets, so that sums are made in the same order before and after a resume.
    """

    def __init__(self, model: Model, ranks: Ranks, search: bool) -> None:
        from torch.nn.parallel import DistributedDataParallel

        self.ddp = DistributedDataParallel(LossOf(model), process_group=ranks.model_group, find_unused_parameters=search)
        self.ddp.register_comm_hook(ranks.model_group, lambda group, bucket: summed(group, bucket.buffer()))
        super().__init__(model, ranks, self.ddp)

    def backward(self, asked: Asked, last: bool) -> Losses:
        with nullcontext() if last else self.ddp.no_sync():
            return super().backward(asked, last)


def summed(group: Any, gradients: Tensor) -> Any:
    """DDP's exchange of a bucket of gradients: their sum."""
    from torch.distributed import all_reduce

    done: Any = all_reduce(gradients, group=group, async_op=True)
    return done.get_future().then(lambda sent: sent.value()[0])


def engine_of(
    model: Model, config: TrainConfig, precision: str, device: str, objective: Objective | Mixture, ranks: Ranks
) -> tuple[Engine, Optimizer]:
    """The model on its device, wrapped as `config.parallel` says, and what moves its parameters."""
    prepare(model, config, device)
    if ranks.several and config.parallel == "fsdp":
        from maskdial.train.sharded import Sharded, ShardedOptimizer

        sharded = Sharded(model, ranks, device, getattr(torch, precision))
        return sharded, ShardedOptimizer(model, config.optimizer, ranks)
    optimizer = Optimizer(model.to(device=device, dtype=getattr(torch, precision)), config.optimizer)
    if not ranks.several:
        return Engine(model), optimizer
    return Replicated(model, ranks, search=config.deterministic or uneven(objective) or not hasattr(model, "stack")), optimizer


def uneven(objective: Objective | Mixture) -> bool:
    """Whether some batches ask fewer heads than the model has."""
    members = objective.members.values() if isinstance(objective, Mixture) else ()
    return len({tuple(head.name for head in member.objective.heads) for member in members}) > 1
