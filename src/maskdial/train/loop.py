"""The training loop: budget in, run folder out; it can be killed at any moment and goes on as if it had not been."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch

from maskdial.batch import Batch
from maskdial.errors import UserError
from maskdial.mixture import Mixture
from maskdial.model import Model
from maskdial.objective import Objective
from maskdial.train import checkpoint as checkpoints
from maskdial.train.budget import Budget
from maskdial.train.checkpoint import Checkpoint
from maskdial.train.config import TrainConfig
from maskdial.train.feed import share
from maskdial.train.folder import EVENTS, Folder, versions
from maskdial.train.init import model_of, origin
from maskdial.train.interrupt import Interrupted, Signals
from maskdial.train.mixed_feed import feed_of
from maskdial.train.optimizer import schedule
from maskdial.train.parallel import engine_of
from maskdial.train.ranks import ALONE, Ranks, launched
from maskdial.train.state import RunResult, State, events_of
from maskdial.train.step import Stepped, step
from maskdial.train.threads import Threads
from maskdial.train.watch import Watch

#: Without `checkpoint.every`, a checkpoint is due after this many seconds of training.
CHECKPOINT_SECONDS = 300.0
#: Step durations kept for calibrating a time budget.
RECENT = 64


class Loop:
    """One run in this process, or this rank's part of it. `run()` trains to the end of the budget.

    All ranks hold the same `State`: what a step did is summed over them, its time is the slowest one's. So whatever follows from
    the state alone (a checkpoint is due, a time budget is frozen into so many steps) follows everywhere.
    """

    def __init__(
        self, config: TrainConfig, plan: dict[str, Any], budget: Budget, objective: Objective | Mixture, corpus: Any, folder: Folder,
        raw: int, progress: str, ranks: Ranks = ALONE,
    ) -> None:  # fmt: skip
        self.config, self.plan, self.budget, self.folder, self.ranks = config, plan, budget, folder, ranks
        self.progress = progress if ranks.first else "off"
        self.events = events_of(folder.path / EVENTS, ranks)
        self.feed = feed_of(objective, corpus, raw, config, plan["budget"]["steps"])
        with ranks.together("making the model"):
            self.model: Model = model_of(plan["model"], seed=config.seed)
            source = origin(config.init)
            self.began = "" if source is None else source.into(self.model, objective) + "\n"
        self.engine, self.optimizer = engine_of(self.model, config, plan["precision"], ranks.device(plan["device"]), objective, ranks)
        self.state, self.total = State(), plan["budget"]["steps"]
        self.watch = Watch(config, plan, objective, corpus, self.events, folder, ranks)
        self.durations: list[float] = []
        self.saved_at, self.saved_seconds, self.shown = -1, 0.0, 0.0
        self.resumed_from: int | None = None

    def restore(self, found: Checkpoint) -> None:
        """Parameters, optimizer and position of a checkpoint."""
        self.state = State(**found.state(asdict(State())))
        self.engine.restore(self.optimizer, found, self.state.optimizer_steps)
        self.saved_at, self.saved_seconds, self.resumed_from = self.state.step, self.state.seconds, self.state.step

    def begin(self) -> str:
        """The first event of this process, and what the terminal says."""
        s = self.state
        if self.resumed_from is None:
            self.events.rewind(-1)  # of a process that was killed before its first checkpoint
            self.events.add("config", **self.plan, parameters=self.model.num_parameters, world_size=self.ranks.world)
            return f"{self.began}{self.plan['objective']['name']}: {self.model.num_parameters:,} parameters, {self.budget.text}"
        dropped = self.events.rewind(s.step)
        self.events.add("resumed", step=s.step, samples=s.samples, dropped_events=dropped, versions=versions(), world_size=self.ranks.world)
        return f"resumed at step {s.step:,}/{self.total or '?'}, sample {s.samples:,}, same data order"

    def run(self) -> RunResult:
        """Train until the budget is spent, a signal arrives or the loss is not finite."""
        with ExitStack() as stack:
            signals = stack.enter_context(Signals(echoed=launched()))
            stack.enter_context(self.watch.over(self.state.step))
            bar: Any = None
            threads = self._threads()
            self._batches()  # compiles the objective's kernels, off the clock
            while self.total is None or self.state.step < self.total:
                self._step()
                if threads is not None:
                    threads.watch(self.durations[-1])
                self._calibrate()
                self._log()
                self.watch.look(self.engine, self.state.step, self.total)
                bar = bar or self._bar(stack)
                if bar is not None:
                    self._show(bar)
                received = int(self.ranks.largest(signals.received))
                if received:
                    self._interrupted(received)
                if self._due():
                    self.save()
            if self.saved_at != self.state.step:
                self.save()
            self.events.add("done", step=self.state.step, **self._totals())
        return self.result()

    def _threads(self) -> Threads | None:
        """What chooses the number of threads, unless it is given or does not matter."""
        most = torch.get_num_threads()
        if self.plan["train"]["threads"] is not None or self.plan["device"] != "cpu" or most == 1 or self.ranks.several:
            return None
        return Threads(self.config.rows * self.config.length, self.model.config.d, most)

    def _bar(self, stack: ExitStack) -> Any:
        """A progress display of what is left to this process: seconds of a time budget, steps of any other."""
        if self.progress == "off":
            return None
        from maskdial.progress import Progress

        label, mode = f"train {self.plan['objective']['name']}", cast(Any, self.progress)
        if self.budget.kind == "time":
            self.shown = self.state.seconds - self.durations[-1]
            return stack.enter_context(Progress(label, max(1, round(self.budget.amount - self.shown)), "s", mode))
        return stack.enter_context(Progress(label, (self.total or 0) - self.state.step + 1, "steps", mode))

    def _show(self, bar: Any) -> None:
        """Move the progress display on by this step."""
        left = bar.total - bar.done
        done = min(left, int(self.state.seconds - self.shown)) if self.budget.kind == "time" else 1
        self.shown += done
        of = f"/{self.total:,}" if self.total else ""
        bar.update(done, loss=self.state.last_loss or 0.0, step=f"{self.state.step:,}{of}", text=f"{self.state.tokens:,} tokens")

    def _batches(self) -> list[Batch]:
        """This rank's batches of the next step."""
        with self.ranks.together(f"making the samples of step {self.state.step + 1:,}"):
            return share(self.feed, self.state.samples, self.config.rows, self.config.accumulate, self.ranks)

    def _step(self) -> None:
        """One step, timed; the state moves only when it is done."""
        s, start = self.state, time.perf_counter()
        batches = self._batches()
        with self.ranks.named(f"step {s.step + 1:,}"):
            factor = schedule(s.step, self.total, self.config.optimizer)
            done = step(self.model, self.optimizer, batches, factor, self.config.loss, self.engine)
        self._guard(done)
        seconds = self.ranks.largest(time.perf_counter() - start)
        self.durations = [*self.durations[1 - RECENT :], seconds]
        s.step, s.samples, s.optimizer_steps = s.step + 1, s.samples + self.config.rows, self.optimizer.steps
        s.tokens, s.flops, s.seconds = s.tokens + done.tokens, s.flops + done.flops, s.seconds + seconds
        s.scored += sum(done.scored.values())
        since = s.since
        since["tokens"], since["flops"], since["seconds"] = (
            since["tokens"] + done.tokens, since["flops"] + done.flops, since["seconds"] + seconds)  # fmt: skip
        for head, value in done.plain.items():
            since["loss"][head] = since["loss"].get(head, 0.0) + float(value)
            since["scored"][head] = since["scored"].get(head, 0) + done.scored[head]
        for member, (value, count) in done.by_member.items():
            own = s.members.setdefault(member, {"sum": 0.0, "count": 0})
            own["sum"], own["count"] = own["sum"] + float(value), own["count"] + count
        since["norm"] = done.norm
        s.recent = self.watch.stepped(s.step, s.samples - self.config.rows, s.samples - 1, done, s.recent)

    def _guard(self, done: Stepped) -> None:
        """Stop, naming the samples, when the gradient is not finite; or when a long start has asked nothing at all."""
        s = self.state
        first, last = s.samples, s.samples + self.config.rows - 1
        if done.norm != done.norm or done.norm == float("inf"):
            self.events.add("not_finite", step=s.step + 1, first_sample=first, last_sample=last)
            raise UserError(
                f"the gradient of step {s.step + 1:,} is not finite: samples {first:,} to {last:,} (seed {self.config.seed}); "
                "the parameters were not changed by it",
                hint="lower optimizer.matrix_rate and optimizer.embedding_rate, or look at these samples with `maskdial show`",
                code="train.not_finite", where=str(self.folder.path), exit=1,
            )  # fmt: skip
        if s.scored == 0 and s.step >= 50 and not any(done.scored.values()):
            raise UserError(
                f"{s.step:,} steps and not one scored position: this objective asks nothing of this corpus",
                code="train.nothing_scored", where=str(self.folder.path), exit=1,
            )

    def _calibrate(self) -> None:
        """Freeze a time budget into steps, once, when enough steps have been seen."""
        s = self.state
        if self.total is None and self.budget.due(len(self.durations), s.seconds, self.config.optimizer.falling):
            self.total = self.budget.freeze(s.step, s.seconds, self.durations)
            self.plan["budget"]["steps"] = self.total
            if self.ranks.first:
                self.folder.store(self.plan)
            self.events.add("frozen", step=s.step, steps=self.total, asked=self.budget.text)

    def _log(self) -> None:
        """One line every `log_every` steps, and at the end."""
        s = self.state
        if s.step % self.config.log_every and s.step != self.total:
            return
        loss, scored, norm = s.since["loss"], s.since["scored"], s.since.get("norm")
        first = next(iter(scored), None)
        if first is not None and scored[first]:
            s.last_loss = loss[first] / scored[first]
        factor = schedule(s.step - 1, self.total, self.config.optimizer)
        members = {"loss_by_member": s.members} if s.members else {}
        self.events.add("step", step=s.step, samples=s.samples, **self._totals(), loss=s.last_loss, loss_sum=dict(loss),
                        loss_count=dict(scored), since_tokens=s.since["tokens"], since_seconds=round(s.since["seconds"], 4),
                        rate_factor=factor, gradient_norm=norm, **self.watch.speed(s.since), **members)  # fmt: skip
        s.since, s.members = State().since, {}

    def _totals(self) -> dict[str, Any]:
        s = self.state
        return {"tokens": s.tokens, "scored": s.scored, "flops": s.flops, "seconds": round(s.seconds, 4)}

    def _due(self) -> bool:
        every = self.config.checkpoint.every
        if self.total is not None and self.state.step >= self.total:
            return False  # the last one is written after the loop
        if every is not None:
            return self.state.step % every == 0
        return self.state.seconds - self.saved_seconds >= CHECKPOINT_SECONDS

    def save(self) -> Path:
        """A checkpoint of this moment; `UserError` when the disk will not have it."""
        s = self.state
        about = {"config": self.plan, "samples_consumed": s.samples, "seed": self.config.seed, "world_size": self.ranks.world,
                 "fingerprint": self.plan["corpus"]["fingerprint"], "versions": versions()}  # fmt: skip
        with self.ranks.together(f"saving step {s.step:,}"):
            try:
                self.events.flush()
                self.engine.save(self.optimizer, self.folder.checkpoints, s.step, asdict(s), about)
                self.events.add("checkpoint", step=s.step, path=f"step-{s.step}")
                if self.ranks.first:
                    checkpoints.retain(self.folder.checkpoints, self.config.checkpoint.keep)
            except (OSError, ValueError) as fault:
                raise UserError(
                    f"could not save step {s.step:,}: {self.folder.checkpoints}: {fault}; {checkpoints.remains(self.folder.checkpoints)}",
                    hint="make room, then run the same command again", code="checkpoint.write", where=str(self.folder.checkpoints), exit=1,
                ) from fault  # fmt: skip
        self.saved_at, self.saved_seconds = s.step, s.seconds
        return self.folder.checkpoints / f"step-{s.step}"

    def _interrupted(self, number: int) -> None:
        path = self.save() if self.saved_at != self.state.step else self.folder.checkpoints / f"step-{self.state.step}"
        self.events.add("interrupted", step=self.state.step, signal=number)
        raise Interrupted(
            f"stopped at step {self.state.step:,} of {self.total or '?'}; saved in {path}", hint="the same command goes on from there",
            code="interrupted", where=str(self.folder.path), exit=128 + number,
        )  # fmt: skip

    def result(self) -> RunResult:
        """The totals so far."""
        s = self.state
        return RunResult(self.folder.path, s.step, s.seconds, s.tokens, s.scored, s.flops, self.model.num_parameters, s.last_loss,
                         self.resumed_from)  # fmt: skip
