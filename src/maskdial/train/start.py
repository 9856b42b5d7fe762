"""`train(config, objective, corpus, out)`: plan the run, find where to start, run the loop."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from maskdial.errors import UserError
from maskdial.mixture import Mixture
from maskdial.model import ModelConfig
from maskdial.objective import Objective
from maskdial.train import checkpoint as checkpoints
from maskdial.train import determinism, watch
from maskdial.train.budget import Budget, budget
from maskdial.train.checkpoint import Checkpoint
from maskdial.train.config import TrainConfig
from maskdial.train.feed import Feed
from maskdial.train.folder import CHECKPOINTS, Folder, versions
from maskdial.train.init import config_of, flops_of, origin, settled
from maskdial.train.loop import Loop
from maskdial.train.mixed_feed import MixedFeed, feed_of, mixed_steps
from maskdial.train.precision import decide, find_device
from maskdial.train.ranks import Ranks, started
from maskdial.train.state import RunResult

#: Batches looked at to turn a FLOP budget into steps.
SAMPLED_STEPS = 8


def train(
    config: TrainConfig, objective: Objective | Mixture, corpus: Any, out: str | Path, resume: str = "auto", progress: str = "auto"
) -> RunResult:
    """Train `objective` on `corpus` into the folder `out`.

    resume: "auto" goes on from the newest whole checkpoint of the same run, or starts; "never" refuses a folder in use;
    a path goes on from that checkpoint. `UserError` when settings or corpus differ (exit 4), a checkpoint is damaged or
    the disk is full (1), a setting is wrong (2); `Interrupted` after a signal (130, 143).

    Started by torchrun, the processes train one model together: each calls this with the same arguments.
    """
    folder, asked = Folder(out), budget(config.budget)
    if config.deterministic and asked.kind == "time":
        raise UserError("--deterministic wants a budget that a clock can't change", hint="for example --budget 200ktok or 500steps",
                        code="config.budget", where="budget")  # fmt: skip
    if config.deterministic:
        determinism.prepare()
    with started(find_device(config.device), config.timeout) as ranks, ExitStack() as held:
        decided = settled(config, objective, corpus.vocab)
        return _train(decided, objective, corpus, folder, asked, resume, progress if ranks.first else "off", ranks, held)


def _train(
    config: TrainConfig, objective: Objective | Mixture, corpus: Any, folder: Folder, asked: Budget, resume: str, progress: str,
    ranks: Ranks, held: ExitStack,
) -> RunResult:  # fmt: skip
    """Rank 0 decides what the run is and where it goes on, and holds the folder; all do it."""
    raw = objective.room(config.length, vocab=corpus.vocab).raw
    plan, start = dict[str, Any](), None
    if len(set(ranks.gather(corpus.fingerprint))) > 1:
        raise UserError(
            f"the ranks read different data: rank {ranks.rank} has {corpus.name}, fingerprint {corpus.fingerprint[:12]}",
            hint="prepare the text once and give every machine the folder", code="ranks.data", where="data", exit=1,
        )  # fmt: skip
    with ranks.together("looking where to start"):
        if ranks.first:
            watch.check(config, objective, corpus)
            plan = _plan(config, asked, objective, corpus, raw)
            held.enter_context(folder.held())
            start = _start(folder, plan, resume)
            if folder.exists:
                _take_over(plan, folder.config())
    plan, start = ranks.tell((plan, start))
    with _settings(config, plan):
        with ranks.together("making the folder"):
            if ranks.first and not folder.exists:
                folder.begin(plan, corpus.tokenizer)
        with ranks.together("loading"):
            loop = Loop(config, plan, asked, objective, corpus, folder, raw, progress, ranks)
            if start is not None:
                loop.restore(start)
        if start is not None and loop.total is not None and loop.state.step >= loop.total:
            _say(f"already trained: step {loop.state.step:,}/{loop.total:,}", progress)
            return loop.result()
        for line in (loop.begin(), *determinism.words(plan, versions())):
            _say(line, progress)
        return loop.run()


def _plan(config: TrainConfig, asked: Budget, objective: Objective | Mixture, corpus: Any, raw: int) -> dict[str, Any]:
    """config.json: everything a run is, in plain values."""
    feed = feed_of(objective, corpus, raw, config, None)
    feeds = list(feed.feeds.values()) if isinstance(feed, MixedFeed) else [feed]
    model, device = _model(config, objective, feeds), find_device(config.device)

    def used(one: Feed) -> float:
        return sum(flops_of(model, b) for b in one.batches(0, config.rows * SAMPLED_STEPS)) / SAMPLED_STEPS

    if isinstance(feed, MixedFeed):
        steps = mixed_steps(asked, config, feed, used)
    else:
        steps = asked.steps(config.rows * feed.tokens_a_row(), used(feed) if asked.kind == "flops" else 0.0)
    return {
        "format": 1,
        "objective": {"name": objective.name, "options": dict(objective.options), "layout": objective.layout},
        "model": model.model_dump(mode="json"),
        "train": config.model_dump(mode="json"),
        "budget": {"asked": asked.text, "kind": asked.kind, "steps": steps},
        "corpus": {"name": corpus.name, "fingerprint": corpus.fingerprint, "raw": raw},
        "vocab": corpus.vocab.to_json(),
        "precision": str(decide(config.precision, device, config.deterministic)).removeprefix("torch."),
        "device": device,
        "versions": versions(),
    }


def _model(config: TrainConfig, objective: Objective | Mixture, feeds: list[Feed]) -> ModelConfig:
    """The model that an objective's samples want (a mixture's: any member's). Whether they tell parts apart, only a sample shows."""
    source = origin(config.init)
    if source is not None:
        published = source.model(config, objective, feeds[0].corpus)
        if published is not None:
            return published
        config = source.sized(config)
    first = {name for feed in feeds if feed.objective.columns for name in feed.batches(0, 1)[0]}
    parts = 2 if {"part", "source_part"} & first else 0
    both_ways = any(f.objective.visibility not in ("causal", "prefix") for f in feeds)
    places = max(int(f.objective.options.get("max_pair", 20)) for f in feeds)
    return config.model_settings(feeds[0].corpus.vocab.size, objective.layout, objective.heads, parts, both_ways, places)


