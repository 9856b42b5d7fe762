"""The forms in which an objective can be asked: its own, or one for each member of a mixture, which answers what it fits best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.statistics import Outcome
from maskdial.mixture import Mixture
from maskdial.objective import Objective
from maskdial.sample import Layout
from maskdial.vocab import Vocab

Fit = tuple[bool, ...]


def _continue(p: Phrasing) -> Fit:
    return p.left, p.chain, not p.shows


#: what a question wants of who is asked, the weightiest first
WANTS: dict[str, Callable[[Phrasing], Fit]] = {
    "continue": _continue,
    "whole": lambda p: (p.reads_on, *_continue(p)),
    "fill": lambda p: (p.shows, *_continue(p)),
    "repair": lambda p: (p.rewrites, p.doubts and not p.chain, p.shows),
}


class Forms:
    """All forms of one objective. `layout` is the trained model's; `decode` and `language` as `Phrasing` wants them."""

    def __init__(
        self, objective: Objective | Mixture, vocab: Vocab, layout: Layout | None = None,
        decode: Callable[[list[int]], str] | None = None, language: int | None = None,
    ) -> None:  # fmt: skip
        self.name, self.layout = objective.name, layout or objective.layout
        parts = {name: objective.member(name, vocab) for name in objective.members} if isinstance(objective, Mixture) else {"": objective}
        self.all = [Phrasing(one, vocab, self.layout, decode, language, member) for member, one in parts.items()]

    def fit(self, want: str) -> Phrasing:
        """The form that fits best what is wanted: to "continue", to "fill", to "repair", or the "whole" of a text."""
        return max(self.all, key=WANTS[want])


def asked_as(phrasing: Phrasing) -> str:
    """As what it was asked, in words: which member of a mixture, and that languages were not told apart; often nothing."""
    member = f"asked as its member {phrasing.member}" if phrasing.member else ""
    many = phrasing.separates and len(phrasing.vocab.languages) > 1
    return joined(member, "every text under one language's token" if many else "")


def joined(*notes: str) -> str:
    """Notes as one."""
    return "; ".join(note for note in notes if note)


def noted(found: Outcome | dict[str, Any], phrasing: Phrasing) -> Outcome | dict[str, Any]:
    """An outcome that says as what the objective was asked."""
    return replace(found, note=joined(found.note, asked_as(phrasing))) if isinstance(found, Outcome) else found
