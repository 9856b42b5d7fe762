"""UniLM (Dong et al. 2019, §2.3, §2.4): one masked question under four sights.

A third of the samples are read both ways, a third as a source and what follows from it, a sixth from the left and a sixth from the
right. In each, 15 % of the tokens are hidden and asked in place: 80 % [MASK], 10 % random, 10 % unchanged. A pick hides one token, or,
in a fifth of the cases, a run of two or three (equally likely; the last one is cut to the count). Two texts are read both ways or as
source and answer, and both have hidden tokens; one text is read from a side. Below, the last four rows are the orders:

    text           ·      t1  t2      ·      t3  t4      t5  ·
    read           [CLS]  t1  [MASK]  [SEP]  t3  [MASK]  t5  [SEP]
    target         ·      ·   t2      ·      ·   t4      ·   ·
    bidirectional  0      0   0       0      0   0       0   0
    sequence       0      0   0       0      1   2       3   4
    left           0      1   2       ·      3   4       5   6
    right          6      5   4       ·      3   2       1   0

Every position sees itself, which reads [MASK]: nothing is shifted, unlike a prefix LM. The cut between two texts is uniform in the row
(`Split`). `next_sentence` adds BERT's pairs and its question to the samples read both ways, as the paper does: rows of pairs are needed.
The released model tells the four apart by its segment vectors too; here `part` says first or second text and the order says the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from maskdial.corruption.choosing import counts_of, shares
from maskdial.corruption.render import Edit
from maskdial.corruption.second_part import SecondPart
from maskdial.corruption.short_runs import short_runs
from maskdial.corruption.step import Step
from maskdial.corruption.suffix import Split
from maskdial.corruption.text import Decisions
from maskdial.corruption.words import first_parts
from maskdial.mixture import Mixture, mixture
from maskdial.objective import Objective
from maskdial.recipes import Dial, recipe
from maskdial.sample import Head, Rows
from maskdial.target.in_place import InPlace
from maskdial.visibility.order import Visibility, stream

if TYPE_CHECKING:
    from maskdial.corruption.select import Hidden, Offsets

#: tokens of the longest run
LONGEST = 3
#: name → (visibility, whether there are two texts, weight)
SIGHTS: dict[str, tuple[Visibility, bool, float]] = {
    "bidirectional": ("bidirectional", True, 2.0), "sequence": ("prefix", True, 2.0), "left": ("causal", False, 1.0),
    "right": ("backward", False, 1.0),
}  # fmt: skip


@recipe(
    family="encoder",
    formula="15 % hidden × read both ways, source first, from the left or from the right × the hidden tokens",
    corruption="15 % of tokens, a fifth of the picks runs of two or three: 80 % [MASK], 10 % random, 10 % unchanged",
    target="the hidden tokens, in place, under each of four sights",
    source="Dong et al. 2019, §2.3, §2.4",
    url="https://arxiv.org/abs/1905.03197",
    good_for="one model that understands and, after fine-tuning, generates",
    known_models=("UniLM",),
)
def unilm(
    rate: Annotated[float, Dial("share of tokens chosen", 0, 1)] = 0.15,
    runs: Annotated[float, Dial("share of picks that choose a run of two or three tokens", 0, 1)] = 0.2,
    mask: Annotated[float, Dial("share of chosen tokens read as [MASK]", 0, 1)] = 0.8,
    random: Annotated[float, Dial("share of chosen tokens read as a random token", 0, 1)] = 0.1,
    next_sentence: Annotated[bool, Dial("pairs and next-sentence prediction where both ways are read, as in the paper")] = False,
) -> Mixture:
    """Hidden tokens under four sights: both ways, source first, from the left, from the right."""
    shares("unilm", mask, random)

    def hide(paired: bool) -> Edit:
        def select(rows: Rows, offsets: Offsets, d: Decisions) -> Hidden:
            fence = first_parts(rows, offsets) if paired else d.get("split")
            return short_runs(offsets, d.keys, counts_of(offsets, rate), runs, LONGEST, fence)

        return Edit(select, mask, random)

    target, hidden = InPlace(), hide(False)

    def member(visibility: Visibility, *steps: Step, **more: Any) -> Objective:
        return Objective(
            name="unilm", steps=steps, visibility=visibility, target=target, layout="encoder", head="cls", tail="sep",
            shape=lambda length: (length, 0), sees_own="kept", scored_share=lambda length: rate, **more,
        )  # fmt: skip

    two: dict[str, Any] = {"between": "sep", "columns": parts}
    members = {name: (member(sight, Split(), hidden, **two) if second else member(sight, hidden), weight)
               for name, (sight, second, weight) in SIGHTS.items()}  # fmt: skip
    as_one = {name: member(sight, SecondPart(second=second), hidden, **two) for name, (sight, second, _) in SIGHTS.items()}
    if next_sentence:
        both = member(
            "bidirectional", hide(True), **two | {"columns": lambda b: parts(b) | {"target:next_sentence": b.labels}}, pairs="next",
            needs=("part", "label"), answers=lambda b: {"answer:next_sentence": b.labels(True)},
            heads=(Head(), Head("next_sentence", kind="class", divisor="rows")),
        )  # fmt: skip
        members["bidirectional"] = both, SIGHTS["bidirectional"][2]
        del as_one["bidirectional"]
    return mixture(members, mode_tokens=False, name="unilm", as_one=as_one)


def parts(b: Any) -> dict[str, Any]:
    """Which text a position belongs to, the first (its [SEP] too) or the second."""
    return {"part": lambda: stream(b.out, b.front + b.cut + 1)}

