"""Claims of the objectives that say what follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import log
from typing import Any

import numpy as np

from maskdial.conform.claim import Claim, Drawn
from maskdial.conform.laws import cut_pairs, half_even, uniform
from maskdial.conform.measure import hidden, orders, weights
from maskdial.sample import SILENT
from maskdial.vocab import Vocab


def gpt(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Radford et al. 2018: every token from all before it."""
    if o.get("window") == "shared":
        yield Claim("every position says the next token", "always", _says_all, said="the last token is said only (Megatron-LM)")
    else:
        yield Claim("position i says token i + 1", "always", _says_next, said=f"{length - 1} positions of {length}")
    yield Claim("position i sees 0 … i", "always", _causal, said="the order rises")


def _table(b: Drawn, column: str) -> Any:
    return b.samples.column(column).reshape(b.count, -1)


def _says_next(b: Drawn) -> Any:
    read, said = _table(b, "read"), _table(b, "target:token")
    return (said[:, :-1] == read[:, 1:]).all(axis=1) & (said[:, -1] == SILENT)


def _says_all(b: Drawn) -> Any:
    return (_table(b, "target:token") == b.rows.tokens.reshape(b.count, -1)[:, 1:]).all(axis=1)


def _causal(b: Drawn) -> Any:
    return (np.diff(_table(b, "order"), axis=1) > 0).all(axis=1)


