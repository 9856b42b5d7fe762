"""Claims of the objectives that hide tokens in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil, log
from typing import Any

import numpy as np

from maskdial.conform.claim import Claim, Drawn
from maskdial.conform.laws import half_even, level_deviation, occupied, uniform
from maskdial.conform.measure import body_read, hidden, one_place, weights
from maskdial.conform.pairs import plan
from maskdial.corruption.render import AS_MASK, AS_RANDOM, AS_SAME
from maskdial.sample import SILENT
from maskdial.vocab import Vocab


def count_of(o: Mapping[str, Any], length: int, frame: int = 2) -> Iterator[Claim]:
    """How many tokens are chosen, by the rule's name."""
    rate, framed = o["rate"], length + frame
    if o["count"] == "bernoulli":
        yield Claim("share of tokens chosen", "share", lambda b: (hidden(b).sum(), hidden(b).size), rate,
                    source="a coin a token (Hugging Face's collator)")  # fmt: skip
        yield Claim("rows with nothing chosen", "share", lambda b: ((~hidden(b).any(axis=1)).sum(), b.count), (1 - rate) ** length,
                    said=f"(1 − {rate:g})^{length} = {(1 - rate) ** length:.3g}", source="Binomial count: no minimum of one")  # fmt: skip
    elif o["count"] == "exact":
        k = min(length, max(1, half_even(framed * rate)))
        yield Claim("tokens chosen a row", "always", lambda b: hidden(b).sum(axis=1) == k, said=f"exactly {k}",
                    source="max(1, round(L · rate)), L with [CLS] and [SEP] (google-research/bert)")  # fmt: skip
    else:
        mean, part = framed * rate, (framed * rate) % 1
        yield Claim("tokens chosen a row, frame included", "mean", with_frame, mean, (part * (1 - part)) ** 0.5,
                    source="floor(L · rate + U) (fairseq)")  # fmt: skip
        yield Claim("frame tokens chosen", "share", lambda b: ((b.decisions["frame"] > 0).sum(), 2 * b.count), rate,
                    source="<s> and </s> may be chosen (fairseq)")  # fmt: skip


def with_frame(b: Drawn) -> Any:
    """Chosen tokens a row, those of the frame too."""
    return hidden(b).sum(axis=1) + (b.decisions["frame"] > 0).sum(axis=1)


def becomes(o: Mapping[str, Any]) -> Claim:
    """What a chosen token looks like."""
    law = [o["mask"], o["random"], 1 - o["mask"] - o["random"]]
    return Claim("of the chosen: [MASK], random, unchanged", "shape",
                 lambda b: [(b.flags() == action).sum() for action in (AS_MASK, AS_RANDOM, AS_SAME)], law,
                 source="Devlin et al. 2019, A.1")  # fmt: skip


def anywhere(length: int) -> Claim:
    """Each place is chosen as often as any other."""
    return Claim("places of the chosen", "shape", lambda b: one_place(hidden(b)), uniform(length), said="uniform")


def random_ids(o: Mapping[str, Any], vocab: Vocab) -> Claim:
    """Where random tokens come from; an id outside has probability 0."""
    law = np.ones(vocab.size)
    if o["pool"] == "body":
        law[[*vocab.special]] = 0
    elif o["pool"] == "dictionary":
        law[[id for id in (vocab.bos, vocab.pad, vocab.eos, vocab.unk) if id is not None]] = 0
    where = {"body": "ids that are not special", "vocabulary": "the whole vocabulary", "dictionary": "all ids but fairseq's first four"}
    return Claim("random tokens", "shape", lambda b: np.bincount(body_read(b)[b.flags() == AS_RANDOM], minlength=b.vocab.size),
                 law / law.sum(), said=f"uniform over {where[o['pool']]}")  # fmt: skip


def rest_unchanged(b: Drawn) -> Any:
    """Rows in which every token that was not chosen is read as it is and not asked."""
    read, text = body_read(b), b.rows.tokens.reshape(b.count, -1)
    return ((read == text) | hidden(b)).all(axis=1)


UNCHANGED = Claim("tokens that were not chosen are read as they are", "always", rest_unchanged, said="always")


