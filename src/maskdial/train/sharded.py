"""FSDP2: every rank keeps a slice of each parameter, of its gradient and of the optimizer's arrays.

A checkpoint is written by torch's DCP, as safetensors: each rank its own files, with the names of a checkpoint of one process.
So either can be read where the other was written, by any number of ranks, and nothing is pickled.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from maskdial.batch import Batch
from maskdial.model import Losses, Model
from maskdial.train import checkpoint as checkpoints
from maskdial.train.blocks import blocks
from maskdial.train.checkpoint import Checkpoint
from maskdial.train.config import OptimizerSettings
from maskdial.train.files import sha256_of
from maskdial.train.optimizer import Group, Optimizer, orthogonalize
from maskdial.train.parallel import Engine
from maskdial.train.ranks import Ranks


class Sharded(Engine):
    """Each block and then the rest sharded, and moved to the device as slices.

    Parameters stay fp32; they are gathered in `dtype`, gradients summed in fp32.
    """

    def __init__(self, model: Model, ranks: Ranks, device: str, dtype: torch.dtype) -> None:
        super().__init__(model, ranks)
        mesh = DeviceMesh.from_group(ranks.model_group, torch.device(device).type)
        low = MixedPrecisionPolicy(param_dtype=None if dtype == torch.float32 else dtype, reduce_dtype=torch.float32,
                                   cast_forward_inputs=False)  # fmt: skip
        for module in [*blocks(model), self.root]:
            whole: Any = fully_shard(module, mesh=mesh, mp_policy=low)
            whole.set_gradient_divide_factor(1.0)
            whole.set_force_sum_reduction_for_comms(True)  # without, the factor wants an operation that only nccl has

    def look(self, batch: Batch) -> Losses:
        made, root = super().look(batch), self.root
        assert isinstance(root, FSDPModule)
        root.reshard()  # no backward pass does
        return made

    def save(self, optimizer: Optimizer, folder: Path, step: int, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Rank 0 commits what all have written."""
        met = False

        def write_slices(aside: Path | None, _: object = None) -> dict[str, Any]:
            nonlocal met
            met = True
            home = self.ranks.tell(aside)  # None: rank 0 could not make the folder, and says so afterwards
            return {} if home is None else write(home, optimizer.masters() | optimizer.state_dict(), self.ranks)

        if not self.ranks.first:
            write_slices(None)
            return
        try:
            checkpoints.save(folder, step, {}, state, about, write_slices)
        except BaseException:
            if not met:
                write_slices(None)
            raise

    def restore(self, optimizer: Optimizer, found: Checkpoint, steps: int) -> None:
        """Every rank reads its own slices."""
        read_into(found, optimizer.masters() | optimizer.state_dict(), self.ranks)
        optimizer.steps = steps


class ShardedGroup(Group):
    """One parameter: `master` [1, …] is this rank's slice of it, and the rule's arrays are slices too."""

    def gradient(self) -> Tensor:
        grad = self.parameters[0].grad
        return torch.zeros_like(self.master) if grad is None else local(grad)[None]

    def whole(self, slice_1: Tensor) -> DTensor:
        """A slice [1, …] as part of an array of the parameter's shape."""
        p: Any = self.parameters[0]
        return DTensor.from_local(slice_1[0], p.device_mesh, p.placements, shape=p.shape, stride=p.stride())


