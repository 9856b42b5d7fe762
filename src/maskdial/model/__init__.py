"""One transformer, one dial: a stack is encoder or decoder by the order that comes with the sample."""

from maskdial.model.config import PRESETS, ExtraHead, ModelConfig
from maskdial.model.loss import Losses, counts, log_probs, loss
from maskdial.model.model import Model, build

__all__ = ["PRESETS", "ExtraHead", "Losses", "Model", "ModelConfig", "build", "counts", "log_probs", "loss"]
