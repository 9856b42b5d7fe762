"""A finished or unfinished run, for asking later."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from maskdial.errors import UserError
from maskdial.mixture import Mixture, restore
from maskdial.model import Model, ModelConfig, build
from maskdial.objective import Objective
from maskdial.train import checkpoint as checkpoints
from maskdial.train.checkpoint import Checkpoint
from maskdial.train.folder import EVENTS, TOKENIZER, Events, Folder
from maskdial.vocab import Vocab


class Run:
    """A run folder: `.model` (in fp32, evaluation mode), `.objective`, `.tokenizer`, `.vocab`, `.config`, `.events()`.

    What is expensive is read when first looked at; the folder alone suffices.
    """

    def __init__(self, path: Path, config: Mapping[str, Any]) -> None:
        self.path, self.config = path, config

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The newest whole checkpoint; `UserError` when there is none yet."""
        found = checkpoints.newest(Folder(self.path).checkpoints, lambda text: print(f"warning: {text}", file=sys.stderr))
        if found is None:
            raise UserError(f"{self.path} has no checkpoint yet", hint="let it train until the first one",
                            code="run.empty", where=str(self.path), exit=1)  # fmt: skip
        return found

    @property
    def step(self) -> int:
        """Steps done at the newest whole checkpoint."""
        return self.checkpoint.step

    @cached_property
    def model(self) -> Model:
        """The model as saved."""
        made = build(ModelConfig(**self.config["model"]))
        self.into(made)
        return made.eval()

    def into(self, model: Model) -> None:
        """Copy the saved parameters into a model of the same names and shapes; `UserError` names what does not fit."""
        import torch

        saved, own = self.checkpoint.tensors("model"), dict(model.named_parameters())
        for name in sorted({*saved, *own}):
            if name not in saved or name not in own or saved[name].shape != own[name].shape:
                shapes = [str(tuple(side[name].shape)) if name in side else "absent" for side in (saved, own)]
                raise UserError(f"{self.path} does not fit this model: {name} is {shapes[0]} there and {shapes[1]} here",
                                code="init.mismatch", where="init", exit=4)  # fmt: skip
        with torch.no_grad():
            for name, value in saved.items():
                own[name].copy_(value)

    @cached_property
    def objective(self) -> Objective | Mixture:
        """The objective with its options."""
        from maskdial.recipes import objective

        name, options = self.config["objective"]["name"], self.config["objective"]["options"]
        if "phases" in options:
            return restore(name, options, objective)
        made: Objective | Mixture = objective(name, **options)
        return made

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer's copy (`maskdial.data.tokenizer.Tokenizer`)."""
        from maskdial.data.tokenizer import load as load_tokenizer

        return load_tokenizer(self.path / TOKENIZER)

    @cached_property
    def vocab(self) -> Vocab:
        """The ids by role."""
        return Vocab(**self.config["vocab"])

    def events(self) -> list[dict[str, Any]]:
        """The lines of events.jsonl."""
        return Events(self.path / EVENTS).read()

    @property
    def corpus_fingerprint(self) -> str:
        """Which corpus it was trained on."""
        return str(self.config["corpus"]["fingerprint"])

    @property
    def name(self) -> str:
        return str(self.config["objective"]["name"])

    def __repr__(self) -> str:
        return f"Run({self.name} at {self.path})"


def load(path: str | Path) -> Run:
    """The run in a folder; `UserError` when it is none."""
    folder = Folder(path)
    return Run(folder.path, folder.config())


def summary(path: Path) -> dict[str, Any]:
    """One line about a run: step, objective, budget, loss, state (done, running or stopped, interrupted, failed)."""
    folder = Folder(path)
    config = folder.config()
    events = Events(folder.path / EVENTS).read()
    steps = [e for e in events if e["event"] == "step"]
    last = events[-1]["event"] if events else "config"
    states = {"done": "done", "interrupted": "interrupted", "not_finite": "failed"}
    saved = [number for number, p in checkpoints.found(folder.checkpoints) if (p / checkpoints.MANIFEST).is_file()]
    return {
        "run": str(path), "objective": config["objective"]["name"], "options": config["objective"]["options"],
        "step": steps[-1]["step"] if steps else 0, "steps": config["budget"]["steps"], "budget": config["budget"]["asked"],
        "loss": steps[-1]["loss"] if steps else None, "tokens": steps[-1]["tokens"] if steps else 0,
        "seconds": steps[-1]["seconds"] if steps else 0.0, "checkpoint": saved[0] if saved else None,
        "state": states.get(last, "unfinished"), "corpus": config["corpus"]["name"],
    }  # fmt: skip
