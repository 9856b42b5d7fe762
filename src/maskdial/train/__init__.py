"""Training: config → plan → loop → run folder. Everything that decides a number is in the plan; nothing else is state."""

from maskdial.train.budget import parse_budget
from maskdial.train.config import TrainConfig
from maskdial.train.interrupt import Interrupted
from maskdial.train.loop import RunResult
from maskdial.train.run import Run, load
from maskdial.train.start import train

__all__ = ["Interrupted", "Run", "RunResult", "TrainConfig", "load", "parse_budget", "train"]
