"""Every setting of a training run: typed, documented, strict about unknown keys.

Keys are dotted on the command line (`optimizer.matrix_rate=4e-3`). A setting left at None is decided from the objective's
layout when the run starts and stored as decided.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maskdial.errors import UserError, nearest
from maskdial.model import matched
from maskdial.model.config import ExtraHead, ModelConfig, Shape
from maskdial.model.loss import Smoothing
from maskdial.sample import Head

#: By layout, or where a head judges what a generator drew: Muon's rate for matrices, Adam's for embeddings (docs/decisions/011).
RATES: dict[str, tuple[float, float]] = {
    "decoder": (4e-3, 0.1),
    "encoder": (5e-3, 0.1),
    "encoder-decoder": (6e-3, 0.1),
    "drawn": (2e-3, 0.03),
}
ADAM_RATE = 2e-3
#: of learnt relative positions (docs/decisions/011); of gains; of everything in a published model that goes on (docs/export.md)
POSITION_RATE, OTHER_RATE, PUBLISHED_RATE = 0.1, 1e-2, 5e-5


class Section(BaseModel):
    """Strict: an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ModelSettings(Section):
    """The model's size; what is left out comes from the preset."""

    preset: str = Field(default="tiny", description="tiny (1 M parameters), small or base (124 M)")
    d: int | None = Field(default=None, ge=2, description="width of the residual stream")
    layers: int | None = Field(default=None, ge=1, description="layers of one stack; two stacks share them out")
    heads: int | None = Field(default=None, ge=1, description="attention heads")
    ffn: int | None = Field(default=None, ge=1, description="inner width of SwiGLU")
    source_layers: int | None = Field(default=None, ge=1, description="two stacks: layers of the source; sizes are then taken as given")
    positions: Literal["rotary", "relative"] | None = Field(default=None, description="default: rotary; relative (T5) for two stacks")
    generator: float | None = Field(default=None, gt=0, le=1, description="ELECTRA: the generator's share of the width; 1/4 (base: 1/3)")


class OptimizerSettings(Section):
    """Muon for matrices and AdamW elsewhere, or AdamW alone."""

    name: Literal["muon", "adamw"] | None = Field(default=None, description="what moves the matrices; muon (adamw: a published model)")
    matrix_rate: float | None = Field(default=None, gt=0, description="peak rate of the matrices; default by layout (Muon) or 2e-3 (AdamW)")
    embedding_rate: float | None = Field(default=None, gt=0, description="peak rate of the embedding (std 1); default by layout")
    position_rate: float | None = Field(default=None, gt=0, description="peak rate of learnt relative positions; default 0.1")
    other_rate: float | None = Field(default=None, gt=0, description="peak rate of gains and whatever else there is; default 1e-2")
    momentum: float = Field(default=0.95, ge=0, lt=1, description="Muon's momentum (Nesterov)")
    orthogonal_steps: int = Field(default=4, ge=1, le=10, description="Newton–Schulz steps")
    betas: tuple[float, float] = Field(default=(0.9, 0.95), description="AdamW's averages")
    decay: float = Field(default=0.0, ge=0, description="decoupled weight decay of matrices and embedding, times the rate")
    clip: float = Field(default=1.0, gt=0, description="largest global gradient norm")
    warmup: int = Field(default=20, ge=0, description="steps of linear warm-up")
    schedule: Literal["linear", "cosine", "wsd"] = Field(
        default="linear", description="how rates fall: linear or wsd (1 - sqrt) over the cooldown, or cosine from the warm-up on"
    )
    cooldown: float = Field(default=0.5, ge=0, le=1, description="linear and wsd: share of the steps, at the end, in which the rate falls")
    floor: float = Field(default=0.0, ge=0, le=1, description="share of the peak rate that it falls to")

    @property
    def falling(self) -> float:
        """The share of a run, at its end, in which the rate depends on how long the run is."""
        return 1.0 if self.schedule == "cosine" else self.cooldown


class LossSettings(Section):
    """What is added to the plain loss."""

    z: float = Field(default=0.0, ge=0, description="weight of z-loss")
    smoothing: float = Field(default=0.0, ge=0, lt=1, description="label smoothing, spread over the vocabulary")
    smoothing_kind: Smoothing = Field(default="others", description="over the other ids (fairseq, T5X), or over all ids (torch)")


