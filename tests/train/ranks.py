"""Several ranks without a launcher: `python -m tests.train.ranks FOLDER SCENARIO…` forks each scenario's processes.

torch is imported once; every process then gets what torchrun would tell it. What a rank says goes to FOLDER/SCENARIO.RANK.txt; a line
on stdout gives the ranks' exit statuses (negative: the signal that killed it).
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import maskdial as md
from maskdial.errors import UserError
from maskdial.train import checkpoint, started, train
from maskdial.train.feed import Feed
from maskdial.train.loop import Loop
from tests.train.helpers import FakeCorpus, config

OBJECTIVES = ("gpt", "bert", "t5", "electra")
STEPS, ROWS = 20, 5
#: Seconds after which a scenario is ended, and those that a rank waits for another where one never answers.
LONGEST, SHORT = 400.0, 6.0
MARK = 6


def objective(name: str) -> Any:
    """A recipe, or a mixture whose members ask different heads in rows of different lengths."""
    if name != "mixed":
        return md.objective(name)
    return md.mixture({n: (md.objective(n), w) for n, w in (("gpt", 2), ("bert", 1), ("mtp", 1))}, mode_tokens=False)


def run(folder: Path, label: str, name: str = "gpt", resume: str = "auto", **changes: Any) -> Any:
    """A run of a few steps in FOLDER/LABEL."""
    usual = {"budget": f"{STEPS}steps", "rows": ROWS, "timeout": 60, "log_every": 5, "checkpoint__every": 10,
             "evaluate__every": 8 if name == "gpt" else None, "evaluate__samples": 6}  # fmt: skip
    settings = config(**usual | changes)
    return train(settings, objective(name), FakeCorpus(), folder / label, resume=resume, progress="off")


def one(folder: Path, rank: int) -> None:
    """Every objective in one process."""
    for name in (*OBJECTIVES, "mixed"):
        run(folder, f"{name}-one", name)
    run(folder, "bf16-one", precision="bf16", budget="6steps")


def two(folder: Path, rank: int) -> None:
    """Every objective in every way two ranks can; what one process began, gone on with."""
    with started("cpu", 60):
        for name in OBJECTIVES:
            run(folder, f"{name}-ddp", name, parallel="ddp", accumulate=2, activation_checkpointing=name == "bert")
            run(folder, f"{name}-fsdp", name, parallel="fsdp", activation_checkpointing=name == "t5")
        for name, parallel in (("electra", "fsdp"), ("gpt", "ddp")):
            run(folder, f"{name}-on-{parallel}", name, str(folder / f"{name}-one" / "checkpoints" / "step-10"), parallel=parallel)
        for parallel in ("ddp", "fsdp"):
            run(folder, f"bf16-{parallel}", precision="bf16", budget="6steps", parallel=parallel)


def faulty(folder: Path, label: str, **changes: Any) -> Any:
    return run(folder, label, **{"budget": "14steps", "rows": 4, "checkpoint__every": 4, "log_every": 1} | changes)


def disk(way: str) -> Callable[[Path, int], None]:
    """The disk of the rank that writes step 8 is full: of the first rank, or of the second where both write."""

    def full(folder: Path, rank: int) -> None:
        if way == "fsdp" and rank == 1:
            from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter as Writer

            write = Writer.write_data
            Writer.write_data = lambda self, *given: refuse(self.path) or write(self, *given)  # type: ignore[assignment]
        elif way != "fsdp":
            arrays = checkpoint.write_arrays
            checkpoint.write_arrays = lambda path, held: refuse(path) or arrays(path, held)  # type: ignore[assignment]
        faulty(folder, f"disk-{way}", parallel=way)

    return full


def refuse(path: Any) -> None:
    if "step-8" in str(path):
        raise OSError(28, "No space left on device")


def after(step: int, act: Callable[[], Any]) -> None:
    """From now on every run of this process does something after that step."""
    log = Loop._log

    def logged(self: Loop) -> None:
        log(self)
        if self.state.step == step:
            act()

    Loop._log = logged  # type: ignore[method-assign]


def at_mark(act: Callable[[int], Any], label: str, **changes: Any) -> Callable[[Path, int], None]:
    """A run in which every rank does something after step `MARK`."""

    def begin(folder: Path, rank: int) -> None:
        after(MARK, lambda: act(rank))
        faulty(folder, label, **changes)

    return begin


def tell(rank: int, number: int, whom: tuple[int, ...] = (1,)) -> None:
    if rank in whom:
        os.kill(os.getpid(), number)


def out_of_memory(rank: int) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate more than there is")

    if rank == 1:
        Loop._step.__globals__["step"] = full


def damaged(folder: Path, rank: int) -> None:
    """The second rank can't read the text of step 7."""
    batch = Feed.batch

    def unreadable(self: Feed, first: int, count: int, epoch: int) -> Any:
        if rank == 1 and first == 26:
            raise UserError("shard-00000.bin is damaged", exit=1)
        return batch(self, first, count, epoch)

    Feed.batch = unreadable  # type: ignore[method-assign]
    faulty(folder, "damaged")


