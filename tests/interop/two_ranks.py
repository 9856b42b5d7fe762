"""One of two processes that train together: `python -m torch.distributed.run … -m tests.interop.two_ranks FOLDER`.

Writes what this rank's Trainer was fed.
"""

import os
import sys
from pathlib import Path

import torch

import maskdial as md
from tests.interop.guests import VOCAB, features, model
from tests.interop.test_trainer import LENGTHS, plain, trainer

if __name__ == "__main__":
    folder, rank = Path(sys.argv[1]), os.environ["RANK"]
    data = plain(features(LENGTHS, columns=False))
    run = trainer(folder, model("bert"), md.hf.Collator("bert", VOCAB, seed=4), data, per_device_train_batch_size=2)
    run.train()
    torch.save(run.fed, folder / f"rank{rank}.pt")
