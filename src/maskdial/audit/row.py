"""What is audited: rows as a model gets them, whoever made them, and what is known about where they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from maskdial.sample import SILENT

if TYPE_CHECKING:
    from jaxtyping import Bool, Int64, UInt8

    from maskdial.mixture import Mixture
    from maskdial.objective import Objective
    from maskdial.vocab import Vocab

#: how a row asks: the token that follows · the token that stands (or stood) here · a second stream that a decoder writes · in slots
#: of the row's own, which stand elsewhere than the text they ask for (XLNet, GLM)
Form = Literal["next", "in place", "answer", "elsewhere"]


@dataclass
class Row:
    """One row. S positions are read; T = S of them may be asked, or the T positions of a decoder's answer.

    `target` stands at the position that must say it. `real` is False where padding is. `answer` is what a decoder reads, where
    that is given. `sight()[q, k]`: position q may look at position k, where the data says so itself. `attends` is a 2-D
    attention mask as it was given. `kind` is provenance. `leaks` counts scored positions that can see their own answer, beside how
    many the recipe declares (None: unknown). `body` is the text's own tokens, as far as they are known. `lost` counts tokens of the
    text that neither what is read nor what is asked holds.
    """

    number: int
    read: Int64[np.ndarray, " s"]
    real: Bool[np.ndarray, " s"]
    target: Int64[np.ndarray, " t"]
    form: Form = "next"
    answer: Int64[np.ndarray, " t"] | None = None
    sight: Callable[[], Bool[np.ndarray, "s s"]] | None = None
    attends: Bool[np.ndarray, " s"] | None = None
    position: Int64[np.ndarray, " s"] | None = None
    segment: Int64[np.ndarray, " s"] | None = None
    kind: UInt8[np.ndarray, " s"] | None = None
    leaks: tuple[int, int] | None = None
    body: Int64[np.ndarray, " b"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    lost: int | None = None
    text: str | None = None

    @property
    def scored(self) -> Bool[np.ndarray, " t"]:
        return self.target != SILENT

    @property
    def tokens(self) -> int:
        """Positions that are read and no padding."""
        return int(self.real.sum())


def _gap(silent: Bool[np.ndarray, " n"]) -> bool:
    """Whether two neighbours are asked nothing, before the end: one alone is where a packed document begins."""
    return bool((silent[:-3] & silent[1:-2]).any())


@dataclass
class Evidence:
    """All that the checks look at.

    `passes` holds the same data read once an epoch, `ranks` what further ranks read in the first. `rate` is the corruption that was
    asked for. `shifted` says that labels came one place further left than a model that shifts them itself wants. `ours`: the
    samples are a recipe's own, not read off batches; `made`: a recipe's, in whatever form. `windows`: rows are cuts of a stream,
    which end anywhere. `features` are what a collator was given; `refused` says on which rows one stopped, and why. `changed`: how
    many documents the tokenizer does not give back, of how many. `left_out`: what preparing the text left
    out, a sentence each.
    """

    source: str
    passes: list[list[Row]]
    form: Form
    vocab: Vocab | None = None
    objective: Objective | Mixture | None = None
    rate: float | None = None
    labels: bool = True
    shifted: bool = False
    ours: bool = False
    made: bool = False
    windows: bool = False
    seed: int = 0
    ranks: list[list[Row]] = field(default_factory=list)
    features: Sequence[Mapping[str, Any]] = ()
    refused: list[tuple[int, str]] = field(default_factory=list)
    changed: tuple[int, int] | None = None
    left_out: list[str] | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        """The first pass."""
        return self.passes[0]

    @property
    def name(self) -> str | None:
        return None if self.objective is None else str(self.objective.name)

    @property
    def supervised(self) -> bool:
        """Whether a prompt is given and only what answers it is asked."""
        if self.objective is not None:
            return "part" in self.objective.needs and self.objective.pairs is None
        asked = [r for r in self.rows if r.scored.any()]
        return self.form == "next" and any(not r.scored[: r.tokens // 2].any() or _gap(~r.scored[r.real]) for r in asked)

    def option(self, name: str) -> Any:
        """An option of the recipe, its default where it was not set; None where there is no recipe or no such option."""
        from maskdial.recipes import find, recipes

        if self.objective is None or self.name not in recipes():
            return None
        known = find(str(self.name)).options
        return self.objective.options.get(name, known[name].default) if name in known else None

    def ids(self, *roles: str) -> set[int]:
        """The ids of these roles that the vocabulary has."""
        return {id for role in roles if self.vocab is not None and (id := getattr(self.vocab, role)) is not None}

    @property
    def ends(self) -> set[int]:
        """Tokens that end a text."""
        return self.ids("eos", "eod")

    def spell(self, id: int) -> str:
        codec = None if self.vocab is None else self.vocab.codec
        return str(codec.token(int(id))) if codec is not None and hasattr(codec, "token") else str(int(id))
