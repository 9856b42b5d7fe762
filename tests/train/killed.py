"""A run in a process of its own that kills itself after a step: `python -m tests.train.killed OUT OBJECTIVE STEP SIGNAL [BUDGET]`."""

from __future__ import annotations

import os
import signal
import sys

import maskdial as md
from maskdial.errors import UserError
from maskdial.train.loop import Loop
from maskdial.train.start import train
from tests.train.helpers import FakeCorpus, config


def main(out: str, objective: str, at: str, number: str, budget: str = "14steps") -> None:
    real = Loop._log

    def log(self: Loop) -> None:
        real(self)
        if self.state.step == int(at):
            os.kill(os.getpid(), getattr(signal, number))

    if int(at):
        Loop._log = log  # type: ignore[method-assign]
    settings = config(budget=budget, deterministic="s" not in budget.removesuffix("steps"), checkpoint__every=4, log_every=3)
    try:
        train(settings, md.objective(objective), FakeCorpus(), out, progress="plain")
    except UserError as error:
        print(error.message, file=sys.stderr)
        sys.exit(error.exit)


if __name__ == "__main__":
    main(*sys.argv[1:])
