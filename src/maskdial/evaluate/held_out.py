"""What an objective's own questions cost on held-out text: loss of token heads against a unigram, ranking of yes-or-no heads.

Losses of different objectives are not comparable: each is asked its own questions. What can be said of each alone is how far
below the unigram it is on the same tokens.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from maskdial.evaluate.items import Items
from maskdial.mixture import Mixture
from maskdial.model import Model
from maskdial.model.question import ask
from maskdial.objective import Objective
from maskdial.train.held_out import batches

#: Held-out samples, and rows a batch.
SAMPLES, ROWS = 320, 16
Found = dict[str, dict[str, float]]


def held_out(
    model: Model, objective: Objective | Mixture, corpus: Any, length: int, samples: int = SAMPLES, packing: str = "joined"
) -> Found:
    """By head, over the objective's own held-out samples (fixed noise).

    Token heads: `loss` and `unigram`, nats a scored body token (sentinels, ends and other special tokens left out), each
    counted by the objective's weight for it (1/t in masked diffusion); `top1` and `unigram_top1`, each counted once. Both are
    distributions over body ids: where a drawn span ends is nothing that a text tells, and the unigram is never asked.
    `loss_of_all` is the loss over every id, that included. Class and binary heads: `auc` of the answer 1 and its `share`. All:
    `scored`, how many were asked.
    """
    items, body = Items(corpus), np.zeros(corpus.vocab.size, dtype=bool)
    body[corpus.vocab.body] = True
    found: dict[str, list[Float64[np.ndarray, "c n"]]] = {}
    was = model.training
    model.eval()
    with torch.inference_mode():
        for batch in batches(objective, corpus, length, samples, packing, ROWS):
            given = batch.torch(model.device)
            for question, answer in model.answers(given, [ask(given, head) for head in batch.heads]):
                target = question.target
                if question.head.kind == "token":
                    made = token(model, answer, target, question.weight, items, body)
                else:
                    score = answer if answer.dim() == 1 else answer[:, 1] - answer[:, 0]
                    made = torch.stack([score.double(), target.double()])
                found.setdefault(question.head.name, []).append(made.cpu().numpy())
    model.train(was)
    kinds = {head.name: head.kind for head in objective.heads}
    return {name: summed(kinds[name], np.concatenate(parts, axis=1)) for name, parts in found.items()}


def token(model: Model, x_ND: Tensor, target_N: Tensor, weight_N: Tensor, items: Items, body: Any) -> Tensor:
    """[−log p of body ids, −log unigram, −log p of all ids, right, unigram right, weight] of each body token asked."""
    ordinary_V = torch.from_numpy(body).to(target_N.device)
    kept = ordinary_V[target_N].nonzero()[:, 0]
    target_N, weight_N = target_N[kept], weight_N[kept]
    logits = model.logits(x_ND[kept]).float()
    of_all = torch.log_softmax(logits, -1).gather(1, target_N[:, None])[:, 0]
    logp = torch.log_softmax(logits.masked_fill(~ordinary_V, -torch.inf), -1)
    unigram = torch.from_numpy(items.unigram).to(target_N.device)[target_N]
    return torch.stack([
        -logp.gather(1, target_N[:, None])[:, 0].double(), -unigram, -of_all.double(), (logp.argmax(-1) == target_N).double(),
        (target_N == items.commonest).double(), weight_N.double(),
    ])  # fmt: skip


def summed(kind: str, values: Float64[np.ndarray, "c n"]) -> dict[str, float]:
    """The means of a head's values."""
    scored = float(values.shape[1])
    if kind == "token":
        names, weight = ("loss", "unigram", "loss_of_all"), values[5]
        if not weight.any():
            return dict.fromkeys((*names, "top1", "unigram_top1"), float("nan")) | {"scored": scored}
        means = dict(zip(names, np.average(values[:3], axis=1, weights=weight).tolist(), strict=True))
        right, common = values[3:5].mean(1).tolist()
        return means | {"top1": right, "unigram_top1": common, "scored": scored}
    return {"auc": auc(values[0], values[1] > 0), "share": float(values[1].mean()) if scored else float("nan"), "scored": scored}


def auc(score: Float64[np.ndarray, " n"], yes: Any) -> float:
    """Probability that a random yes scores above a random no, ties half (the Mann–Whitney statistic); NaN without both."""
    ones, zeros = int(yes.sum()), int((~yes).sum())
    if not ones or not zeros:
        return float("nan")
    _, group, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2
    return float((rank[group][yes].sum() - ones * (ones + 1) / 2) / (ones * zeros))
