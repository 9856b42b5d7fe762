"""What is noted beside the training: speed, steps out of the ordinary, held-out loss. None of it decides a number of the run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import torch

from maskdial.batch import Batch
from maskdial.errors import UserError
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.train.config import TrainConfig
from maskdial.train.events import Events
from maskdial.train.folder import TENSORBOARD, Folder
from maskdial.train.held_out import batches, losses
from maskdial.train.interrupt import Interrupted
from maskdial.train.parallel import Engine
from maskdial.train.precision import peak_flops
from maskdial.train.ranks import Ranks
from maskdial.train.step import Stepped
from maskdial.train.track import TensorBoard, require_tensorboard

#: Losses that the usual one is the median of, and how many there must be before a step can be out of the ordinary.
KEPT, ENOUGH = 64, 16


class Watch:
    """One run's; `with watch.over(step):` around its steps."""

    def __init__(
        self, config: TrainConfig, plan: Mapping[str, Any], objective: Objective | Mixture, corpus: Any, events: Events, folder: Folder,
        ranks: Ranks,
    ) -> None:  # fmt: skip
        self.config, self.events, self.folder, self.ranks = config, events, folder, ranks
        self.asked, self.device, self.dtype = (objective, corpus), plan["device"], getattr(torch, plan["precision"])
        self.step, self.peak = 0, config.peak_flops
        self.board: TensorBoard | None = None
        self.held: list[Batch] = []

    def over(self, step: int) -> Watch:
        """To be entered at this step."""
        self.step = step
        return self

    def __enter__(self) -> Watch:
        if self.config.track.tensorboard and self.ranks.first:
            self.board = TensorBoard(self.folder.path / TENSORBOARD, self.step)
            self.events.listeners.append(self.board.hear)
        self.peak = self.peak or peak_flops(self.device, self.dtype)
        self.events.add("peak", step=self.step, flops_per_second=self.peak, measured=self.config.peak_flops is None)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, Interrupted):
            with suppress(UserError):  # the disk may be what failed
                self.events.add("failed", step=self.step, message=getattr(error, "message", "") or f"{kind and kind.__name__}: {error}")
        if self.board is not None:
            self.events.listeners.remove(self.board.hear)
            self.board.close()

    def speed(self, since: Mapping[str, Any]) -> dict[str, float]:
        """Text tokens and FLOPs a second since the last line, and what share of all devices' peak that is."""
        tokens, flops = (since[name] / since["seconds"] for name in ("tokens", "flops"))
        return {"tokens_per_second": tokens, "flops_per_second": flops, "utilisation": flops / ((self.peak or flops) * self.ranks.world)}

    def stepped(self, step: int, first: int, last: int, done: Stepped, recent: list[float]) -> list[float]:
        """Note step `step` over samples `first` … `last` if its loss is far above the usual; the losses to compare the next with."""
        self.step = step
        head = next((name for name, count in done.scored.items() if count), None)
        if head is None:
            return recent
        loss, limit = float(done.plain[head]) / done.scored[head], self.config.guard.spike
        usual = statistics.median(recent) if len(recent) >= ENOUGH else float("inf")
        if limit is not None and loss > limit * usual:
            self.events.add("spike", step=step, loss=loss, usual=usual, head=head, first_sample=first, last_sample=last)
        return [*recent[1 - KEPT :], loss]

    def look(self, engine: Engine, step: int, total: int | None) -> None:
        """Held-out loss every `evaluate.every` steps and at the end, off the clock."""
        every = self.config.evaluate.every
        if every is None or (step % every and step != total):
            return
        start = time.perf_counter()
        self.held = self.held or held(self.config, *self.asked)
        loss, scored = losses(engine, self.held)
        self.events.add("held_out", step=step, loss=loss, scored=scored, samples=self.config.evaluate.samples,
                        seconds=round(time.perf_counter() - start, 4))  # fmt: skip


def held(config: TrainConfig, objective: Objective | Mixture, corpus: Any, samples: int | None = None) -> list[Batch]:
    """The batches of a look at held-out text."""
    return batches(objective, corpus, config.length, samples or config.evaluate.samples, config.packing, config.rows)


def check(config: TrainConfig, objective: Objective | Mixture, corpus: Any) -> None:
    """`UserError` when what is to be watched can't be: said before the run begins."""
    if config.track.tensorboard:
        require_tensorboard()
    if config.evaluate.every is not None:
        held(config, objective, corpus, 1)
