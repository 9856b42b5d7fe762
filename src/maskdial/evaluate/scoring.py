"""Samples through a model: log-likelihoods, best answers, features. Short samples share a batch; nothing is kept for gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int32, Int64
from torch import Tensor

from maskdial.batch import Batch
from maskdial.evaluate.asked import take
from maskdial.sample import SILENT, Layout, Samples

#: Positions a batch, padding included: small enough to stay in cache on a CPU, large enough to fill its threads.
POSITIONS = 8_192
#: Rows of logits at a time.
CHUNK = 4_096


class Scorer:
    """A model that answers samples. `layout` is the shape it was trained in; `vocab` says which answers are text."""

    def __init__(self, model: Any, layout: Layout, body: Int32[np.ndarray, " k"]) -> None:
        self.model, self.layout = model, layout
        first = next(iter(model.parameters()), None) if hasattr(model, "parameters") else None
        self.device = first.device if first is not None else torch.device("cpu")
        self.body = torch.from_numpy(np.asarray(body, dtype=np.int64)).to(self.device)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Evaluation mode without gradients; the model's own mode comes back afterwards."""
        training = bool(getattr(self.model, "training", False))
        if training:
            self.model.eval()
        try:
            with torch.inference_mode():
                yield
        finally:
            if training:
                self.model.train()

    def batches(self, samples: Samples) -> Iterator[tuple[Int64[np.ndarray, " r"], Batch]]:
        """(rows, their batch) in order of length, about `POSITIONS` positions each."""
        lengths = np.diff(samples.offsets)
        order = np.argsort(lengths, kind="stable")
        first = 0
        while first < len(order):
            last = first + 1
            while last < len(order) and (last - first + 1) * int(lengths[order[last]]) <= POSITIONS:
                last += 1
            which = order[first:last]
            first = last
            yield which, take(samples, which).batch(layout=self.layout).torch(self.device)

    def scored(self, samples: Samples) -> Iterator[tuple[Int64[np.ndarray, " k"], Tensor, Tensor]]:
        """(place among all scored positions of the table, hidden state [k, D], target [k]) batch by batch."""
        name = samples.heads[0].name
        count = np.bincount(rows_of_scored(samples), minlength=len(samples))
        begin = np.cumsum(count) - count
        for which, batch in self.batches(samples):
            wanted = batch[f"target:{name}"] != SILENT
            some = getattr(self.model, "hidden_at", None)  # the last layer at the scored positions alone
            hidden_ND = some(batch, wanted.flatten().nonzero()[:, 0]) if some else self.model.hidden(batch)[wanted]
            place = np.repeat(begin[which] - (np.cumsum(count[which]) - count[which]), count[which]) + np.arange(count[which].sum())
            yield place, hidden_ND, batch[f"target:{name}"][wanted].long()

    def token_log_probs(self, samples: Samples, among_body: bool = False) -> Float32[np.ndarray, " k"]:
        """Log-probability (nats) of each scored position's target, in the table's order, over the whole vocabulary.

        `among_body`: given that it is a body token (an answer's sentinels and ends take no share).
        """
        made = np.zeros(int((samples.target != SILENT).sum()), dtype=np.float32)
        with self.quiet():
            for place, hidden_ND, target_N in self.scored(samples):
                for a in range(0, len(place), CHUNK):
                    logits = self.model.logits(hidden_ND[a : a + CHUNK]).float()
                    every = logits[:, self.body] if among_body else logits
                    right = logits.gather(1, target_N[a : a + CHUNK, None])[:, 0] - torch.logsumexp(every, dim=1)
                    made[place[a : a + CHUNK]] = right.cpu().numpy()
        return made

    def log_likelihood(self, samples: Samples) -> tuple[Float64[np.ndarray, " r"], Int64[np.ndarray, " r"]]:
        """(sum of the scored positions' log-probabilities in nats, how many) for each sample."""
        row = rows_of_scored(samples)
        values = self.token_log_probs(samples)
        return np.bincount(row, values, len(samples)), np.bincount(row, minlength=len(samples))

    def best(self, samples: Samples) -> tuple[Int32[np.ndarray, " k"], Float32[np.ndarray, " k"]]:
        """(the likeliest body token, its probability among body tokens) at each scored position, in the table's order."""
        total = int((samples.target != SILENT).sum())
        made, sure = np.zeros(total, dtype=np.int32), np.zeros(total, dtype=np.float32)
        with self.quiet():
            for place, hidden_ND, _ in self.scored(samples):
                for a in range(0, len(place), CHUNK):
                    p = torch.softmax(self.model.logits(hidden_ND[a : a + CHUNK]).float()[:, self.body], dim=1).max(dim=1)
                    made[place[a : a + CHUNK]] = self.body[p.indices].cpu().numpy()
                    sure[place[a : a + CHUNK]] = p.values.cpu().numpy()
        return made, sure

    def logits(self, samples: Samples) -> Float32[np.ndarray, "k v"]:
        """All logits at the scored positions, in the table's order: for a few positions only."""
        made: list[tuple[Any, Any]] = []
        with self.quiet():
            for place, hidden_ND, _ in self.scored(samples):
                made.append((place, self.model.logits(hidden_ND).float().cpu().numpy()))
        order = np.argsort(np.concatenate([p for p, _ in made]))
        return np.asarray(np.concatenate([v for _, v in made])[order], dtype=np.float32)

    def mean_features(self, samples: Samples) -> Float32[np.ndarray, "r d"]:
        """The mean last-layer feature of each sample's body tokens (those that come from its text, in the source, where others see
        them)."""
        length = np.repeat(samples.body, np.diff(samples.offsets))
        flags = (samples.origin >= 0) & (samples.origin < length) & (samples.stream == 0)
        if samples.private is not None:
            flags &= ~samples.private
        made: dict[int, Any] = {}
        with self.quiet():
            for which, batch in self.batches(samples):
                x_BSD: Tensor = self.model.features(batch).float()
                width = x_BSD.shape[1]
                keep = np.zeros((len(which), width), dtype=np.float32)
                for i, r in enumerate(which):
                    part = flags[samples.offsets[r] : samples.offsets[r + 1]]
                    keep[i, : min(len(part), width)] = part[:width]
                keep /= np.maximum(keep.sum(1, keepdims=True), 1)
                mean = torch.einsum("bsd,bs->bd", x_BSD, torch.from_numpy(keep).to(self.device)).cpu().numpy()
                made.update(zip(which.tolist(), mean, strict=True))
        return np.stack([made[i] for i in range(len(samples))])


def rows_of_scored(samples: Samples) -> Int64[np.ndarray, " k"]:
    """The row of each scored position."""
    row = np.repeat(np.arange(len(samples)), np.diff(samples.offsets))
    return np.asarray(row[samples.target != SILENT], dtype=np.int64)
