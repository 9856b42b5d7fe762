"""Ten questions about one sample, drawn by its seed: each can be answered from the picture, and each answer is shown in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from maskdial.explore.request import names
from maskdial.explore.words import Told, listed, many, title_of
from maskdial.recipes import find
from maskdial.report.claims import texts
from maskdial.rng import below_each, keys
from maskdial.sample import KEPT, KINDS, SILENT, SPECIAL

Json = dict[str, Any]
#: kind → what happened there
HAPPENED = {"kept": "nothing: it is the text's own", "mask": "it became [MASK]", "random": "a random token took its place",
            "same": "it was chosen, but left as it is", "sentinel": "a sentinel stands for a span", "moved": "it was moved here",
            "replaced": "a generator's draw took its place", "inserted": "it was inserted", "special": "it is a special token",
            "pad": "it is padding"}  # fmt: skip
#: objectives that a sample could be taken for
USUAL = ("gpt", "bert", "prefix-lm", "t5", "fim", "xlnet", "block-diffusion", "cmlm")


class Quiz:
    """The questions of one sample. Rows are those of `stream`, the one that is asked."""

    def __init__(self, told: Told, seed: int) -> None:
        self.told, self.one = told, told.one
        scored = {name: int(told.scored[where].sum()) for name, where in told.streams}
        self.stream = max(scored, key=lambda name: scored[name])
        self.where = dict(told.streams)[self.stream]
        self.asked: list[int] = np.flatnonzero(told.scored[self.where]).tolist()
        self._key, self._drawn = keys(seed, "quiz", 0, np.zeros(1, dtype=np.uint64)), 0

    def pick(self, among: Sequence[Any]) -> Any:
        """One of them, by the seed."""
        self._drawn += 1
        return among[int(below_each(self._key, 0, self._drawn, len(among))[0])]

    def row(self, scored: bool = False) -> int:
        return int(self.pick(self.asked if scored and self.asked else range(len(self.where))))

    def at(self, row: int) -> str:
        """`position 3 “it”`."""
        return f"position {row} “{self.told.read(int(self.where[row]))}”"

    def sight(self, row: int) -> np.ndarray:
        """What a row sees of its own stream."""
        return np.asarray(self.told.visible[self.where[row]][self.where])

    def made(self, question: str, kind: str, answer: Any, say: str, row: int | None = None, choices: list[str] | None = None) -> Json:
        return {"question": question, "kind": kind, "choices": choices, "answer": answer, "stream": self.stream, "row": row, "say": say}

    def choice(self, question: str, right: str, wrong: Sequence[str], say: str, row: int | None = None) -> Json:
        """A question with up to four choices, in an order that the seed decides."""
        left = [w for w in dict.fromkeys(wrong) if w != right][:3]
        left.insert(self.pick(range(len(left) + 1)), right)
        return self.made(question, "choice", left.index(right), say, row, left)

    def number(self, question: str, right: int, others: Sequence[int], say: str, row: int | None = None) -> Json:
        choices = sorted({right, *[n for n in dict.fromkeys(others) if n >= 0 and n != right][:3]})
        return self.made(question, "choice", choices.index(right), say, row, [str(n) for n in choices])

    # --- the questions ----------------------------------------------------------------------------------------------

    def which_are_scored(self) -> Json:
        rows = self.asked
        say = f"{many(len(rows), 'position is', 'positions are')} scored: {listed(rows)}. SCORE: {self.told.objective.about.target}."
        return self.made(f"Which positions of the {self.stream} carry loss?", "positions", rows, say)

    def what_a_row_sees(self) -> Json:
        row = self.row()
        return self.made(f"Which positions of the {self.stream} may {self.at(row)} look at?", "row",
                         np.flatnonzero(self.sight(row)).tolist(), self.sentence(row), row)  # fmt: skip

    def sentence(self, row: int) -> str:
        return self.told.sentences[self.stream][row]

    def what_must_be_said(self) -> Json:
        heads = [self.one.column(f"target:{head.name}")[self.where].tolist() for head in self.one.heads if head.kind == "token"]
        row = int(self.pick([r for r in self.asked if any(head[r] != SILENT for head in heads)] or range(len(self.where))))
        right = next((self.told.token(head[row]) for head in heads if head[row] != SILENT), "nothing")
        wrong = ["nothing", *(self.told.read(self.pick(range(len(self.one)))) for _ in range(6))]
        return self.choice(f"What must {self.at(row)} predict?", right, wrong, self.sentence(row), row)

    def which_objective(self) -> Json:
        own = self.told.objective
        mine = (own.layout, own.visibility)
        others = [name for name in USUAL if name in names() and _shape(name) != mine]
        start = self.pick(range(len(others)))
        wrong = [title_of(others[(start + i) % len(others)]) for i in range(3)]
        dials = (texts(self.one.table.objective) or {}).get("dials") or {"hide": own.about.corruption, "score": own.about.target}
        say = f"{self.told.name}: {'; '.join(f'{dial.upper()} {words}' for dial, words in dials.items())}."
        return self.choice("Which objective made this sample?", self.told.name, wrong, say)

    def is_there_a_leak(self) -> Json:
        leak = self.told.leak
        n = len(leak["positions"])
        return self.number("How many scored positions can see their own answer?", n, [0, 1, len(self.asked), n + 2], leak["say"])

    def how_many_are_seen(self) -> Json:
        row = self.row(scored=True)
        seen, size = int(self.told.visible[self.where[row]].sum()), len(self.one)
        return self.number(f"How many positions does {self.at(row)} see, all streams together?", seen,
                           [size, row, row + 1, seen + 1, 1], self.sentence(row), row)  # fmt: skip

    def who_sees_whom(self) -> Json:
        a, b = self.row(), self.row()
        if a == b:
            b = (a + 1) % len(self.where)
        low, high = min(a, b), max(a, b)
        there, back = bool(self.sight(low)[high]), bool(self.sight(high)[low])
        choices = {(True, True): "each sees the other", (True, False): f"only {low} sees {high}", (False, True): f"only {high} sees {low}",
                   (False, False): "neither sees the other"}  # fmt: skip
        right = choices[there, back] if low != high else "each sees the other"
        question = f"Positions {low} and {high} of the {self.stream}: who sees whom?"
        return self.choice(question, right, list(choices.values()), self.sentence(high), high)

    def what_if_all_were_seen(self) -> Json:
        origin = set(self.one.origin[self.one.origin >= 0].tolist())
        columns = [self.one.column("answer" if h is self.one.heads[0] else f"answer:{h.name}") for h in self.one.heads]
        n = int(np.any([[int(a) in origin for a in column] for column in columns], axis=0)[self.told.scored].sum())
        say = f"{many(n, 'scored position')} would find the answer among what is read, so it would only be copied." if n else (
            "None: what must be said is nowhere to be read, so it may look everywhere.")  # fmt: skip
        return self.number("If every position could see every other, how many scored ones would see their own answer?", n,
                           [0, len(self.asked), len(self.one), n + 1], say)  # fmt: skip

    def what_happened(self) -> Json:
        kind = self.one.kind[self.where]
        changed = np.flatnonzero((kind != KEPT) & (kind != SPECIAL)).tolist()
        row = int(self.pick(changed)) if changed else self.row()
        return self.choice(f"What happened to {self.at(row)}?", HAPPENED[KINDS[kind[row]]], [*HAPPENED.values()], self.sentence(row), row)

    def how_much_is_scored(self) -> Json:
        n, size = int(self.told.scored.sum()), len(self.one)
        return self.number(f"{size} positions are read. How many of them carry loss?", n, [size, size - 1, len(self.told.chosen()), n + 2],
                           f"{self.told.clause()}.")  # fmt: skip

    def ten(self) -> list[Json]:
        """The questions, from the plainest to the hardest."""
        ask: list[Callable[[], Json]] = [
            self.how_much_is_scored, self.which_are_scored, self.what_a_row_sees, self.how_many_are_seen, self.what_must_be_said,
            self.what_happened, self.who_sees_whom, self.is_there_a_leak, self.what_if_all_were_seen, self.which_objective,
        ]  # fmt: skip
        return [question() for question in ask]


@cache
def _shape(name: str) -> tuple[str, str]:
    made = find(name).make()
    return made.layout, made.visibility
