"""What each objective learns from `pydocs` in a given time: held-out loss against the unigram's, and top-1.

    python benchmarks/learn.py [-o gpt,bert,prefix-lm,t5,bart] [--budget 60s] [--json FILE] [key=value …]

Loss is nats a scored position of the objective's own held-out samples (fixed noise), over all targets and over body tokens alone;
the unigram is that of the same targets in the training part. Losses of different objectives are not comparable with each other.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

import maskdial as md
from maskdial.data import open_or_prepare
from maskdial.train import Run, TrainConfig, load, train
from maskdial.train.feed import Feed

SAMPLES, ROWS = 160, 8


def targets(run: Run, corpus: Any, part: str, count: int) -> list[Any]:
    """Batches of samples 0 … count − 1 of a part of the corpus."""
    feed = Feed(run.objective, corpus, run.config["corpus"]["raw"], seed=0, packing="joined", part=part)
    return feed.batches(0, count, count // ROWS)


def unigram(run: Run, corpus: Any) -> torch.Tensor:
    """log p of each id as a target, one added to each count."""
    counts = np.ones(corpus.vocab.size)
    for batch in targets(run, corpus, "train", 10 * SAMPLES):
        asked = batch["target:token"]
        counts += np.bincount(asked[asked >= 0], minlength=len(counts))
    return torch.from_numpy(np.log(counts / counts.sum())).float()


@torch.inference_mode()
def held_out(run: Run, corpus: Any) -> dict[str, float]:
    """Loss and top-1 over held-out samples, of the model and of the unigram."""
    body = torch.zeros(corpus.vocab.size, dtype=torch.bool)
    body[torch.from_numpy(corpus.vocab.body).long()] = True
    guess = unigram(run, corpus)
    commonest = int(guess.masked_fill(~body, -torch.inf).argmax())
    found: list[torch.Tensor] = []
    for batch in targets(run, corpus, "held_out", SAMPLES):
        batch = batch.torch()
        index = (batch["target:token"].reshape(-1) >= 0).nonzero()[:, 0]
        target = batch["target:token"].reshape(-1)[index].long()
        logp = torch.log_softmax(run.model.logits(run.model.hidden_at(batch, index)), -1)
        said = logp.gather(1, target[:, None])[:, 0]
        right = [logp.argmax(-1) == target, target == commonest, body[target]]
        found.append(torch.stack([-said, -guess[target], *(x.float() for x in right)]))
    loss, base, hit, common, real = torch.cat(found, 1)
    kept = real > 0
    return {"loss": float(loss.mean()), "unigram": float(base.mean()), "body_loss": float(loss[kept].mean()),
            "body_unigram": float(base[kept].mean()), "top1": float(hit[kept].mean()),
            "unigram_top1": float(common[kept].mean())}  # fmt: skip


def main() -> None:
    """Train, ask, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", default="gpt,bert,prefix-lm,t5,bart")
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--json")
    parser.add_argument("settings", nargs="*")
    given = parser.parse_args()
    corpus, made = open_or_prepare("pydocs"), []
    columns = ("loss", "unigram", "body_loss", "body_unigram", "top1", "unigram_top1")
    config = TrainConfig().with_overrides([*given.settings, f"budget={json.dumps(given.budget)}"])
    print("objective   steps  seconds   tok/s" + "".join(f"{c:>14}" for c in columns))
    for name in given.o.split(","):
        with tempfile.TemporaryDirectory() as folder:
            result = train(config, md.objective(name), corpus, Path(folder) / "run", progress="off")
            found = held_out(load(Path(folder) / "run"), corpus)
        speed = result.text_tokens / result.seconds
        made.append({"objective": name, "steps": result.steps, "seconds": result.seconds, "tokens_per_second": speed} | found)
        shown = "".join(f"{found[c]:>14.3f}" for c in columns)
        print(f"{name:10}{result.steps:>7,}{result.seconds:>9.1f}{speed:>8,.0f}{shown}", flush=True)
    if given.json:
        Path(given.json).write_text(json.dumps({"threads": torch.get_num_threads(), "runs": made}, indent=1))


if __name__ == "__main__":
    main()
