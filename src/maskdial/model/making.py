"""A model from its config, and a config whose extra parts come out of the same number of parameters."""

from __future__ import annotations

import torch

from maskdial.model.config import ModelConfig, rounded
from maskdial.model.generator_discriminator import GeneratorDiscriminator
from maskdial.model.model import Model


def build(config: ModelConfig, seed: int = 0) -> Model:
    """A model with fresh parameters; `seed` decides them (on the meta device they are only counted)."""
    made = Model(config) if config.generator is None else GeneratorDiscriminator(config)
    if made.device.type != "meta":
        made.start(seed)
    return made


def matched(config: ModelConfig) -> ModelConfig:
    """The config with its stack thinned until it weighs, with heads, modules and generator, what it does without (within 2 %).

    A module takes the place of a layer (Gloeckle et al. 2024, section 3) as long as two layers are left; the rest is paid for by
    a narrower SwiGLU (docs/decisions/030).
    """
    if not (config.extra_heads or config.parts):
        return config
    modules = sum(h.form == "module" for h in config.extra_heads)
    plain = config.model_copy(update={"extra_heads": (), "generator": None, "parts": 0})
    thin = config.model_copy(update={"layers": max(min(2, config.layers), config.layers - modules)})
    here = _parameters(thin, config.ffn)
    slope = (_parameters(thin, 2 * config.ffn) - here) / config.ffn
    width = rounded(config.ffn + (_parameters(plain, config.ffn) - here) / slope)
    if width < 1:
        names = ", ".join(h.name for h in config.extra_heads)
        raise ValueError(f"a stack of {config.layers} layers with ffn = {config.ffn} cannot pay for {names}: set layers and ffn higher")
    return thin.model_copy(update={"ffn": width})


def _parameters(config: ModelConfig, ffn: int) -> int:
    with torch.device("meta"):
        return build(config.model_copy(update={"ffn": ffn})).num_parameters