def prefix_lm(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Raffel et al. 2020, released `random_prefix`."""
    if o["split"] == "uniform":
        yield Claim("where the asked part begins", "shape", lambda b: np.bincount(b.decisions["split"], minlength=length)[1:],
                    uniform(length - 1), said=f"uniform in 1 … {length - 1}", source="T5's prefix LM, density .5")  # fmt: skip
    else:
        split = min(max(half_even(length * float(o["split"])), 1), length - 1)
        yield Claim("where the asked part begins", "always", lambda b: b.decisions["split"] == split, said=f"at {split}")
    yield Claim("positions scored a row", "always", lambda b: b.asked() == length - b.decisions["split"], said="all after the split")
    yield Claim("the prefix is read both ways", "always", _prefix, said="columns of the prefix are open to every row")


def _prefix(b: Drawn) -> Any:
    order, split = _table(b, "order"), b.decisions["split"][:, None]
    place = np.arange(order.shape[1])[None, :]
    return (order == np.maximum(0, place - split + 1)).all(axis=1)


def sft(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Completions alone bear loss."""
    yield Claim("positions scored a row", "always", lambda b: b.asked() == length - length // 2,
                said="every token of the completion, its end too")  # fmt: skip
    yield Claim("position i says token i + 1 of the completion", "always", _says_completion, said="always; the prompt is silent")


def _says_completion(b: Drawn) -> Any:
    read, said, half = _table(b, "read"), _table(b, "target:token"), b.length // 2
    return (said[:, half - 1 : -1] == read[:, half:]).all(axis=1) & (said[:, : half - 1] == SILENT).all(axis=1)


def mtp(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Gloeckle et al. 2024; DeepSeek-AI 2024."""
    yield from gpt(o, length, vocab)
    for k in range(1, o["depth"] + 1):
        yield Claim(f"head token+{1 + k} says token i + {1 + k}", "always", lambda b, k=k: _says_ahead(b, 1 + k),  # type: ignore[misc]
                    said=f"{length - 1 - k} positions of {length}")  # fmt: skip


def _says_ahead(b: Drawn, k: int) -> Any:
    read, said = _table(b, "read"), _table(b, f"target:token+{k}")
    return (said[:, :-k] == read[:, k:]).all(axis=1) & (said[:, -k:] == SILENT).all(axis=1)


def fim(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Bavarian et al. 2022, §3 and appendix D."""
    yield Claim("documents whose middle is moved", "share", lambda b: ((b.decisions["cuts"].form > 0).sum(), b.count), o["rate"])
    first = 2 if o["variant"] == 2 else 3
    yield Claim("of these, suffix first", "share", lambda b: _forms(b, first), o["spm"])
    yield Claim("where a document of four is cut", "shape", _cut_cells, cut_pairs(4), length=4,
                said="two uniform cuts of 0 … 4, sorted: 15 cells", source="P(a, b) = 2 / (n + 1)², half of it for a = b")  # fmt: skip
    yield Claim("tokens a row", "always", lambda b: b.sizes == b.length + 3 * (b.decisions["cuts"].form > 0),
                said="L + 3 when moved, else L")  # fmt: skip


def _forms(b: Drawn, first: int) -> tuple[Any, Any]:
    form = b.decisions["cuts"].form
    return (form == first).sum(), (form > 0).sum()


def _cut_cells(b: Drawn) -> Any:
    cuts = b.decisions["cuts"]
    moved = cuts.form > 0
    return np.bincount(5 * cuts.first[moved] + cuts.second[moved], minlength=25)


def glm(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Du et al. 2022, §2.1, and the released placement."""
    budget = int(length * o["rate"])
    yield Claim("tokens hidden a row", "always", lambda b: b.spans.totals >= budget, said=f"at least ⌊{o['rate']:g} · {length}⌋ = {budget}")
    yield Claim("spans never touch", "always", _apart, said="a token stands between any two")
    yield Claim("order of three spans", "shape", lambda b: orders(_turns(b), 6), uniform(6), said="all 6 orders equally likely")


def _apart(b: Drawn) -> Any:
    spans = b.spans
    end = (spans.start + spans.length)[:-1]
    same = spans.entry_unit[1:] == spans.entry_unit[:-1]
    return (spans.start[1:] > end)[same]


def _turns(b: Drawn) -> Any:
    """The turns of the rows that have three spans."""
    spans = b.spans
    three = spans.begin[spans.count == 3]
    return b.decisions["turns"][three[:, None] + np.arange(3)]


def xlnet(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Yang et al. 2019, §2.3, and the released sampling."""
    k = round(length / o["k"])
    yield Claim("tokens predicted a row", "always", lambda b: hidden(b).sum(axis=1) == k, said=f"exactly round(L / {o['k']}) = {k}")
    yield Claim("order of the first three predicted", "shape", lambda b: orders(_ranks(b), 6), uniform(6),
                said="all 6 orders equally likely")  # fmt: skip
    yield Claim("tokens predicted of 512", "always", lambda b: b.asked() == round(512 / o["k"]), length=512,
                said=f"exactly {round(512 / o['k'])}", source="num_predict of the release: 85")  # fmt: skip


def _ranks(b: Drawn) -> Any:
    """The ranks of each row's first three predicted tokens."""
    return np.asarray(b.decisions["ranks"]).reshape(b.count, -1)[:, :3]


def sigma_gpt(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Pannatier et al. 2024."""
    yield Claim("order of four tokens", "shape", lambda b: orders(b.decisions["permutation"], 24), uniform(24), length=4,
                said="all 24 orders equally likely")  # fmt: skip
    yield Claim("position i says what i + 1 reads", "always", _says_next, said=f"{length - 1} positions of {length}")


def block_diffusion(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Arriola et al. 2025."""
    low, high = o["low"], o["high"]
    yield Claim("noise level of a block", "shape", lambda b: np.histogram(b.decisions["levels"], 20, (low, high))[0], uniform(20),
                said=f"uniform in {low:g} … {high:g}")  # fmt: skip
    deviation = ((log(high / low) / (high - low) - 1) / length) ** 0.5
    yield Claim("weights of a text, over its length", "mean", lambda b: weights(b) / b.length, 1.0, deviation,
                said="1 on average: the weighted sum is the bound", source="weight 1/t")  # fmt: skip
    yield Claim("a row holds the text twice", "always", lambda b: b.sizes == 2 * length, said=f"2 · {length}")


CLAIMS = {
    "gpt": gpt, "prefix-lm": prefix_lm, "sft": sft, "mtp": mtp, "fim": fim, "glm": glm, "xlnet": xlnet, "sigma-gpt": sigma_gpt,
    "block-diffusion": block_diffusion,
}  # fmt: skip
