"""A finished or unfinished run, for asking later."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from maskdial.errors import UserError
from maskdial.mixture import Mixture, restore
from maskdial.model import Model
from maskdial.objective import Objective
from maskdial.train import checkpoint as checkpoints
from maskdial.train.checkpoint import Checkpoint
from maskdial.train.folder import EVENTS, TOKENIZER, Events, Folder
from maskdial.train.init import fill, model_of
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
        made = model_of(self.config["model"])
        self.into(made)
        return made.eval()

    def into(self, model: Model) -> None:
        """Copy the saved parameters into a model of the same names and shapes; `UserError` names what does not fit."""
        fill(model, self.checkpoint.tensors("model"), self.path)

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
