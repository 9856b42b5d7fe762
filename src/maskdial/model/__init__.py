"""One transformer, one dial: a stack is encoder or decoder by the order that comes with the sample."""

from maskdial.model.config import PRESETS, ExtraHead, ModelConfig
from maskdial.model.flops import flops
from maskdial.model.generator_discriminator import GeneratorDiscriminator
from maskdial.model.loss import Losses, counts, log_probs, loss
from maskdial.model.making import build, matched
from maskdial.model.model import Model

__all__ = [
    "PRESETS", "ExtraHead", "GeneratorDiscriminator", "Losses", "Model", "ModelConfig", "build", "counts", "flops", "log_probs", "loss",
    "matched",
]  # fmt: skip
