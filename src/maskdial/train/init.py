"""What a run starts from (`init`): another run's parameters, or a published folder, which a guest reads (`maskdial.interop.init`).

A guest's model is no `ModelConfig` of ours: its saved config names its home, and nothing here imports it before it is needed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from maskdial.errors import UserError
from maskdial.mixture import Mixture
from maskdial.model import Model, ModelConfig, build, flops
from maskdial.objective import Objective
from maskdial.train.config import ModelSettings, TrainConfig
from maskdial.train.folder import CONFIG, TOKENIZER
from maskdial.vocab import Vocab

#: who reads a published folder, and who knows a guest's config
READER = "maskdial.interop.init"
HOMES = {"hf": "maskdial.interop.shape"}


class Origin:
    """A folder that parameters come from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def tokenizer(self) -> Path:
        """Where the tokenizer is that its parameters know."""
        return self.folder

    def settled(self, config: TrainConfig, objective: Objective | Mixture, vocab: Vocab) -> TrainConfig:
        """The run's settings with every rate decided; `UserError` for a setting or a vocabulary that does not go with it."""
        return config.decided(objective.layout, objective.heads)

    def sized(self, config: TrainConfig) -> TrainConfig:
        """The run's settings with the origin's sizes, where none are given."""
        return config

    def model(self, config: TrainConfig, objective: Objective | Mixture, corpus: Any) -> ModelConfig | None:
        """The model, unless it is one of ours; `UserError` when the objective or the corpus does not fit."""
        return None

    def into(self, model: Model, objective: Objective | Mixture) -> str:
        """Copy the parameters, and say what they are and what has changed."""
        raise NotImplementedError


class Earlier(Origin):
    """A run folder: the same stack goes on, under another objective too. The dial is in the samples, so a decoder may become an
    encoder and back."""

    @cached_property
    def run(self) -> Any:
        from maskdial.train.run import load

        return load(self.folder)

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER

    def sized(self, config: TrainConfig) -> TrainConfig:
        return taking_sizes(config, self.run.config["model"])

    def model(self, config: TrainConfig, objective: Objective | Mixture, corpus: Any) -> ModelConfig | None:
        saved = self.run.config["model"]
        if "guest" in saved:
            raise UserError(f"{self.folder} went on from a published model, and --init reads those as folders", code="init.guest",
                            where="init", hint=f"maskdial export {self.folder} --to hf DIR, then --init DIR")  # fmt: skip
        own = hashlib.sha256((self.tokenizer / "tokenizer.json").read_bytes()).hexdigest()
        if getattr(corpus.tokenizer, "sha256", own) != own or json.loads(json.dumps(corpus.vocab.to_json())) != self.run.config["vocab"]:
            raise UserError(f"the corpus was made with another tokenizer than {self.folder}", code="init.tokenizer", where="data", exit=4,
                            hint=f"give the text itself, or: maskdial prepare TEXT --tokenizer {self.tokenizer} --out DIR")  # fmt: skip
        return None

    def into(self, model: Model, objective: Objective | Mixture) -> str:
        self.run.into(model)
        said = f"starts from {self.folder}: {self.run.name} at step {self.run.step:,}; rates and averages begin anew"
        before, now = (getattr(o, "visibility", "mixed") for o in (self.run.objective, objective))
        return said if before == now else f"{said}; what it read {WAYS.get(before, before)} it now reads {WAYS.get(now, now)}"


WAYS = {"bidirectional": "both ways", "causal": "left to right", "prefix": "as a prefix and what follows it", "mixed": "in several ways"}


def origin(path: str | None) -> Origin | None:
    """What a run starts from; None for fresh parameters. `UserError` when the folder is neither a run nor a published model."""
    if path is None:
        return None
    folder = Path(path)
    try:
        said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = {}  # whoever loads it says what is wrong
    reader: Any = import_module(READER) if "model_type" in said else None
    made: Origin = Earlier(folder) if reader is None else reader.opened(folder, said)
    return made


def settled(config: TrainConfig, objective: Objective | Mixture, vocab: Vocab) -> TrainConfig:
    """A run's settings as decided."""
    source = origin(config.init)
    return config.decided(objective.layout, objective.heads) if source is None else source.settled(config, objective, vocab)


def config_of(saved: Mapping[str, Any]) -> ModelConfig:
    """The model's config that a run has saved: ours, or a guest's."""
    home = saved.get("guest")
    made: ModelConfig = ModelConfig(**saved) if home is None else import_module(HOMES[home]).BodyConfig(**saved)
    return made


def model_of(saved: Mapping[str, Any], seed: int = 0) -> Model:
    """The model of a saved config, with fresh parameters."""
    config = config_of(saved)
    made: Model = build(config, seed) if type(config) is ModelConfig else config.build(seed)  # type: ignore[attr-defined]
    return made


def flops_of(config: ModelConfig, batch: Mapping[str, Any]) -> float:
    """Training FLOPs of a batch."""
    made: float = flops(config, batch) if type(config) is ModelConfig else config.flops(batch)  # type: ignore[attr-defined]
    return made


def taking_sizes(config: TrainConfig, model: Mapping[str, Any]) -> TrainConfig:
    """Settings with the sizes of an earlier model, unless any are given."""
    if config.model != ModelSettings():
        return config
    names = ("d", "layers", "heads", "ffn", "positions") + (("source_layers",) if model["source_layers"] else ())
    return config.model_copy(update={"model": ModelSettings(**{name: model[name] for name in names})})


@torch.no_grad()
def fill(model: Model, found: Mapping[str, Tensor], folder: Path) -> None:
    """Copy parameters into a model of the same names and shapes; `UserError` names what does not fit."""
    own = dict(model.named_parameters())
    for name in sorted({*found, *own}):
        if name not in found or name not in own or found[name].shape != own[name].shape:
            there, here = (str(tuple(side[name].shape)) if name in side else "absent" for side in (found, own))
            raise UserError(f"{folder} does not fit this model: {name} is {there} there and {here} here",
                            hint="take its sizes (leave model.* alone) and an objective with its heads", code="init.mismatch", where="init",
                            exit=4)  # fmt: skip
    for name, value in found.items():
        own[name].copy_(value)