class CheckpointSettings(Section):
    """When the run is saved; it always is at the end and when interrupted."""

    every: int | None = Field(default=None, ge=1, description="steps between checkpoints; default: every 5 minutes")
    keep: int = Field(default=2, ge=1, description="how many are kept; an older one goes only after a newer one is verified")


class EvaluateSettings(Section):
    """Loss on held-out text while training."""

    every: int | None = Field(default=None, ge=1, description="steps between looks at held-out text, off the clock; default: none")
    samples: int = Field(default=64, ge=1, description="held-out samples a look, the same ones each time")


class GuardSettings(Section):
    """What is worth a note; a gradient that is not finite always stops the run."""

    spike: float | None = Field(default=3.0, gt=1, description="note a step whose loss is so many times the usual; null: never")


class TrackSettings(Section):
    """Where else the numbers of events.jsonl go."""

    tensorboard: bool = Field(default=False, description="also write RUN/tensorboard (pip install 'maskdial[track]')")


class TrainConfig(Section):
    """All settings of `maskdial train`."""

    budget: str = Field(default="60s", description="60s, 200ktok, 2Mtok (raw text tokens), 1e14flop or 1000steps")
    length: int = Field(default=128, ge=4, description="positions a row may take (of the source, with two stacks)")
    rows: int = Field(default=8, ge=1, description="rows a step")
    accumulate: int = Field(default=1, ge=1, description="parts a step is computed in; the gradient is the same")
    seed: int = Field(default=0, ge=0, description="decides shuffle, noise and first parameters")
    packing: Literal["joined", "isolated"] = Field(default="joined", description="how documents share a row")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto measures which is quicker; a deterministic run goes by the kind of device"
    )
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:N")
    threads: int | None = Field(default=None, ge=1, description="CPU threads; default: as many as are faster just now")
    parallel: Literal["auto", "ddp", "fsdp"] = Field(
        default="auto", description="several processes (torchrun): ddp keeps the model in each, fsdp slices of it; auto: ddp"
    )
    timeout: float = Field(default=600.0, gt=0, description="seconds that processes wait for one another before all of them end")
    activation_checkpointing: bool = Field(default=False, description="compute blocks again in the backward pass instead of storing them")
    compile: Literal["auto", "on", "off"] = Field(
        default="auto", description="torch.compile for feed-forward parts; auto: on GPUs, unless the budget is a time"
    )
    deterministic: bool = Field(default=False, description="equal bits on equal machines; wants a token, FLOP or step budget")
    log_every: int = Field(default=10, ge=1, description="steps between lines of events.jsonl")
    init: str | None = Field(default=None, description="run folder or published Hugging Face folder whose parameters to start from")
    peak_flops: float | None = Field(default=None, gt=0, description="the device's FLOPs a second; default: those of a matrix product")
    model: ModelSettings = ModelSettings()
    optimizer: OptimizerSettings = OptimizerSettings()
    loss: LossSettings = LossSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    guard: GuardSettings = GuardSettings()
    track: TrackSettings = TrackSettings()

    def with_overrides(self, overrides: Iterable[str] | Mapping[str, Any]) -> TrainConfig:
        """A copy with dotted keys set, from `key=value` texts or a mapping; unknown keys and wrong types are `UserError`."""
        pairs = overrides.items() if isinstance(overrides, Mapping) else (setting(text) for text in overrides)
        value = self.model_dump()
        for key, given in pairs:
            section, name = _find(value, key)
            section[name] = given
        return parse(value)

    def decided(self, layout: str, heads: Sequence[Head] = (), published: bool = False) -> TrainConfig:
        """Every None that layout and heads decide filled in; `published`: for a published model, which goes on with AdamW at one low
        rate."""
        given, (muon, embedding) = self.optimizer, RATES["drawn" if any(h.form == "drawn" for h in heads) else layout]
        name = given.name or ("adamw" if published else "muon")
        adam = PUBLISHED_RATE if published else ADAM_RATE
        optimizer = given.model_copy(update={
            "name": name,
            "matrix_rate": given.matrix_rate or (muon if name == "muon" else adam),
            "embedding_rate": given.embedding_rate or (embedding if name == "muon" else adam),
            "position_rate": given.position_rate or (PUBLISHED_RATE if published else POSITION_RATE),
            "other_rate": given.other_rate or (PUBLISHED_RATE if published else OTHER_RATE),
        })  # fmt: skip
        return self.model_copy(update={"optimizer": optimizer})

    def model_settings(
        self, vocab_size: int, layout: str, heads: Sequence[Head] = (), parts: int = 0, answer_both_ways: bool = False, places: int = 20
    ) -> ModelConfig:
        """The model for an objective's layout and heads, with the parameters of one without extra heads (`model.matched`).

        `parts` is how many kinds its samples' `part` column tells apart; `answer_both_ways` that its answers look ahead too;
        `places` how many tokens of a span are asked from its boundary.
        Two stacks whose `source_layers` is given are taken as they are.
        """
        given = {k: v for k, v in self.model.model_dump().items() if v is not None}
        shape: Shape = "encoder-decoder" if layout == "encoder-decoder" else "single"
        extra = tuple(ExtraHead(name=h.name, kind=h.kind, form=h.form, reach=h.reach if h.form == "module" else 0, places=places)
                      for h in heads if h.name != "token")  # fmt: skip
        if shape == "single":
            given.pop("source_layers", None)
        if all(h.form != "drawn" for h in extra):
            given.pop("generator", None)
        try:
            made = ModelConfig(vocab_size=vocab_size, shape=shape, extra_heads=extra, parts=parts,
                               answer_both_ways=answer_both_ways and shape == "encoder-decoder", **given)  # fmt: skip
            return made if "source_layers" in given else matched(made)
        except ValidationError as error:
            raise UserError(f"model: {_first(error)}", code="config.model") from None
        except ValueError as error:
            raise UserError(f"model: {error}", code="config.model") from None