def unloadable(folder: Path, rank: int) -> None:
    """The second rank can't read the checkpoint."""
    if rank == 1:
        checkpoint.Checkpoint.tensors = refuse_all  # type: ignore[method-assign,assignment]
    faulty(folder, "disk-ddp", parallel="ddp")


def refuse_all(*_: Any) -> Any:
    raise UserError("not on my disk", exit=1)


def clock(folder: Path, rank: int) -> None:
    """A time budget: rank 1 is much slower, and both must stop at the same step."""
    if rank == 1:
        batch = Feed.batch
        Feed.batch = lambda *given: time.sleep(0.02) or batch(*given)  # type: ignore[method-assign,assignment,func-returns-value]
    print(run(folder, "clock", budget="0.6s").steps)


def stage(stop: int, label: str, name: str = "mixed", **changes: Any) -> Callable[[Path, int], None]:
    """One of several launches of a run, each with other ranks; ended after so many steps (0: at its end)."""

    def begin(folder: Path, rank: int) -> None:
        after(stop, lambda: tell(rank, signal.SIGTERM, (0,)))
        run(folder, label, name, **changes)

    return begin


SCENARIOS: dict[str, tuple[int, Callable[[Path, int], None]]] = {
    "one": (1, one), "two": (2, two), "disk-ddp": (2, disk("ddp")), "disk-fsdp": (2, disk("fsdp")), "unloadable": (2, unloadable),
    "damaged": (2, damaged), "clock": (2, clock),
    "term": (2, at_mark(lambda rank: tell(rank, signal.SIGTERM), "term", parallel="fsdp")),
    "interrupt": (2, at_mark(lambda rank: [tell(rank, signal.SIGINT, (0, 1)) for _ in range(2)] and None, "interrupt")),
    "killed": (2, at_mark(lambda rank: tell(rank, signal.SIGKILL), "killed")),
    "memory": (2, at_mark(out_of_memory, "memory")),
    "elastic-1": (1, stage(6, "elastic")), "elastic-2": (2, stage(13, "elastic", parallel="fsdp", accumulate=2)),
    "elastic-4": (4, stage(0, "elastic", accumulate=4)),
    "hung": (2, at_mark(lambda rank: tell(rank, signal.SIGSTOP), "hung", timeout=SHORT)),
}  # fmt: skip
#: long proofs: a run launched again and again, each time with other ranks, parts and ways; and --deterministic on three ranks
LAUNCHES = [(1, "ddp", 1), (2, "fsdp", 2), (3, "ddp", 4), (4, "fsdp", 1), (2, "ddp", 4), (3, "fsdp", 2), (4, "ddp", 2)]
for number, (ranks, way, parts) in enumerate(LAUNCHES, 1):
    until = 0 if number == len(LAUNCHES) else 3 * number
    for recipe in ("mixed", "t5"):
        SCENARIOS[f"long-{recipe}-{number}"] = (ranks, stage(until, f"long-{recipe}", recipe, parallel=way, accumulate=parts))
for way in ("ddp", "fsdp"):
    for number, until in enumerate((0, 6, 0)):
        label = f"exact-{way}-{'whole' if not number else 'cut'}"
        SCENARIOS[f"exact-{way}-{number}"] = (3, stage(until, label, "bert", parallel=way, deterministic=True, checkpoint__every=3))


def fork(name: str, folder: Path) -> list[int]:
    """Run a scenario's processes to their ends; a stopped one is killed when the others have ended."""
    world, act = SCENARIOS[name]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [os.fork() or child(name, act, rank, world, port, folder) for rank in range(world)]
    left, ends, until = dict(enumerate(children)), dict[int, int](), time.monotonic() + LONGEST
    while left:
        for rank, pid in list(left.items()):
            done, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
            if done and not os.WIFSTOPPED(status):
                ends[rank] = os.waitstatus_to_exitcode(status)
                del left[rank]
            elif time.monotonic() > until or (name == "hung" and len(left) == 1):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return [ends[rank] for rank in range(world)]


def child(name: str, act: Callable[[Path, int], None], rank: int, world: int, port: int, folder: Path) -> int:
    """This process as one rank; it ends here as the command line would."""
    status = 0
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": str(port)}  # fmt: skip
    with (folder / f"{name}.{rank}.txt").open("w") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        try:
            act(folder, rank)
        except UserError as error:
            print(error.message, flush=True)
            status = error.exit
        except BaseException as error:
            traceback.print_exception(error)
            status = 99
        sys.stdout.flush()
    os._exit(status)


def warm() -> None:
    """What every process needs, once: imports and compiled kernels."""
    for module in ("maskdial.train.sharded", "torch._dynamo", "torch.utils.checkpoint"):
        importlib.import_module(module)
    corpus = FakeCorpus()
    for name in ("gpt", "bert", "t5", "electra", "mtp"):
        recipe = md.objective(name)
        Feed(recipe, corpus, recipe.room(32, vocab=corpus.vocab).raw, seed=0, packing="joined").batches(0, 2)


if __name__ == "__main__":
    torch.set_num_threads(1)
    warm()
    for scenario in sys.argv[2:]:
        begun = time.monotonic()
        statuses = fork(scenario, Path(sys.argv[1]))
        print(json.dumps({"scenario": scenario, "status": statuses, "seconds": round(time.monotonic() - begun, 1)}), flush=True)