def _start(folder: Folder, plan: dict[str, Any], resume: str) -> Checkpoint | None:
    """The checkpoint to go on from; None to start at step 0."""
    folder.sweep()
    if resume == "never":
        if folder.exists:
            raise UserError(f"{folder.path} holds a run", hint="use --resume auto to go on with it, or another --out",
                            code="out.exists", where="out", exit=4)  # fmt: skip
        return None
    if resume != "auto":
        return _named(folder, plan, Path(resume))
    if not folder.exists:
        return None
    folder.same(plan, _completed(folder.config()), folder.path)
    found = checkpoints.newest(folder.checkpoints, _warn)
    if found is not None:
        checkpoints.set_aside(folder.checkpoints, found.step)
    return found


def _named(folder: Folder, plan: dict[str, Any], path: Path) -> Checkpoint:
    """`--resume PATH`: a checkpoint, or a run whose newest one is meant."""
    if (path / CHECKPOINTS).is_dir():
        newest = checkpoints.newest(path / CHECKPOINTS, _warn)
        path = newest.path if newest else path
    try:
        found = checkpoints.verify(path)
    except ValueError as fault:
        raise UserError(str(fault), code="checkpoint.damaged", where=str(path), exit=1) from None
    folder.same(plan, _completed(found.manifest["config"]), found.path)
    if folder.exists:
        folder.same(plan, _completed(folder.config()), folder.path)
        later = [p for n, p in checkpoints.found(folder.checkpoints) if n > found.step]
        if later:
            raise UserError(f"{later[0]} is later than {path}; a checkpoint is never overwritten", hint="choose another --out",
                            code="out.exists", where="resume", exit=4)  # fmt: skip
    elif plan["budget"]["steps"] is None:
        plan["budget"]["steps"] = found.manifest["config"]["budget"]["steps"]
    return found


def _completed(saved: dict[str, Any]) -> dict[str, Any]:
    """A saved plan with the settings that did not exist when it was saved at the values that leave it as it was."""
    try:
        train, model = TrainConfig(**saved["train"]), config_of(saved["model"])
    except ValueError:
        return saved  # of a later version: the comparison names what is unknown here
    return saved | {"train": train.model_dump(mode="json"), "model": model.model_dump(mode="json")}


def _take_over(plan: dict[str, Any], saved: dict[str, Any]) -> None:
    """What an earlier process decided stays decided."""
    plan |= {key: saved[key] for key in ("precision", "versions", "tokenizer") if key in saved}
    plan["budget"]["steps"] = saved["budget"]["steps"]
    if saved["train"]["deterministic"]:
        plan["train"]["threads"] = saved["train"]["threads"]


@contextmanager
def _settings(config: TrainConfig, plan: dict[str, Any]) -> Iterator[None]:
    """torch's threads and determinism for the run, put back afterwards.

    Threads decide the last bits of sums: a deterministic run stores their number, any other takes what is fastest (`Threads`).
    """
    threads, was = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    if plan["train"]["threads"] is None and config.deterministic:
        plan["train"]["threads"] = threads
    torch.set_num_threads(plan["train"]["threads"] or threads)
    turn = config.deterministic and not was  # asking torch costs seconds of imports, so only when it changes something
    if turn:
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if turn:
            torch.use_deterministic_algorithms(False)


def _warn(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


def _say(text: str, progress: str) -> None:
    if progress != "off":
        print(text, file=sys.stderr, flush=True)