class ShardedOptimizer(Optimizer):
    """The same steps on slices. AdamW moves each number by itself; Muon needs a matrix whole: its update is gathered and every
    rank makes it orthogonal, then keeps its own slice."""

    def __init__(self, model: Model, settings: OptimizerSettings, ranks: Ranks) -> None:
        self.ranks = ranks
        super().__init__(model, settings)

    def _groups(self, model: Model) -> list[Group]:
        made: list[Group] = []
        for name, p in model.named_parameters():
            rule, master = self.rule(name, p), local(p.detach())[None]
            made.append(ShardedGroup(rule, [name], [p], master, None, *self.rates(rule), self.arrays(rule, master)))
        return made

    def _norm(self, gradients: list[Tensor]) -> Tensor:
        square = super()._norm(gradients).square()
        dist.all_reduce(square, group=self.ranks.model_group)
        return square.sqrt()

    def _direction(self, group: Group, ahead_LRC: Tensor) -> Tensor:
        assert isinstance(group, ShardedGroup)
        ahead = group.whole(ahead_LRC)
        made = orthogonalize(ahead.full_tensor()[None], self.settings.orthogonal_steps)[0].contiguous()
        return local(distribute_tensor(made, ahead.device_mesh, ahead.placements, src_data_rank=None))[None]

    def state_dict(self) -> dict[str, Tensor]:
        groups = [g for g in self.groups if isinstance(g, ShardedGroup)]
        return {f"{slot}/{g.names[0]}": g.whole(a) for g in groups for slot, a in g.state.items()}

    def masters(self) -> dict[str, Tensor]:
        return {g.names[0]: g.parameters[0].detach() for g in self.groups}


def local(x: Tensor) -> Tensor:
    """This rank's slice."""
    assert isinstance(x, DTensor)
    return x.to_local()


def write(folder: Path, arrays: Mapping[str, Tensor], ranks: Ranks) -> dict[str, Any]:
    """Write this rank's slices into `folder`; size and sha256 of all ranks' files. `OSError` on every rank when one could not."""
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    with ranks.together("writing its slices"):
        try:
            save(dict(arrays), storage_writer=writer, process_group=ranks.group)
        except CheckpointException as fault:
            raise OSError(first(fault)) from fault
        mine = {p.name: digest(p) for p in sorted(folder.glob(f"shard-{ranks.rank + 1:05d}-*"))}
    return {name: said for part in ranks.gather(mine) for name, said in part.items()}


def digest(path: Path) -> dict[str, Any]:
    """What the manifest says of a file, which is on the disk when this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return {"size": path.stat().st_size, "sha256": sha256_of(path)}


def read_into(found: Checkpoint, arrays: Mapping[str, Tensor], ranks: Ranks) -> None:
    """Fill slices from a checkpoint of any number of ranks; `UserError` when it holds others."""
    shapes = {name: tuple(about.size) for name, about in contents(found).items()}
    for name in sorted({*shapes, *arrays}):
        here, there = tuple(arrays[name].shape) if name in arrays else "absent", shapes.get(name, "absent")
        if here != there:
            raise checkpoints.foreign(f"{found.path} does not fit this run: {name} is {there} there and {here} here", found.path)
    load(dict(arrays), storage_reader=reader(found), process_group=ranks.group)


def read(found: Checkpoint, name: str) -> dict[str, Tensor]:
    """The whole arrays of a sharded checkpoint: those of the `model` or of the `optimizer` (slot/parameter)."""
    made = {key: torch.zeros(about.size, dtype=about.properties.dtype) for key, about in contents(found).items()
            if ("/" in key) == (name == "optimizer")}  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is", category=UserWarning)  # this process is one, and knows
        load(made, storage_reader=reader(found), no_dist=True)
    return made


def reader(found: Checkpoint) -> HuggingFaceStorageReader:
    return HuggingFaceStorageReader(str(found.path))


def contents(found: Checkpoint) -> dict[str, TensorStorageMetadata]:
    """What arrays a checkpoint's files hold together; `UserError` unless the manifest vouches for each file and the slices are
    whole arrays: nobody's claim about a size is believed before there are as many numbers."""
    try:
        made: Any = reader(found).read_metadata().state_dict_metadata
        whole = all(sum(math.prod(c.sizes) for c in about.chunks) == math.prod(about.size) for about in made.values())
    except Exception as fault:  # whatever a stranger's file makes the reader do
        raise checkpoints.foreign(f"{found.path} holds no arrays that can be read: {fault}", found.path) from None
    if not whole or any(p.name not in found.manifest["files"] for p in found.path.glob("*.safetensors")):
        raise checkpoints.foreign(f"the arrays in {found.path} are not whole, or not those that its manifest names", found.path)
    return dict(made)


def first(fault: CheckpointException) -> str:
    """What the first rank that failed says."""
    rank, (error, _) = min(fault.failures.items())
    return f"rank {rank}: {error}"
