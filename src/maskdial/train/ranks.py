"""The processes that train one model together, as torchrun starts them, and how they come to one decision.

Gradients and parameters travel by torch's own means (`maskdial.train.parallel`). What is said beside them (which checkpoint, a
signal, a full disk, what a loss is divided by) goes over a gloo group of its own with a timeout: a rank that fails, hangs or is
killed ends the others within it, each with a message. One process has nobody to ask and imports nothing for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch

from maskdial.errors import UserError

T = TypeVar("T")

#: What a launcher says to each process; a lone WORLD_SIZE may belong to something else.
HINT = "if it lost another rank, that one says why; the same command goes on from the newest checkpoint"
LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Ranks:
    """This process among `world` ones: its `rank`, and `local`, its number on this machine.

    `group` carries agreement, `model_group` what DDP and FSDP2 send. Every method but `device` is called by all ranks together.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    group: Any = None
    model_group: Any = None

    @property
    def several(self) -> bool:
        return self.world > 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes and speaks."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this rank for a run on `name` (cpu, cuda)."""
        return f"{name}:{self.local}" if self.several and name == "cuda" else name

    def tell(self, value: T) -> T:
        """Rank 0's value, everywhere."""
        if not self.several:
            return value
        from torch.distributed import broadcast_object_list

        held = [value if self.first else None]
        self._talk(lambda: broadcast_object_list(held, group=self.group, group_src=0))
        return held[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in their order, everywhere."""
        if not self.several:
            return [value]
        from torch.distributed import all_gather_object

        held: list[Any] = [None] * self.world
        self._talk(lambda: all_gather_object(held, value, group=self.group))
        return held

    def sum(self, values: Mapping[str, float]) -> dict[str, float]:
        """Sums over ranks by name; all give the same names."""
        from torch.distributed import ReduceOp

        names = sorted(values)
        return dict(zip(names, self._reduce([values[n] for n in names], ReduceOp.SUM), strict=True)) if self.several else dict(values)

    def largest(self, value: float) -> float:
        """The largest of the ranks' values."""
        from torch.distributed import ReduceOp

        return self._reduce([value], ReduceOp.MAX)[0] if self.several else value

    @contextmanager
    def together(self, doing: str) -> Iterator[None]:
        """All ranks get through the block, or none goes on: where one fails, the others raise a `UserError` that quotes it."""
        fault: Exception | None = None
        try:
            yield
        except Exception as error:
            if not self.several or getattr(error, "code", "") == "ranks.lost":
                raise
            fault = error
        if not self.largest(fault is not None):
            return
        told = self.gather(None if fault is None else (getattr(fault, "message", "") or f"{type(fault).__name__}: {fault}",
                                                       getattr(fault, "exit", 1)))  # fmt: skip
        if fault is not None:
            raise fault
        rank, (message, status) = next((r, said) for r, said in enumerate(told) if said is not None)
        raise UserError(f"rank {self.rank} ends because rank {rank} failed {doing}: {message}", code="ranks.failed", exit=status)

    @contextmanager
    def named(self, doing: str) -> Iterator[None]:
        """A failure of torch inside the block says which of several ranks it was (one that loses another rank fails here too)."""
        try:
            yield
        except RuntimeError as fault:
            if not self.several:
                raise
            raise UserError(f"rank {self.rank} failed in {doing}: {type(fault).__name__}: {str(fault).splitlines()[0][:200]}",
                            hint=HINT, code="ranks.failed", exit=1) from fault  # fmt: skip

    def first_before_others(self, make: Callable[[], T], doing: str) -> T:
        """What `make` returns here; the others call it when rank 0 has, so that they find what it stored."""
        made: list[T] = []
        for turn in (True, False) if self.several else (True,):
            with self.together(doing):
                if self.first == turn:
                    made.append(make())
        return made[0]

    def _reduce(self, values: list[float], how: Any) -> list[float]:
        from torch.distributed import all_reduce

        held = torch.tensor(values, dtype=torch.float64)
        if values:
            self._talk(lambda: all_reduce(held, how, group=self.group))
        return held.tolist()

    def _talk(self, exchange: Callable[[], object]) -> None:
        try:
            exchange()
        except RuntimeError as fault:
            raise UserError(f"rank {self.rank} ends because another rank ended or no longer answers "
                            f"({str(fault).splitlines()[0][:200]})", hint=HINT, code="ranks.lost", exit=1) from fault  # fmt: skip


#: The only rank.
ALONE = Ranks()


def launched() -> bool:
    """Whether torchrun, or something like it, started this process."""
    return all(name in os.environ for name in LAUNCHED)


@contextmanager
def started(device: str, timeout: float) -> Iterator[Ranks]:
    """The ranks of this process's launcher (torchrun), connected for the block; `ALONE` without one.

    device: the run's (cpu or cuda). timeout: seconds that a rank waits for the others before it gives up. Groups that the
    program has made already are used and left.
    """
    world = int(os.environ["WORLD_SIZE"]) if launched() else 1
    if world == 1:
        yield ALONE
        return
    from torch import distributed as dist

    local, wait, own = int(os.environ["LOCAL_RANK"]), timedelta(seconds=timeout), not dist.is_initialized()
    if device != "cpu":
        _own_gpu(device, local)
    try:
        if own:
            here = torch.device(device, local) if device != "cpu" else None
            dist.init_process_group("gloo" if device == "cpu" else "nccl", timeout=wait, device_id=here)
        group = dist.new_group(backend="gloo", timeout=wait)
    except RuntimeError as fault:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise UserError(f"rank {os.environ['RANK']} could not reach the others at {where}: {str(fault).splitlines()[0][:200]}",
                        code="ranks.lost", exit=1) from fault  # fmt: skip
    yield Ranks(dist.get_rank(), world, local, group, dist.group.WORLD)
    if own:  # not after a fault: waiting for ranks that are gone could take for ever
        dist.destroy_process_group()


def _own_gpu(device: str, local: int) -> None:
    """Make this rank's GPU the current one; `UserError` where it has none of its own."""
    if ":" in device:
        raise UserError(f"several processes can't share {device}", hint="write device=cuda: each takes the GPU of its own number",
                        code="ranks.device", where="device")  # fmt: skip
    if local >= torch.cuda.device_count():
        raise UserError(f"process {local} of this machine has no GPU: there are {torch.cuda.device_count()}", code="ranks.device",
                        hint="start as many as there are: torchrun --nproc-per-node gpu …", where="device")  # fmt: skip
    torch.cuda.set_device(local)