def parse(value: Mapping[str, Any]) -> TrainConfig:
    """A checked config from a nested mapping; `UserError` names the key, what is wrong and the nearest known key."""
    try:
        return TrainConfig(**value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise unknown(where) from None
        raise UserError(f"{where}: {_first(error)}", code="config.value", where=where) from None


def unknown(key: str) -> UserError:
    """The error for a key that does not exist."""
    known = keys()
    by_name = {k.rsplit(".", 1)[-1]: k for k in known}
    guess = by_name.get(key.rsplit(".", 1)[-1])
    hint = f"did you mean {guess!r}?" if guess else nearest(key, known)
    return UserError(f"unknown key {key!r}", hint=hint, code="config.unknown_key", where=key)


def keys(section: type[BaseModel] = TrainConfig, prefix: str = "") -> dict[str, str]:
    """Every dotted key with what it means."""
    made: dict[str, str] = {}
    for name, info in section.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and not isinstance(kind, types.GenericAlias) and issubclass(kind, Section):
            made |= keys(kind, f"{prefix}{name}.")
        else:
            made[prefix + name] = info.description or ""
    return made


def differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    """`key: a → b` for each leaf that differs."""
    made = []
    for name in sorted({*one, *other}):
        a, b = one.get(name), other.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            made += differences(a, b, f"{prefix}{name}.")
        elif a != b:
            made.append(f"{prefix}{name}: {json.dumps(a)} → {json.dumps(b)}")
    return made


def setting(text: str) -> tuple[str, Any]:
    """A dotted key and its value, from `key=value`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"{text!r} is not a setting", hint="write key=value, e.g. length=256", code="usage")
    try:
        return key.strip(), json.loads(value)
    except json.JSONDecodeError:
        return key.strip(), None if value.lower() == "none" else value


def _find(value: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    *path, name = key.split(".")
    section: Any = value
    for part in path:
        section = section.get(part) if isinstance(section, dict) else None
    if key not in keys() or not isinstance(section, dict):
        raise unknown(key)
    return typing.cast(dict[str, Any], section), name


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    given = first.get("input")
    shown = f" (given: {given!r})" if not isinstance(given, dict) else ""
    return first["msg"].removeprefix("Value error, ") + shown
