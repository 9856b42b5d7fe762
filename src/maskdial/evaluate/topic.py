"""What frozen features know: a linear probe for a document's label."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64

from maskdial.evaluate.items import Items, Part, shuffled
from maskdial.evaluate.likelihood import Found
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer
from maskdial.evaluate.statistics import Outcome, not_applicable

#: Tokens of a document that are read, train documents a class at most, held-out documents in all.
LENGTH = 96
TRAIN_A_CLASS = 60
TEST = 300
CLASSES = 12
#: A class needs as many train and held-out documents.
FEWEST = (12, 3)
#: Weight decay of the probe (standardised features).
DECAY = 1e-2


def topic(scorer: Scorer, phrasing: Phrasing, items: Items) -> Found:
    """Accuracy on held-out documents of a logistic regression on frozen mean features, fitted on train documents.

    Baseline: the majority class of the fitted documents. Features are the last layer's, averaged over body tokens, of the text
    read as it is (source side).
    """
    classes = _classes(items)
    if len(classes) < 2:
        return not_applicable("the corpus has no labels with documents enough in both parts")
    train, test = (_documents(items, part, classes, most) for part, most in (("train", TRAIN_A_CLASS), ("held_out", TEST)))
    fitted, asked = (scorer.mean_features(phrasing.show([ids for _, ids, _ in docs])) for docs in (train, test))
    truth = np.array([label for _, _, label in test])
    given = np.array([label for _, _, label in train])
    guess = probe(fitted, given, asked, len(classes))
    majority = int(np.bincount(given).argmax())
    records = [{"document": i, "label": classes[t], "guess": classes[g]} for (i, _, _), t, g in zip(test, truth, guess, strict=True)]
    return Outcome.of([i for i, _, _ in test], guess == truth, None, (truth == majority).astype(float), proportion=True,
                      note=f"{len(classes)} classes, {len(train)} documents fitted", records=records)  # fmt: skip


def _labels(items: Items, part: str) -> list[str | None]:
    documents: Part = getattr(items.corpus, part)
    return [documents.label(i) for i in range(documents.num_documents)]


def _classes(items: Items) -> list[str]:
    """The commonest labels that both parts have enough of."""
    train, held = (Counter(label for label in _labels(items, part) if label) for part in ("train", "held_out"))
    enough = [c for c, n in train.most_common() if n >= FEWEST[0] and held[c] >= FEWEST[1]]
    return enough[:CLASSES]


def _documents(items: Items, part: str, classes: list[str], most: int) -> list[tuple[int, Any, int]]:
    """(document, its first tokens, class) in a fixed shuffled order; of train documents at most `most` a class."""
    documents: Part = getattr(items.corpus, part)
    labels = _labels(items, part)
    used: Counter[int] = Counter()
    made: list[tuple[int, Any, int]] = []
    for i in shuffled(len(labels), f"topic {part}").tolist():
        label = labels[i]
        if label not in classes:
            continue
        k = classes.index(str(label))
        if (used[k] if part == "train" else len(made)) >= most:
            continue
        ids = items.body(documents, i)[:LENGTH]
        if len(ids) < 2:
            continue
        used[k] += 1
        made.append((i, ids, k))
    return made


def probe(
    features: Float32[np.ndarray, "n d"], labels: Int64[np.ndarray, " n"], asked: Float32[np.ndarray, "m d"], classes: int
) -> Int64[np.ndarray, " m"]:
    """The classes a multinomial logistic regression gives `asked`: features standardised, L2 decay, L-BFGS to convergence."""
    middle, spread = features.mean(0), features.std(0) + 1e-6
    x_ND, y_N = torch.from_numpy((features - middle) / spread), torch.from_numpy(labels.astype(np.int64))
    weight_DC = torch.zeros(x_ND.shape[1], classes, requires_grad=True)
    bias_C = torch.zeros(classes, requires_grad=True)
    fit = torch.optim.LBFGS([weight_DC, bias_C], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        fit.zero_grad()
        value = torch.nn.functional.cross_entropy(x_ND @ weight_DC + bias_C, y_N) + DECAY * weight_DC.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    fit.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        score_MC = torch.from_numpy((asked - middle) / spread) @ weight_DC + bias_C
    return np.asarray(score_MC.argmax(1).numpy())
