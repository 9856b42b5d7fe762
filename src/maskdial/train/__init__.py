"""Training: config → plan → loop → run folder. Everything that decides a number is in the plan; nothing else is state."""

from maskdial.train.budget import parse_budget
from maskdial.train.config import TrainConfig
from maskdial.train.interrupt import Interrupted
from maskdial.train.precision import find_device
from maskdial.train.ranks import Ranks, started
from maskdial.train.run import Run, load
from maskdial.train.start import train
from maskdial.train.state import RunResult

__all__ = ["Interrupted", "Ranks", "Run", "RunResult", "TrainConfig", "find_device", "load", "parse_budget", "started", "train"]
