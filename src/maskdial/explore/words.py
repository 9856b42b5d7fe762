"""A sample in words: a sentence for each row, six stages, the leaks, and one sentence for all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from maskdial.picture import plain, scored_positions
from maskdial.report.claims import texts
from maskdial.sample import INSERTED, KINDS, MASK, MOVED, RANDOM, REPLACED, SAME, SENTINEL, SILENT, SPECIAL, Head, Sample
from maskdial.view import parts, spelled, turned

#: what the numbers of a class head mean
CLASSES: dict[str, tuple[str, str]] = {
    "next_sentence": ("that the second text follows", "that the second text is a random one"),
    "sentence_order": ("that the two texts stand in their order", "that the two texts are exchanged"),
    "replaced": ("that the token is the original", "that the token was replaced"),
}
#: how kinds are counted in a sentence
COUNTED = {"mask": "as [MASK]", "random": "as a random token", "same": "chosen but left as it is", "sentinel": "as a sentinel",
           "replaced": "replaced by a generator's", "moved": "at another place", "inserted": "inserted"}  # fmt: skip
#: kind → what happened to a token, in a sentence about it
HAPPENED = {MASK: "", RANDOM: "a random token", SAME: "chosen, but left as it is", SENTINEL: "it stands for a hidden span",
            REPLACED: "drawn by a generator", MOVED: "moved here", INSERTED: "inserted", SPECIAL: "a special token"}  # fmt: skip
TITLES = {"text": "Text", "tokens": "Tokens", "choose": "Choose", "corrupt": "Corrupt", "build": "Build", "score": "See and score"}


def quoted(text: str) -> str:
    return f"“{plain(text)}”"


def many(count: int, one: str, more: str = "") -> str:
    """`1 token`, `3 tokens`."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def listed(numbers: Sequence[int]) -> str:
    """`3–5, 9` for rising numbers."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and runs[-1][1] == n:
            runs[-1][1] = n + 1
        else:
            runs.append([n, n + 1])
    return ranges(runs)


def ranges(runs: Sequence[Sequence[int]]) -> str:
    """`0–4, 7` for half-open runs."""
    return ", ".join(f"{a}–{b - 1}" if b - a > 1 else str(a) for a, b in runs[:6]) + (", …" if len(runs) > 6 else "")


class Told:
    """What can be said of one sample and its view. Rows are those of their stream, as they are drawn."""

    def __init__(self, one: Sample, seen: Mapping[str, Any]) -> None:
        self.one, self.objective = one, one.context["objective"]
        #: the SEE dial does not stand where the recipe has it
        self.turned = turned(one.context["asked"]) is not None
        self.streams = [(name, np.flatnonzero(at)) for name, at in parts(one)]
        self.sizes = {name: len(where) for name, where in self.streams}
        self.visible, self.leaks, self.scored = one.visible(), one.own_answer, scored_positions(one)
        self._panels = {(panel["q"], panel["k"]): panel["rows"] for panel in seen["attn"]}
        self._kind, self._place = one.kind.tolist(), one.place.tolist()
        self._read, self._position = one.read.tolist(), one.position.tolist()
        self._asked = [(h, one.column(f"target:{h.name}").tolist(), one.column(f"weight:{h.name}").tolist()) for h in one.heads]
        self._spelled: dict[int, str] = {}

    @property
    def name(self) -> str:
        """The recipe's title."""
        return title_of(self.one.table.objective)

    @cached_property
    def body(self) -> list[str]:
        """The text's tokens, as the text spells them."""
        text, spans = self.one.context["text"], self.one.context["spans"]
        return [text[a:b] for a, b in spans]

    def token(self, id: int) -> str:
        """A token's spelling, its blanks made visible."""
        if id not in self._spelled:
            self._spelled[id] = plain(spelled(self.one, id))
        return self._spelled[id]

    def read(self, q: int) -> str:
        """What position q of the sample reads."""
        return self.token(self._read[q])

    # --- rows -------------------------------------------------------------------------------------------------------

    @cached_property
    def sentences(self) -> dict[str, list[str]]:
        """By stream: for each row whom it sees and what it must say."""
        return {name: [f"{self.who(name, i, q)} {self.sees(name, i)} {self.said(q)}" for i, q in enumerate(where.tolist())]
                for name, where in self.streams}  # fmt: skip

    def who(self, stream: str, row: int, q: int) -> str:
        """`Position 7 “it”`, in two streams `Answer position 7 “it”`; and what happened to it."""
        word = "Position" if len(self.streams) == 1 else f"{stream.capitalize()} position"
        at = f" at place {self._position[q]}" if self._position[q] != row else ""
        happened = self.happened(q)
        return f"{word} {row} “{self.read(q)}”{at}{f' ({happened})' if happened else ''}"

    def happened(self, q: int) -> str:
        """What happened to the token that is read here; nothing for one of the text's own."""
        kind, place = self._kind[q], self._place[q]
        if kind not in HAPPENED:
            return ""
        own = quoted(self.body[place]) if 0 <= place < len(self.body) else ""
        if kind == MASK:
            return f"it hides {own}" if own else "it hides what stood here"
        return HAPPENED[kind] + (f" in place of {own}" if own and kind in (RANDOM, REPLACED) else "")

    def sees(self, stream: str, row: int) -> str:
        """Which positions a row sees, stream by stream."""
        found = []
        for name, size in self.sizes.items():
            runs = self._panels.get((stream, name), {row: []})[row]
            count = sum(b - a for a, b in runs)
            kind = "positions" if len(self.streams) == 1 else f"{name} positions"
            whole = f"all {count} {kind}" if count > 1 else f"the one {kind[:-1]}"
            if count:
                found.append(whole if count == size else f"{count} of {size} {kind}: {ranges(runs)}")
        return f"sees {' and '.join(found) or 'nothing'}."

    def said(self, q: int) -> str:
        """What it must say, head by head, and whether that is in sight."""
        asked = [(head, targets[q], weights[q]) for head, targets, weights in self._asked if targets[q] != SILENT]
        if not asked:
            return f"It is not scored (SCORE: {self.objective.about.target})."
        heavy = "" if asked[0][2] == 1 else f", weighing {asked[0][2]:.3g}"
        words = [self.word(head, target) for head, target, _ in asked if head.kind == "token"]
        must = [f"predict {', '.join(words)}"] if words else []
        must += [self.judged(head, target) for head, target, _ in asked if head.kind != "token"]
        return f"It is scored: it must {' and '.join(must)}{heavy}.{self.why(q)}"

    def word(self, head: Head, target: int) -> str:
        """A token that must be predicted, and by which head if not by the first."""
        return f"“{self.token(target)}”" + ("" if head is self.one.heads[0] else f" ({head.name.replace('_', ' ')})")

    def judged(self, head: Head, target: int) -> str:
        """What a class head must say."""
        if head.form == "drawn":
            return "have the discriminator judge what the generator puts here"
        order = head.name == "next_sentence" and self.objective.pairs == "order"
        known = CLASSES.get("sentence_order" if order else head.name)
        return f"say {known[target]}" if known and target in (0, 1) else f"say {target} ({head.name})"

    def why(self, q: int) -> str:
        """Why its own answer is in sight, if it is."""
        if not self.leaks[q]:
            return ""
        return {"kept": " That token is in sight: it was chosen but left as it is.", "copied": " The source still shows that token."}.get(
            self.objective.sees_own if not self.turned else "", " That very token is in sight: a leak."
        )

    # --- all of it --------------------------------------------------------------------------------------------------

    @cached_property
    def leak(self) -> dict[str, Any]:
        """`{"stream", "positions", "say"}`: which rows can see their own answer, and why."""
        rows = {name: np.flatnonzero(self.leaks[where]).tolist() for name, where in self.streams}
        stream = max(rows, key=lambda name: len(rows[name]))
        return {"stream": stream, "positions": rows[stream], "say": self.leak_said(rows[stream])}

    def leak_said(self, rows: list[int]) -> str:
        scored = int(self.scored.sum())
        if not scored:
            return "Nothing is scored, so nothing can leak."
        if not rows:
            return self.safe()
        n = len(rows)
        where = f"row{'' if n == 1 else 's'} {listed(rows)}"
        can = f"{n} of {many(scored, 'scored position')} can see {'its' if n == 1 else 'their'} own answer ({where})"
        if not self.turned and self.objective.sees_own == "kept":
            return f"{can}: chosen, but left as the text has it, as the objective means some to be."
        if not self.turned and self.objective.sees_own == "copied":
            return f"{can}, because the source still shows it: the objective asks for the whole text, the undamaged part too."
        return (f"{can}: it need only be copied, so nothing is learnt there. SEE is turned too far for what SCORE asks: "
                "look left only, or hide the answers.")  # fmt: skip

    def safe(self) -> str:
        """Why nothing leaks: where all is in sight, the answers are gone from the text."""
        of_tokens = all(head.kind == "token" for head in self.one.heads)
        if of_tokens and self.visible[self.scored].all():
            return "0 leaks: the scored positions see the whole text, and what they must predict is taken out of it."
        return "0 leaks: no scored position can see its own answer."

    def clause(self) -> str:
        """`Masked LM (BERT) scores 2 positions that see all 12`."""
        scored, n = int(self.scored.sum()), len(self.one)
        if not scored:
            return f"{self.name} scores nothing"
        sizes = self.visible.sum(axis=1)[self.scored]
        all_of_it = bool((sizes == n).all())
        on_average = "" if len(set(sizes.tolist())) == 1 else " on average"
        seen = f"all {n}" if all_of_it else f"{sizes.mean():.1f} of {n}{on_average}".replace(".0 ", " ")
        return f"{self.name} scores {many(scored, 'position')} that see{'s' if scored == 1 else ''} {seen}"

    def silent(self) -> str:
        """Why nothing is scored; empty when something is."""
        if self.scored.any():
            return ""
        decisions = {name for step in self.objective.steps for name in step.decisions}
        if "part" in self.objective.needs and not self.objective.pairs:
            why = "no token belongs to a completion"
        elif "split" in decisions and "hidden" not in decisions:
            why = "the part that is given holds the whole text"
        elif decisions & {"hidden", "spans"} and not self.chosen():
            why = "no token was chosen; raise the share, or draw again"
        else:
            why = "nothing of this text is left to ask" if len(self.body) > 1 else "the text has one token, and nothing follows it"
        return f"No position is scored, so training on this sample would teach nothing. Because: {why}."

    def chosen(self) -> list[int]:
        """Tokens of the text that are chosen: changed where they stand, or no longer shown."""
        one, length = self.one, len(self.body)
        read = (one.stream == 0) & (one.origin >= 0) & (one.origin < length)
        shown = np.zeros(length, dtype=bool)
        shown[one.origin[read]] = True
        changed = np.isin(one.kind, (MASK, RANDOM, SAME, REPLACED)) & (one.place >= 0) & (one.place < length)
        shown[one.place[changed]] = False
        return np.flatnonzero(~shown).tolist()

    def stages(self) -> list[dict[str, str]]:
        """The six steps from text to loss, each in words."""
        one, about, chosen = self.one, self.objective.about, self.chosen()
        kinds = [KINDS[k] for k in one.kind]
        count = {kind: kinds.count(kind) for kind in COUNTED if kinds.count(kind)}
        given, text = one.context["given"], one.context["text"]
        member = f" Shown as its member {one.context['member']}." if one.context.get("member") else ""
        second = f" A built-in second text follows it: {quoted_long(text[len(given) + 1 :])}." if text != given else ""
        named = ", ".join(quoted(self.body[i]) for i in chosen[:8]) + (", …" if len(chosen) > 8 else "")
        picked = f"Here the draw takes {many(len(chosen), 'token')}: {named}." if chosen else "Here nothing is taken out of the text."
        changed = ", ".join(f"{n} {COUNTED[kind]}" for kind, n in count.items())
        says = {
            "text": f"{many(len(given), 'character')}, as given.{second}",
            "tokens": f"{many(len(self.body), 'token')}, cut by the tokenizer {one.context['tokenizer'].name}.",
            "choose": f"HIDE: {about.corruption}. {picked}{member}",
            "corrupt": f"Of what is read: {changed}." if changed else "What is read is the text's own.",
            "build": f"{self.lengths()} SCORE: {about.target}.",
            "score": f"{self.clause()}. {self.leak['say']}",
        }  # fmt: skip
        return [{"id": id, "title": TITLES[id], "say": say} for id, say in says.items()]

    def lengths(self) -> str:
        if len(self.streams) == 1:
            return f"{many(len(self.one), 'position is', 'positions are')} read in one stream."
        return f"{many(self.sizes['source'], 'position')} of source and {many(self.sizes['answer'], 'position')} of answer."


def quoted_long(text: str) -> str:
    """A text in quotation marks, its blanks left as they are."""
    return f"“{text if len(text) <= 80 else text[:79] + '…'}”"


def title_of(recipe: str) -> str:
    """The title on a recipe's card, else its name."""
    written = texts(recipe)
    return str(written["title"]) if written else recipe


def inside(title: str) -> str:
    """A title as it stands within a sentence."""
    return title[:1].lower() + title[1:] if title[1:2].islower() else title


def summary(told: Sequence[Told]) -> str:
    """One sentence about one sample, or about two of the same text."""
    return f"For the same text, {'; '.join(inside(one.clause()) for one in told)}."
