"""Claims of the objectives that answer in a stream of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import ceil, factorial
from typing import Any

import numpy as np

from maskdial.conform.claim import Claim, Drawn
from maskdial.conform.laws import first_length, first_part, half_even, runs, uniform
from maskdial.conform.measure import first_spans, hidden, one_place, orders
from maskdial.corruption.render import AS_MASK, AS_RANDOM, AS_SAME, REMOVED
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
    if s == 1:
        yield Claim("one span is the tail", "always", lambda b: b.spans.start == length - n, said=f"the last {n} tokens")
    else:
        yield from _compositions(n, s, length)
    yield Claim("the text starts kept and ends hidden", "always", _ends_hidden, source="the released mask, never rolled")
    yield Claim("positions scored a row", "always", lambda b: b.asked() == n + s + 1, said=f"{n} + {s} sentinels + end")
    if o["float32"] and (o["rate"], o["mean_length"]) == (0.15, 3.0):
        yield Claim("source and answer of 568 tokens", "always", _released_shape, length=568, said="512 and 114: 85 hidden in 28 spans",
                    source="google-research/text-to-text-transfer-transformer") # fmt: skip


def _released_shape(b: Drawn) -> Any:
    answer = np.add.reduceat(b.samples.stream.astype(np.int64), b.samples.offsets[:-1])
    return (b.sizes - answer == 512) & (answer == 114) & (b.spans.totals == 85) & (b.spans.count == 28)


def _compositions(n: int, s: int, length: int) -> Iterator[Claim]:
    yield Claim("length of the first span", "shape", lambda b: first_spans(b, n), first_part(n, s),
                said=f"C({n} − ℓ − 1, {s} − 2) / C({n} − 1, {s} − 1): a uniform composition, neither Poisson nor geometric")  # fmt: skip
    yield Claim("tokens kept before the first span", "shape", lambda b: np.bincount(b.spans.start[b.spans.begin], minlength=length - n + 1),
                first_part(length - n, s), said="a uniform composition of what is kept")  # fmt: skip


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


def mbart(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Liu et al. 2020: BART's noise over sentences with an end each."""
    yield Claim("order of the sentences", "shape", lambda b: orders(_blocks(b), factorial(SENTENCES)), uniform(factorial(SENTENCES)),
                said=f"all {factorial(SENTENCES)} orders equally likely")  # fmt: skip
    if o["spans"] == "apart":
        budget = ceil(round((length + SENTENCES) * o["infill"], 9))
        yield Claim("tokens covered a row", "always", lambda b: b.spans.totals == budget,
                    said=f"exactly ⌈{o['infill']:g} · {length + SENTENCES}⌉ = {budget}, sentence ends among them")  # fmt: skip
        yield Claim("length of the first span", "shape", lambda b: first_spans(b, budget), first_length(budget, o["poisson_lambda"]),
                    said=f"Poisson({o['poisson_lambda']:g}), the last draw cut to the budget")  # fmt: skip
    yield Claim("source and answer end with the language", "always", _language, said="always", source="fairseq's item: x </s> [language]")


def _language(b: Drawn) -> Any:
    s, end = b.samples, b.samples.offsets[1:] - 1
    source = s.offsets[:-1] + np.add.reduceat(s.stream == 0, s.offsets[:-1]) - 1
    language = next(iter(b.vocab.languages.values()))
    return (s.read[source] == language) & (s.target[end] == language) & (s.read[source + 1] == language)


