"""What a run's config.json says of a model that is a class of transformers, and what a step of it costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from pydantic import model_validator
from torch import nn

from maskdial.interop.classes import config_of, quiet, transformers
from maskdial.model.config import ModelConfig
from maskdial.sample import Layout

#: keys and values of cross attention: computed from the source, once a source position
CROSS = re.compile(r"(EncDecAttention|encoder_attn)\.(k|v)(_proj)?$")


class BodyConfig(ModelConfig):
    """A `ModelConfig` of someone else's model; `guest` in a saved one tells that it is no model of ours.

    `reads` is the layout that the class reads by itself; `untied` the parameters that the class would share and this model keeps
    apart; `weights` the sha256 of the folder it was published in.
    """

    guest: Literal["hf"] = "hf"
    type: str
    classname: str
    reads: Layout
    settings: dict[str, Any]
    untied: tuple[str, ...] = ()
    weights: str = ""
    #: numbers in the matrices that a position of the only or the answer stream passes, of the source stream, of the vocabulary's
    matrices: int
    source_matrices: int
    projection: int

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        return given

    @model_validator(mode="after")
    def _check(self) -> BodyConfig:
        return self

    @property
    def own_sight(self) -> str:
        """The form of sight (`maskdial.visibility.attend`) that the class has when nothing is said."""
        return "none" if self.reads == "encoder" else "causal"

    def build(self, seed: int = 0) -> Any:
        """The model with fresh parameters (`maskdial.interop.body.Body`)."""
        from maskdial.interop.body import Body, body_of

        with quiet():
            return Body(self, body_of(self, seed))

    def flops(self, batch: Mapping[str, Any], scored: Mapping[str, int] | None = None) -> float:
        """Training FLOPs of a batch, counted as in `maskdial.model.flops`."""
        two = self.shape == "encoder-decoder"
        target = "target:token"
        count = int((batch[target] >= 0).sum()) if scored is None else scored.get("token", 0)
        rows, length = batch["answer_read" if two else "read"].shape
        total = 6.0 * self.projection * count + rows * length * (6.0 * self.matrices + 12.0 * self.d * length * self.layers)
        if two:
            source = batch["source_read"].shape[1]
            total += rows * source * (6.0 * self.source_matrices + 12.0 * self.d * (source * self.source_layers + length * self.layers))
        return total


def shape_of(
    type: str, classname: str, reads: Layout, settings: dict[str, Any], apart: Callable[[str, str], bool] = lambda one, other: False,
    weights: str = "",
) -> BodyConfig:  # fmt: skip
    """The config of a class with these settings, its matrices counted. `apart` says of two parameters that the class shares whether
    they have values of their own."""
    config, two = config_of(type, settings), reads == "encoder-decoder"
    with torch.device("meta"), quiet():
        body = getattr(transformers(), classname)(config)
    answer, source = matrices(body, two)
    untied = tuple(name for name, other in body.all_tied_weights_keys.items() if apart(name, other))
    layers = config.num_hidden_layers
    after = getattr(config, "num_decoder_layers", None) or getattr(config, "decoder_layers", layers) if two else layers
    d = config.hidden_size
    ffn = next((n for name in ("intermediate_size", "d_ff", "encoder_ffn_dim", "n_inner") if (n := getattr(config, name, None))), 4 * d)
    return BodyConfig(
        vocab_size=config.vocab_size, shape="encoder-decoder" if two else "single", preset=None, d=d, layers=after,
        heads=config.num_attention_heads, ffn=ffn, source_layers=layers if two else 0, positions="relative" if two else "rotary",
        type=type, classname=classname, reads=reads, settings=settings, untied=untied, weights=weights, matrices=answer,
        source_matrices=source, projection=body.get_output_embeddings().weight.numel(),
    )  # fmt: skip


def matrices(body: Any, two: bool) -> tuple[int, int]:
    """Numbers in matrices by stream: the only or the answer's, the source's. Layers that share theirs (ALBERT) count each time."""
    from transformers.pytorch_utils import Conv1D

    config, out = body.config, body.get_output_embeddings()
    repeats = config.num_hidden_layers // config.num_hidden_groups if hasattr(config, "num_hidden_groups") else 1
    source = {id(m) for m in body.get_encoder().modules()} if two else set()
    totals = [0, 0]
    for name, module in body.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and module is not out:
            times = repeats if "layer_groups" in name else 1
            totals[id(module) in source or CROSS.search(name) is not None] += module.weight.numel() * times
    return totals[0], totals[1]