def bert(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Devlin et al. 2019, Liu et al. 2019, and the three ways to count."""
    yield from chosen(o, length, 2)
    yield becomes(o)
    yield random_ids(o, vocab)
    yield UNCHANGED


def pair(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Masked language modelling over a pair, by coins or whole words within an exact count."""
    yield from chosen(o, length, 3)
    yield becomes(o)
    yield random_ids(o, vocab)
    yield UNCHANGED
    yield Claim("the label is asked at the first position", "always", _label, said="one class a row")
    yield from plan(o.get("pairs", "order"))


def chosen(o: Mapping[str, Any], length: int, frame: int) -> Iterator[Claim]:
    """Which tokens: single ones anywhere alike, or whole words within an exact count (runs of words favour a text's inside)."""
    if o.get("ngram", 1) == 1 and not o.get("whole_word"):
        yield from count_of(o, length, frame)
        yield anywhere(length)
        return
    k = max(1, half_even((length + frame) * o["rate"]))
    yield Claim("tokens chosen a row", "always", lambda b: hidden(b).sum(axis=1) == k - k % 2,
                said=f"round(L · rate) = {k}, all of it in whole words of two tokens", source="L with the frame")  # fmt: skip
    yield Claim("a word is chosen whole or not at all", "always", _whole, said="always")


def _whole(b: Drawn) -> Any:
    flags = hidden(b)
    return (flags[:, 0::2] == flags[:, 1::2]).all(axis=1)


def _label(b: Drawn) -> Any:
    said = b.samples.column(f"target:{b.objective.heads[1].name}").reshape(b.count, -1)
    return (said[:, 0] == b.rows.label) & (said[:, 1:] == SILENT).all(axis=1)


def spanbert(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Joshi et al. 2020 and the released recipe."""
    k = ceil(round(length * o["rate"], 9))
    yield Claim("tokens hidden a row", "always", lambda b: hidden(b).sum(axis=1) == k, said=f"exactly ⌈{o['rate']:g} · {length}⌉ = {k}")
    if o["scope"] == "span":
        yield Claim("tokens of a span share one look", "always", _one_look, said="[MASK], random or unchanged for the span")
    else:
        yield becomes(o)
    if o["boundary"]:
        yield Claim("tokens asked from the neighbours", "always", lambda b: b.asked("span_boundary") == _bounded(b, o["max_pair"]),
                    said=f"the first {o['max_pair']} of each span with two neighbours", source="Joshi et al. 2020, §3.2")  # fmt: skip
    yield UNCHANGED


def _one_look(b: Drawn) -> Any:
    flags = b.flags()
    touch = (flags[:, 1:] > 0) & (flags[:, :-1] > 0)
    return ((flags[:, 1:] == flags[:, :-1]) | ~touch).all(axis=1)


def _bounded(b: Drawn, most: int) -> Any:
    """Tokens of runs that touch neither end of the text, at most `most` a run."""
    flags = hidden(b)
    place = np.arange(b.length)[None, :]
    kept = np.where(flags, -1, place)
    before = np.maximum.accumulate(kept, axis=1)
    after = np.minimum.accumulate(np.where(flags, b.length, place)[:, ::-1], axis=1)[:, ::-1]
    return (flags & (before >= 0) & (after < b.length) & (place - before <= most)).sum(axis=1)


def electra(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Clark et al. 2020 and the released positions."""
    k = max(1, half_even((length + 2) * o["rate"]))
    if o["replacement"]:
        size = 126
        k = max(1, half_even((size + 2) * o["rate"]))
        mean, deviation = occupied(size, k)
        yield Claim(f"distinct tokens of {k} draws at L = 128", "mean", lambda b: hidden(b).sum(axis=1), mean, deviation, length=size,
                    said=f"C (1 − (1 − 1/C)^k) = {mean:.2f}", source="google-research/electra draws with replacement")  # fmt: skip
    else:
        yield Claim("tokens chosen a row", "always", lambda b: hidden(b).sum(axis=1) == k, said=f"exactly {k}, without replacement")
        yield anywhere(length)
        yield Claim("of the chosen: [MASK], unchanged", "shape", lambda b: [(b.flags() == action).sum() for action in (AS_MASK, AS_SAME)],
                    [o["mask"], 1 - o["mask"]], source="no random tokens: not 80/10/10")  # fmt: skip
    yield Claim("every position is asked whether it was replaced", "always", lambda b: b.asked("replaced") == b.sizes, said="100 %")
    yield UNCHANGED


def dlm(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Sahoo et al. 2024; Nie et al. 2025."""
    least = o["least"]
    yield Claim("noise level of a text", "shape", lambda b: np.histogram(b.decisions["t"], 20, (least, 1.0))[0], uniform(20),
                said=f"uniform in {least:g} … 1")  # fmt: skip
    yield Claim("share of tokens hidden", "mean", lambda b: hidden(b).mean(axis=1), (1 + least) / 2, level_deviation(least, length))
    mean, deviation = 1.0, ((log(1 / least) / (1 - least) - 1) / length) ** 0.5
    yield Claim("weights of a text, over its length", "mean", lambda b: weights(b) / b.length, mean, deviation,
                said="1 on average: the weighted sum is the bound", source="weight 1/t")  # fmt: skip
    yield Claim("places of the hidden", "shape", lambda b: one_place(hidden(b)), uniform(length), said="uniform")
    yield Claim("a hidden token reads [MASK]", "always", lambda b: ((body_read(b) == b.vocab.mask) == hidden(b)).all(axis=1), said="always")


CLAIMS = {
    "bert": bert, "roberta": bert, "bert-nsp": pair, "albert": pair, "spanbert": spanbert, "electra": electra, "dlm": dlm,
}  # fmt: skip