def t5_iid(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Raffel et al. 2020, §3.3.1: coins."""
    rate = o["rate"]
    yield Claim("share of tokens hidden", "share", lambda b: (hidden(b).sum(), hidden(b).size), rate)
    mean, deviation = runs(rate, length)
    yield Claim("runs, a sentinel each", "mean", lambda b: b.spans.count, mean, deviation, said=f"r + (L − 1) r (1 − r) = {mean:.4g}")


def t5_drop(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Raffel et al. 2020, §3.3.1: dropped tokens."""
    yield Claim("share of tokens removed", "share", lambda b: (hidden(b).sum(), hidden(b).size), o["rate"])
    yield Claim("the answer is what was removed, and the end", "always", lambda b: b.asked() == hidden(b).sum(axis=1) + 1, said="always")


def deshuffle(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Raffel et al. 2020, §3.3.1: the text from its tokens."""
    yield Claim("order of four tokens", "shape", lambda b: orders(b.decisions["permutation"], 24), uniform(24), length=4,
                said="all 24 orders equally likely")  # fmt: skip
    yield Claim("where the first token goes", "shape", lambda b: np.bincount(b.flags("permutation").argmin(axis=1), minlength=length),
                uniform(length), said="uniform")  # fmt: skip


def mass(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Song et al. 2019, and the released starts."""
    n = half_even(length * o["rate"])
    law = np.full(length - n + 1, (0.6 if o["start"] == "sides" else 1.0) / (length - n + 1))
    if o["start"] == "sides":
        law[0], law[-1] = law[0] + 0.2, law[-1] + 0.2
    yield Claim("tokens of the run", "always", _one_run, said=f"one run of {n}")
    yield Claim("where the run begins", "shape", lambda b: np.bincount(hidden(b).argmax(axis=1), minlength=length - n + 1), law,
                said="uniform" if o["start"] == "uniform" else "a fifth at each end, else uniform")  # fmt: skip
    yield Claim("of the run: [MASK], random, unchanged", "shape",
                lambda b: [(b.flags() == action).sum() for action in (AS_MASK, AS_RANDOM, AS_SAME)],
                [o["mask"], o["random"], 1 - o["mask"] - o["random"]])  # fmt: skip


def _one_run(b: Drawn) -> Any:
    flags = hidden(b)
    return (flags.sum(axis=1) == flags.shape[1] // 2) & ((flags[:, 1:] & ~flags[:, :-1]).sum(axis=1) + flags[:, 0] == 1)


def pegasus(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Zhang et al. 2020: sentences, by how much they share with the rest."""
    cut = max(1, int(o["rate"] * SENTENCES))
    yield Claim("sentences cut out", "always", lambda b: b.spans.count == cut, said=f"max(1, ⌊{o['rate']:g} · {SENTENCES}⌋) = {cut}")
    yield Claim("the one most like the rest", "always", _most_alike, said="ROUGE-1 F1 against the other sentences, checked on a sixteenth")


def _most_alike(b: Drawn) -> Any:
    size, made = b.length // SENTENCES, []
    for row in range(0, b.count, 16):
        parts = b.rows.tokens[b.rows.offsets[row] : b.rows.offsets[row + 1]].reshape(SENTENCES, size).tolist()
        scores = []
        for i, part in enumerate(parts):
            rest = Counter(token for j, other in enumerate(parts) if j != i for token in other)
            common = sum((Counter(part) & rest).values())
            scores.append(2 * common / (size + size * (SENTENCES - 1)))
        made.append(scores[b.spans.start[b.spans.begin[row]] // size] == max(scores))
    return made


def cmlm(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Ghazvininejad et al. 2019: a uniform number of [MASK]s."""
    yield Claim("where the answer begins", "shape", lambda b: np.bincount(b.decisions["split"], minlength=length)[1:], uniform(length - 1),
                said=f"uniform in 1 … {length - 1}")  # fmt: skip
    answer = length // 2
    yield Claim(f"[MASK]s of an answer of {answer}", "shape", lambda b: np.bincount(_rest(b, answer).sum(axis=1), minlength=answer)[1:],
                uniform(answer - 1), said=f"uniform in 1 … {answer - 1}")  # fmt: skip
    yield Claim(f"their places in an answer of {answer}", "shape", lambda b: one_place(_rest(b, answer)), uniform(answer), said="uniform")


def _rest(b: Drawn, answer: int) -> Any:
    """The flags of the answers that have this many tokens."""
    return hidden(b)[b.decisions["split"] == b.length - answer][:, b.length - answer :]


CLAIMS = {
    "t5": t5, "bart": bart, "mbart": mbart, "t5-iid": t5_iid, "t5-drop": t5_drop, "deshuffle": deshuffle, "mass": mass,
    "pegasus": pegasus, "cmlm": cmlm,
}  # fmt: skip
