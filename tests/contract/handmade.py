"""One hand-made sample of each objective that strains the contract, written from its paper as plain lists.

`sample(...)` is one row from named columns; tokens are words and get ids in the order of their first use.
"""

from dataclasses import dataclass, field

import numpy as np

from maskdial.sample import KINDS, Head, Samples
from tests.contract import predicates

_ = -1  # no answer
SILENT = -100
WORDS: dict[str, int] = {"[PAD]": 0}


def ids(text):
    """Ids of words; `·` is a silent target."""
    return [SILENT if word == "·" else WORDS.setdefault(word, len(WORDS)) for word in text.split()]


ONE = (Head(),)


def sample(*, body, heads=ONE, layout="encoder", **columns):
    """One sample from lists. `read` and targets are words, kinds are names; `target_HEAD` and `answer_HEAD` are a head's."""
    made = {}
    for name, values in columns.items():
        part, _sep, head = name.partition("_")
        key = name if not head else f"{part}:{head}"
        if name in ("target", "weight"):
            key = f"{name}:{heads[0].name}"
        if part in ("read", "target") and isinstance(values, str):
            values = ids(values)
        if name == "kind":
            values = [KINDS.index(kind) for kind in values.split()]
        types = {"kind": np.uint8, "stream": np.uint8, "private": np.bool_, "weight": np.float32}
        made[key] = np.asarray(values).astype(types.get(part, np.int32))
    length = len(made["read"])
    assert {len(column) for column in made.values()} == {length}
    offsets = np.array([0, length], dtype=np.int64)
    return Samples(offsets, np.zeros(1, np.uint64), made, heads, layout, body=np.array([body], dtype=np.int64))


def table(*samples):
    """Several samples of the same heads as one table."""
    first = samples[0]
    offsets = np.cumsum([0, *(s.offsets[-1] for s in samples)])
    names = set.union(*(set(s._columns) for s in samples))
    columns = {name: np.concatenate([s.column(name) for s in samples]) for name in names}
    return Samples(offsets, np.arange(len(samples), dtype=np.uint64), columns, first.heads, first.layout,
                   body=np.concatenate([s.body for s in samples]))  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A sample, who sees whom in it, and what each head's positions must say (body index, or L + slot; -1 for nothing)."""

    name: str
    samples: Samples
    sight: list = field(repr=False)
    answers: dict


def xlnet():
    """Six tokens, of which 1, 3 and 4 are predicted in the order 1, 4, 3; a query slot each reads a learned vector."""
    rank = {1: 0, 3: 2, 4: 1}
    made = sample(
        body=6,
        read="x0 x1 x2 x3 x4 x5 [MASK] [MASK] [MASK]",
        position=[0, 1, 2, 3, 4, 5, 1, 3, 4],
        order=[0, 2, 0, 6, 4, 0, 1, 5, 3],
        private=[False] * 6 + [True] * 3,
        target="· · · · · · x1 x3 x4",
        origin=[0, 1, 2, 3, 4, 5, 10, 18, 22],
        place=[0, 1, 2, 3, 4, 5, 1, 3, 4],
        kind="kept " * 6 + "mask " * 3,
        answer=[_] * 6 + [1, 3, 4],
    )
    return Case("xlnet", made, predicates.two_streams(6, rank), {"token": [_] * 6 + [1, 3, 4]})


def next_sentence():
    """`b c` and `e f` of different documents; `e` is hidden; the first position says that the second is no continuation."""
    heads = (Head(), Head("next_sentence", kind="class", divisor="rows"))
    made = sample(
        body=4, heads=heads,
        read="[CLS] b c [SEP] [MASK] f [SEP]",
        part=[0, 0, 0, 0, 1, 1, 1],
        target="· · · · e · ·",
        target_next_sentence=[1] + [SILENT] * 6,
        origin=[4 + 2, 0, 1, 4 + 6, 4 + 8, 3, 4 + 10],
        place=[_, 0, 1, _, 2, 3, _],
        kind="special kept kept special mask kept special",
        answer=[_, _, _, _, 2, _, _],
        answer_next_sentence=[4 + 27, _, _, _, _, _, _],
    )  # fmt: skip
    return Case("next-sentence", made, predicates.full(7), {"token": [_, _, _, _, 2, _, _], "next_sentence": [31] + [_] * 6})


