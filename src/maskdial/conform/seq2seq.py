"""Claims of the objectives that answer in a stream of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, factorial
from typing import Any

import numpy as np

from maskdial.conform.claim import Claim, Drawn
from maskdial.conform.laws import first_length, first_part, half_even, uniform
from maskdial.conform.measure import first_spans, hidden, one_place, orders
from maskdial.corruption.render import AS_MASK, AS_RANDOM, REMOVED
from maskdial.vocab import Vocab

#: sentences of the rows that are drawn
SENTENCES = 4


def t5(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Raffel et al. 2020, released `random_spans_noise_mask`: exact counts, compositions, kept text first."""
    n = min(length - 1, max(1, half_even(length * o["rate"])))
    s = min(max(1, half_even(n / o["mean_length"])), n, length - n)
    counts = f"exactly {n} in {s} spans"
    if o["roll"]:
        yield Claim("tokens hidden a row", "always", lambda b: hidden(b).sum(axis=1) == n, said=f"exactly {n}")
        yield Claim("places of the hidden", "shape", lambda b: one_place(hidden(b)), uniform(length), said="uniform: the mask is rolled")
        return
    yield Claim("tokens hidden and spans a row", "always", lambda b: (b.spans.totals == n) & (b.spans.count == s), said=counts,
                source="round(L · r), round(n / μ)")  # fmt: skip
    yield Claim("length of the first span", "shape", lambda b: first_spans(b, n), first_part(n, s),
                said=f"C({n} − ℓ − 1, {s} − 2) / C({n} − 1, {s} − 1): a uniform composition, neither Poisson nor geometric")  # fmt: skip
    yield Claim("tokens kept before the first span", "shape", lambda b: np.bincount(b.spans.start[b.spans.begin], minlength=length - n + 1),
                first_part(length - n, s), said="a uniform composition of what is kept")  # fmt: skip
    yield Claim("the text starts kept and ends hidden", "always", _ends_hidden, source="the released mask, never rolled")
    yield Claim("positions scored a row", "always", lambda b: b.asked() == n + s + 1, said=f"{n} + {s} sentinels + end")


def _ends_hidden(b: Drawn) -> Any:
    flags = hidden(b)
    return ~flags[:, 0] & flags[:, -1]


def bart(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Lewis et al. 2020, §2.2, and fairseq's overlapping spans."""
    budget, mean = ceil(round(length * o["infill"], 9)), o["poisson_lambda"]
    if o["permute"]:
        yield Claim("order of the sentences", "shape", lambda b: orders(_blocks(b), factorial(SENTENCES)), uniform(factorial(SENTENCES)),
                    said=f"all {factorial(SENTENCES)} orders of {SENTENCES} sentences equally likely")  # fmt: skip
    if o["infill"] and o["spans"] == "apart":
        yield Claim("tokens covered a row", "always", lambda b: b.spans.totals == budget,
                    said=f"exactly ⌈{o['infill']:g} · {length}⌉ = {budget}", source="Lewis et al. 2020, §5.1")  # fmt: skip
        yield Claim("length of the first span", "shape", lambda b: first_spans(b, budget), first_length(budget, mean),
                    said=f"Poisson({mean:g}), the last draw cut to the budget", source="Lewis et al. 2020, §2.2")  # fmt: skip
    elif o["infill"]:
        yield Claim("source at 256 tokens, bare", "mean", _bare_source, 206.1, within=0.4, length=256,
                    said="187.7 kept + 18.4 [MASK]s", source="fairseq's algorithm re-run: mask .3, λ 3.5, no permutation")  # fmt: skip
        yield Claim("surviving [MASK]s that are random tokens", "share", _random_marks, o["random"], source="mask_random of the command")


def _blocks(b: Drawn) -> Any:
    """The sentences' numbers in their new order."""
    start = b.decisions["sentences"].start.reshape(b.count, -1)
    return start // (b.length // SENTENCES)


def _random_marks(b: Drawn) -> tuple[Any, Any]:
    flags = b.flags()
    return (flags == AS_RANDOM).sum(), ((flags == AS_RANDOM) | (flags == AS_MASK)).sum()


def _bare_source(b: Drawn) -> Any:
    """Tokens of the source, its frame aside."""
    return (b.flags() != REMOVED).sum(axis=1) + b.decisions["inserted"]


CLAIMS = {"t5": t5, "bart": bart}
