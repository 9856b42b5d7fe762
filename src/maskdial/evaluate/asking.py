"""One prompt to one trained model: which task it is, what the model says, and what it cannot do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from maskdial.data.tokenizer import Tokenizer
from maskdial.errors import UserError
from maskdial.evaluate.abilities import TASKS, cannot, remark
from maskdial.evaluate.facts import Run
from maskdial.evaluate.forms import Forms, asked_as, joined
from maskdial.evaluate.generate import Decoding, Ids, continue_, fill, rewrite
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer

#: How a gap is written in a prompt.
GAP = re.compile(r"_{3,}|\[MASK\]")
#: Tokens a gap of unknown length may take.
GAP_TOKENS = 12


@dataclass(frozen=True)
class Answer:
    """`text` is what the model says: the continuation, or the whole text filled or repaired. `filled` are the gaps' texts."""

    task: str
    text: str
    filled: tuple[str, ...] = ()
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"task": self.task, "text": self.text, "filled": list(self.filled), "note": self.note}


def ask(run: Any, prompt: str, hide: Sequence[int] | None = None, task: str | None = None, how: Decoding | None = None) -> Answer:
    """Ask a loaded run (`maskdial.train.load`). `hide` are token numbers; a gap can also be written `____` or `[MASK]`.

    Raises `UserError` for a task that the objective cannot do (with the reason) and for numbers outside the prompt.
    """
    how = how or Decoding(most=48, temperature=0.8, top=40)
    tokenizer = _tokenizer(run)
    forms = forms_of(run, tokenizer)
    scorer = Scorer(run.model, forms.layout, run.vocab.body)
    ids, gaps = read(tokenizer, prompt, hide or ())
    chosen = task or default(forms, bool(gaps))
    if chosen not in TASKS:
        raise UserError(f"there is no task {chosen!r}", hint=f"one of {', '.join(TASKS)}", code="ask.task")
    phrasing = forms.fit(chosen)
    if why := cannot(phrasing, chosen):
        raise UserError(f"{forms.name} cannot {chosen}: {why}", hint=_instead(forms), code="ask.cannot")
    if not len(ids) and chosen != "fill":
        raise UserError("the prompt is empty", code="ask.prompt")
    if chosen == "fill":
        if not gaps:
            raise UserError("nothing is hidden in the prompt", code="ask.prompt",
                            hint="hide tokens by number (--hide 2,3) or write a gap: 'The ____ sat'")  # fmt: skip
        return _fill(scorer, phrasing, tokenizer, ids, gaps, how)
    note = joined(remark(phrasing, chosen), asked_as(phrasing))
    if chosen == "continue":
        return Answer(chosen, tokenizer.decode(continue_(scorer, phrasing, [ids], how)[0].tolist()), note=note)
    said = rewrite(scorer, phrasing, [ids], Decoding(most=len(ids) + 8))[0]
    return Answer(chosen, tokenizer.decode(said.tolist()), note=note)


def _tokenizer(run: Any) -> Tokenizer:
    """The run's tokenizer as one that makes body tokens only, whatever the prompt spells."""
    return run.tokenizer if isinstance(run.tokenizer, Tokenizer) else Tokenizer(run.tokenizer, "run")


def forms_of(run: Any, tokenizer: Tokenizer | None = None) -> Forms:
    """The forms in which a loaded run is asked."""
    return Forms(run.objective, run.vocab, decode=(tokenizer or _tokenizer(run)).decode)


def default(forms: Forms, gaps: bool) -> str:
    """What a prompt asks for when the task is not named: a gap wants filling; else whatever the objective is made for."""
    if gaps:
        return "fill"
    if all(phrasing.rewrites for phrasing in forms.all):
        return "repair"
    return "continue" if forms.fit("continue").by_token or not forms.fit("fill").shows else "fill"


def abilities(forms: Forms) -> dict[str, str | None]:
    """By task: None where the objective can, else why it cannot."""
    return {task: cannot(forms.fit(task), task) for task in TASKS}


def _instead(forms: Forms) -> str:
    able = [task for task, why in abilities(forms).items() if why is None]
    return f"it can {' and '.join(able)}" if able else ""


def read(tokenizer: Any, prompt: str, hide: Sequence[int]) -> tuple[Ids, list[tuple[Run, int | None]]]:
    """Token ids and gaps as (run, length or None when unknown), ascending. A written gap is an empty run."""
    if hide and GAP.search(prompt):
        raise UserError("give token numbers or write gaps, not both", code="ask.hide")
    ids: list[int] = []
    gaps: list[tuple[Run, int | None]] = []
    for n, piece in enumerate(GAP.split(prompt)):
        if n and gaps and gaps[-1][0][0] == len(ids):
            raise UserError("two gaps must have text between them", code="ask.prompt")
        if n:
            gaps.append(((len(ids), len(ids)), None))
        ids += [int(i) for i in tokenizer.encode(piece.rstrip() if GAP.search(prompt) else piece)]
    for i in sorted(set(hide)):
        if not 0 <= i < len(ids):
            raise UserError(f"there is no token {i}: the prompt has {len(ids)} tokens, 0 … {len(ids) - 1}", code="ask.hide")
        if gaps and gaps[-1][0][1] == i:
            (a, _), length = gaps.pop()
            gaps.append(((a, i + 1), (length or 0) + 1))
        else:
            gaps.append(((i, i + 1), 1))
    return np.array(ids, dtype=np.int32), gaps


def _fill(
    scorer: Scorer, phrasing: Phrasing, tokenizer: Any, ids: Ids, gaps: list[tuple[Run, int | None]], how: Decoding
) -> Answer:
    """Gap by gap from the left; later gaps stay hidden while an earlier one is filled."""
    left, said = ids[: gaps[0][0][0]], []
    greedy = Decoding(seed=how.seed)
    for n, ((_, end), length) in enumerate(gaps):
        # a later gap without tokens of its own is shown as one hidden token
        right, later = _right(phrasing, ids, end, gaps[n + 1 :])
        room = (2 * length if length else GAP_TOKENS) if phrasing.one_mark_a_run else length or 1
        made = fill(scorer, phrasing, [(left, right)], [room], greedy, later=[later])[0]
        said.append(tokenizer.decode(made.tolist()).strip())
        following = ids[end : gaps[n + 1][0][0]] if n + 1 < len(gaps) else ids[end:]
        left = np.concatenate([left, made, following])
    return Answer("fill", tokenizer.decode(left.tolist()), tuple(said), joined(remark(phrasing, "fill"), asked_as(phrasing)))


def _right(phrasing: Phrasing, ids: Ids, end: int, later: list[tuple[Run, int | None]]) -> tuple[Ids, list[Run]]:
    """What stands right of a gap, with the runs in it that are hidden too."""
    pieces: list[Ids] = []
    runs: list[Run] = []
    at, size = end, 0
    for (a, b), length in later:
        pieces += [ids[at:a], np.full(length or 1, phrasing.vocab.body[0], dtype=np.int32)]
        size += a - at
        runs.append((size, size + (length or 1)))
        size, at = size + (length or 1), b
    return np.concatenate([*pieces, ids[at:]]), runs