def span_boundary():
    """SpanBERT: tokens 2 and 3 hidden, asked in place and once more from the two neighbours of their span (1 and 4)."""
    heads = (Head(), Head("span_boundary"))
    made = sample(
        body=8, heads=heads,
        read="transformer models [MASK] [MASK] from large text corpora",
        target="· · learn patterns · · · ·",
        target_span_boundary="· · learn patterns · · · ·",
        left=[0, 0, 1, 1, 0, 0, 0, 0],
        right=[0, 0, 4, 4, 0, 0, 0, 0],
        offset=[0, 0, 0, 1, 0, 0, 0, 0],
        origin=[0, 1, 16, 20, 4, 5, 6, 7],
        place=list(range(8)),
        kind="kept kept mask mask kept kept kept kept",
        answer=[_, _, 2, 3, _, _, _, _],
        answer_span_boundary=[_, _, 2, 3, _, _, _, _],
    )  # fmt: skip
    said = [_, _, 2, 3, _, _, _, _]
    return Case("span-boundary", made, predicates.full(8), {"token": said, "span_boundary": said})


def generator():
    """ELECTRA's generator reads [MASK] at the chosen tokens 0 and 2."""
    made = sample(
        body=5,
        read="[MASK] chef [MASK] the meal",
        target="the · cooked · ·",
        origin=[5, 1, 13, 3, 4], place=[0, 1, 2, 3, 4], kind="mask kept mask kept kept", answer=[0, _, 2, _, _],
    )  # fmt: skip
    return Case("electra-generator", made, predicates.full(5), {"token": [0, _, 2, _, _]})


def discriminator():
    """ELECTRA's discriminator reads the generator's draws, `the` (right, so an original) and `ate`, and judges every token."""
    heads = (Head("replaced", kind="binary", coefficient=50.0),)
    made = sample(
        body=5, heads=heads,
        read="the chef ate the meal",
        target=[0, 0, 1, 0, 0],
        origin=[0, 1, 13, 3, 4], place=[0, 1, 2, 3, 4], kind="same kept replaced kept kept",
        answer=[5 + 3 + 4 * j for j in range(10, 15)],
    )  # fmt: skip
    return Case("electra-discriminator", made, predicates.full(5), {"replaced": [48, 52, 56, 60, 64]})


def glm():
    """GLM: [x3] and [x5 x6] are blanks; part B says the second blank first; two positions a token."""
    said = [_] * 5 + [4, 5, 6 + 3, 2, 6 + 7]
    made = sample(
        body=6, layout="decoder",
        read="x1 x2 [MASK] x4 [MASK] [S] x5 x6 [S] x3",
        stream=[0] * 5 + [1] * 5,
        position=[0, 1, 2, 3, 4, 4, 4, 4, 2, 2],
        position2=[0, 0, 0, 0, 0, 1, 2, 3, 1, 2],
        order=[0, 0, 0, 0, 0, 1, 2, 3, 4, 5],
        target="· · · · · x5 x6 [E] x3 [E]",
        origin=[0, 1, 14, 3, 22, 27, 4, 5, 31, 2],
        place=[0, 1, 2, 3, 4, _, 4, 5, _, 2],
        kind="kept kept mask kept mask special kept kept special kept",
        answer=said,
    )  # fmt: skip
    return Case("glm", made, predicates.prefix(5, 10), {"token": said})


def fim(variant):
    """Fill in the middle of `a b c d e f` cut at 2 and 4: a causal model that says every token."""
    pre, suf, mid, end = 6 + 2, 6 + 6, 6 + 10, 6 + 14
    text = {"psm": "<PRE> a b <SUF> e f <MID> c d <EOT>", "spm": "<PRE> <SUF> e f <MID> a b c d <EOT>"}[variant]
    numbers = {"psm": [pre, 0, 1, suf, 4, 5, mid, 2, 3, end], "spm": [pre, suf, 4, 5, mid, 0, 1, 2, 3, end]}[variant]
    words, size = text.split(), len(numbers)
    made = sample(
        body=6, layout="decoder", read=text, target=" ".join([*words[1:], "·"]), order=range(size),
        origin=numbers, place=[n if n < 6 else _ for n in numbers], answer=[*numbers[1:], _],
        kind=" ".join("moved" if n < 6 else "special" for n in numbers),
    )  # fmt: skip
    return Case(f"fim-{variant}", made, predicates.causal(size), {"token": [*numbers[1:], _]})


