"""What an objective can be asked and what it can't, with the reason; and what a reader of an answer should know."""

from __future__ import annotations

from maskdial.evaluate.phrasing import Phrasing

TASKS = ("continue", "fill", "repair")

NO_CHAIN = (
    "it predicts hidden tokens independently of one another, so the probabilities of a text's tokens do not multiply to a "
    "probability of the text"
)
NOTHING_HIDDEN = "its training text never hides anything, so it cannot be asked for what is missing"
NEVER_LACKING = "its training text never lacks anything, so "
IN_PLACE_NOTE = (
    "weak by design: a fixed number of [MASK]s is filled in a few rounds, each token guessed independently of the others of its round"
)
SHORT_NOTE = "its answers are hidden spans, so it stops where a span of its training would end"


def cannot(phrasing: Phrasing, task: str) -> str | None:
    """Why this objective cannot `continue`, `fill` or `repair`; None when it can."""
    if task == "continue":
        if phrasing.left:
            return None
        return f"{NEVER_LACKING}it only says again what it reads" if phrasing.rewrites else "it does not read what stands left of a gap"
    if task == "fill":
        return None if phrasing.shows else _cannot_fill(phrasing)
    if phrasing.rewrites:
        return None
    if not phrasing.chain:
        return None if phrasing.doubts else "it only ever doubts [MASK], never a token that it reads"
    if phrasing.reads_on or not phrasing.shows:
        return "it writes on from a text and never says a text anew"
    what = f"what {phrasing.mark} stands for" if phrasing.mark != "nothing" else "what is missing"
    return f"it trusts every token that it reads and writes only {what}"


def _cannot_fill(phrasing: Phrasing) -> str:
    if phrasing.rewrites:
        return f"{NEVER_LACKING}a gap cannot be shown to it"
    if phrasing.block is not None:
        return f"it reads from the left and to the end of its block of {phrasing.block} tokens: what follows cannot be shown to it"
    if not phrasing.left:
        return "it does not read what stands left of a gap"
    return "it reads from the left only: it can write on before a gap, but what follows the gap cannot be shown to it"


def remark(phrasing: Phrasing, task: str) -> str:
    """What a reader of its answer should know."""
    if task == "repair":
        return ""
    if not phrasing.by_token:
        return f"{IN_PLACE_NOTE}; block after block of {phrasing.block} tokens" if phrasing.block else IN_PLACE_NOTE
    return SHORT_NOTE if phrasing.spans and not phrasing.reads_on and task == "continue" else ""


def can_continue(phrasing: Phrasing) -> str | None:
    """Why it has no likelihood of a continuation, or None when it has one."""
    if phrasing.rewrites and not phrasing.shows:
        return NOTHING_HIDDEN
    return None if phrasing.chain else NO_CHAIN


def context_note(phrasing: Phrasing, size: int) -> str:
    """How this objective was handed a context to continue by `size` tokens; empty where that is simply its training form."""
    if phrasing.rewrites:
        return f"the source is the context and {phrasing.mark}; only the continuation's positions of the answer count"
    if not phrasing.spans or phrasing.reads_on:
        return ""
    return f"{unusual(phrasing, size)}the context is the source and {phrasing.mark} stands for all that follows"


def unusual(phrasing: Phrasing, size: int) -> str:
    """A warning when a hidden run of `size` tokens is none of training's."""
    if phrasing.usual is None or phrasing.usual[0] <= size <= phrasing.usual[1]:
        return ""
    return f"out of distribution, training hides {'longer' if size < phrasing.usual[0] else 'shorter'} runs: "


def left_only(phrasing: Phrasing) -> str:
    """What it does not read right of a gap, for objectives that are not shown it."""
    if phrasing.block is not None:
        return f"reads the left side and the gap's block of {phrasing.block} tokens only"
    return "reads the left side only: what follows the gap cannot be shown to it"
