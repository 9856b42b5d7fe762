"""What `--deterministic` costs: the same training step with and without torch's deterministic algorithms, in one run.

    python benchmarks/determinism.py [--objectives gpt,bert,t5,electra] [--preset tiny] [--rounds 15] [--threads 1] [--json FILE]

Rounds alternate between the two, and the ratio of their best times is reported, since machines are noisy; the middle ratio of a
round's pair stands beside it. The step is the whole one: forward, backward, clipping, Muon and AdamW. The number of threads is
the same on both sides: a deterministic run keeps the one it began with, any other tries what is fastest, which is measured apart
(the last column: best time with 1 thread over best time with all).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import maskdial as md
from maskdial.model import build
from maskdial.train import TrainConfig, determinism
from maskdial.train.optimizer import Optimizer
from maskdial.train.precision import find_device
from maskdial.train.step import step

VOCAB = md.Vocab(size=2048, pad=0, bos=1, eos=2, mask=3, cls=4, sep=5, start=6, eod=7, sentinels=range(8, 140))


def stepper(name: str, preset: str, device: str) -> Callable[[], float]:
    """Seconds of one step of an objective, 8 rows of 128 tokens."""
    rng = np.random.default_rng(0)
    objective, config = md.objective(name), TrainConfig().with_overrides({"model.preset": preset})
    raw = objective.room(config.length, vocab=VOCAB).raw
    rows = md.rows([rng.integers(140, VOCAB.size, raw) for _ in range(config.rows)], word=[np.ones(raw, np.uint8)] * config.rows)
    batch = objective(rows, VOCAB).batch(objective.layout)
    config = config.decided(objective.layout)
    model = build(config.model_settings(VOCAB.size, objective.layout, objective.heads), seed=0).to(device)
    optimizer = Optimizer(model, config.optimizer)

    def timed() -> float:
        start = time.perf_counter()
        step(model, optimizer, [batch], 0.1, config.loss)
        if device != "cpu":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return timed


def compare(timed: Callable[[], float], rounds: int) -> dict[str, float]:
    """Best seconds with and without, and the middle of the rounds' ratios."""
    made: dict[bool, list[float]] = {True: [], False: []}
    for number in range(rounds + 1):
        for on in (True, False) if number % 2 else (False, True):
            torch.use_deterministic_algorithms(on)
            seconds = timed()
            made[on] += [seconds] if number else []
    torch.use_deterministic_algorithms(False)
    pairs = [a / b for a, b in zip(made[True], made[False], strict=True)]
    return {"with": min(made[True]), "without": min(made[False]), "middle": statistics.median(pairs)}


def main() -> None:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objectives", default="gpt,bert,t5,electra")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", help="write the figures here")
    given = parser.parse_args()
    determinism.prepare()
    torch.set_num_threads(given.threads)
    device, found = find_device("auto"), dict[str, Any]()
    start = time.perf_counter()
    torch.use_deterministic_algorithms(True)
    switching = time.perf_counter() - start
    print(f"{device}, {given.threads} threads; switching it on once (imports): {switching:.1f} s")
    print(f"{'objective':10}{'with ms':>10}{'without ms':>12}{'ratio':>8}{'middle':>8}{'1 thread / all':>16}")
    for name in given.objectives.split(","):
        timed = stepper(name, given.preset, device)
        made = compare(timed, given.rounds)
        torch.set_num_threads(1)
        made["one_thread"] = min(timed() for _ in range(5)) / made["without"]
        torch.set_num_threads(given.threads)
        found[name] = made | {"ratio": made["with"] / made["without"]}
        print(f"{name:10}{made['with'] * 1e3:>10.1f}{made['without'] * 1e3:>12.1f}{found[name]['ratio']:>8.2f}{made['middle']:>8.2f}"
              f"{made['one_thread']:>16.2f}", flush=True)  # fmt: skip
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump({"device": device, "threads": given.threads, "switching": switching, "steps": found, "torch": torch.__version__},
                      file, indent=1)  # fmt: skip


if __name__ == "__main__":
    main()