def denoise(mode, source, source_from, answer, answer_from):
    """One member of a UL2 mixture: the mode token in front of the source; the answer behind a start token."""
    words = f"{mode} {source}".split()
    said, n = answer.split(), len(words)
    made = sample(
        body=8, layout="encoder-decoder",
        read=f"{mode} {source} <start> " + " ".join(said[:-1]),
        stream=[0] * n + [1] * len(said),
        position=[*range(n), *range(len(said))],
        order=[0] * n + [1 + i for i in range(len(said))],
        target="· " * n + answer,
        origin=[8 + 2, *source_from, 8 + 10, *answer_from[:-1]],
        place=[_ if x >= 8 else x for x in [8 + 2, *source_from, 8 + 10, *answer_from[:-1]]],
        kind="special " * len([*source_from, *answer_from, 0]),
        answer=[_] * n + answer_from,
    )  # fmt: skip
    return Case(f"ul2-{mode}", made, predicates.encoder_decoder(n, len(said)), {"token": [_] * n + answer_from})


def ul2():
    """Three members over the same eight tokens: R hides `learn patterns`, S the last three, X half of the text."""
    end, said = 8 + 18, 8 + 1
    return [
        denoise("[R]", "transformer models <0> from large text corpora", [0, 1, 16, 4, 5, 6, 7],
                "<0> learn patterns </s>", [said, 2, 3, end]),
        denoise("[S]", "transformer models learn patterns from", [0, 1, 2, 3, 4], "large text corpora </s>", [5, 6, 7, end]),
        denoise("[X]", "transformer models learn patterns <0>", [0, 1, 2, 3, 24],
                "<0> from large text corpora </s>", [said, 4, 5, 6, 7, end]),
    ]  # fmt: skip


def block_diffusion():
    """Blocks of two: a noisy copy (private), a clean copy; each block's hidden tokens weigh 1 over its noise level."""
    heads = (Head(divisor="tokens"),)
    said = [_, 1, 2, 3, 4, _] + [_] * 6
    made = sample(
        body=6, heads=heads, layout="decoder",
        read="a [MASK] [MASK] [MASK] [MASK] f a b c d e f",
        position=[*range(6), *range(6)],
        order=[1, 1, 3, 3, 5, 5, 2, 2, 4, 4, 6, 6],
        private=[True] * 6 + [False] * 6,
        target="· b c d e · · · · · · ·",
        weight=[0, 2, 1.25, 1.25, 4, 0] + [0] * 6,
        origin=[0, 10, 14, 18, 22, 5, 0, 1, 2, 3, 4, 5],
        place=[*range(6), *range(6)],
        kind="kept mask mask mask mask kept " + "kept " * 6,
        answer=said,
    )  # fmt: skip
    return Case("block-diffusion", made, predicates.noisy_and_clean(6, 2), {"token": said})


def multi_token(reach):
    """Tokens i + 1, i + 2 and i + 3 at every position; sequential modules (`reach` 1 and 2) also read the tokens between."""
    heads = (Head(), Head("token+2", coefficient=0.15, reach=reach), Head("token+3", coefficient=0.15, reach=2 * reach))
    answers = {"token": [1, 2, 3, 4, 5, _], "token+2": [2, 3, 4, 5, _, _], "token+3": [3, 4, 5, _, _, _]}
    columns = {"target": "b c d e f ·", "answer": answers["token"]}
    columns |= {"target_token+2": "c d e f · ·", "answer_token+2": answers["token+2"]}
    columns |= {"target_token+3": "d e f · · ·", "answer_token+3": answers["token+3"]}
    made = sample(body=6, heads=heads, layout="decoder", read="a b c d e f", order=range(6), origin=range(6), place=range(6),
                  kind="kept " * 6, **columns)  # fmt: skip
    return Case(f"multi-token-reach-{reach}", made, predicates.causal(6), answers)


CASES = [
    xlnet(), next_sentence(), span_boundary(), generator(), discriminator(), glm(), fim("psm"), fim("spm"), *ul2(),
    block_diffusion(), multi_token(0), multi_token(1),
]  # fmt: skip
