"""Claims of the objectives that hide tokens in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from maskdial.conform.claim import Claim, Drawn
from maskdial.conform.laws import half_even, uniform
from maskdial.conform.measure import body_read, hidden, one_place
from maskdial.corruption.render import AS_MASK, AS_RANDOM, AS_SAME
from maskdial.vocab import Vocab


def count_of(o: Mapping[str, Any], length: int) -> Iterator[Claim]:
    """How many tokens are chosen, by the rule's name."""
    rate, framed = o["rate"], length + 2
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
    whole = o.get("pool") == "vocabulary"
    law = uniform(vocab.size)
    if not whole:
        law = np.zeros(vocab.size)
        law[vocab.body] = 1 / len(vocab.body)
    return Claim("random tokens", "shape", lambda b: np.bincount(body_read(b)[b.flags() == AS_RANDOM], minlength=b.vocab.size), law,
                 said="uniform over " + ("the whole vocabulary" if whole else "ids that are not special"))  # fmt: skip


def rest_unchanged(b: Drawn) -> Any:
    """Rows in which every token that was not chosen is read as it is and not asked."""
    read, text = body_read(b), b.rows.tokens.reshape(b.count, -1)
    return ((read == text) | hidden(b)).all(axis=1)


UNCHANGED = Claim("tokens that were not chosen are read as they are", "always", rest_unchanged, said="always")


def bert(o: Mapping[str, Any], length: int, vocab: Vocab) -> Iterator[Claim]:
    """Devlin et al. 2019, and the three ways to count."""
    yield from count_of(o, length)
    yield becomes(o)
    yield anywhere(length)
    yield random_ids(o, vocab)
    yield UNCHANGED


CLAIMS = {"bert": bert}
