"""Text from any objective: continue, fill a gap, rewrite what is damaged.

    chain (gpt, prefix-lm, t5, bart)  token by token, each given those before it, until the objective says that it is done
    in place (bert)                   all hidden tokens at once, then the least certain anew (Mask-Predict: Ghazvininejad et al. 2019)

Every step builds the sample anew and reads it from the start. That costs length times as much as keeping keys and values and
is right for every objective, so the work is bounded by `Decoding.most`. Samples are drawn by numbers that depend on seed,
prompt and position alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from maskdial.evaluate.phrasing import Phrasing, Run
from maskdial.evaluate.scoring import Scorer
from maskdial.rng import keys
from maskdial.vocab import Vocab

Ids = Int32[np.ndarray, " n"]



#: Rounds of Mask-Predict.
ROUNDS = 4
#: A rewriting objective has filled a gap when it says again these many tokens that follow the gap.
REJOIN = 3

IN_PLACE_NOTE = (
    "weak by design: a fixed number of [MASK]s is filled in a few rounds, each token guessed independently of the others of its round"
)
SHORT_NOTE = "its answers are hidden spans, so it stops where a span of its training would end"


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen: at most `most` a prompt; temperature 0 takes the likeliest, else one of the `top` likeliest (0 =
    all) is drawn."""

    most: int = 24
    temperature: float = 0.0
    top: int = 0
    seed: int = 0


def cannot(phrasing: Phrasing, task: str) -> str | None:
    """Why this objective cannot `continue`, `fill` or `repair`; None when it can."""
    if task == "continue":
        if phrasing.rewrites and not phrasing.shows:
            return "its training text never lacks anything, so it only says again what it reads"
        return None
    if task == "fill":
        if phrasing.shows:
            return None
        if phrasing.rewrites:
            return "its training text never lacks anything, so a gap cannot be shown to it"
        return "it reads from the left only: it can write on before a gap, but what follows the gap cannot be shown to it"
    if phrasing.rewrites:
        return None
    if phrasing.in_place:
        return None if phrasing.doubts else "it only ever doubts [MASK], never a token that it reads"
    if phrasing.spans:
        return "it trusts every token that it reads and writes only what a sentinel stands for"
    return "it writes on from a text and never says a text anew"


def continue_(scorer: Scorer, phrasing: Phrasing, contexts: Sequence[Ids], how: Decoding) -> list[Ids]:
    """What each objective writes after each context."""
    nothing = np.zeros(0, dtype=np.int32)
    return fill(scorer, phrasing, [(c, nothing) for c in contexts], [how.most] * len(contexts), how)


def fill(
    scorer: Scorer, phrasing: Phrasing, gaps: Sequence[tuple[Ids, Ids]], lengths: Sequence[int], how: Decoding, exact: bool = False,
    later: Sequence[Sequence[Run]] = (),
) -> list[Ids]:  # fmt: skip
    """What stands between each (left, right). `lengths` bounds each answer and, in place, is its length.

    `exact`: the length is known, so a chain may not end before it. Without it a chain ends where the objective says so: at the
    next sentinel, the end, or where a rewritten text has come to what follows the gap. `later`: runs of each right side (from its
    beginning) that are hidden as well.
    """
    also = list(later) or [()] * len(gaps)
    if phrasing.in_place:
        return _rounds(scorer, phrasing, gaps, lengths, how, also)
    right = [r if phrasing.shows else r[:0] for _, r in gaps]
    made = _chain(scorer, phrasing, [g[0] for g in gaps], right, lengths, how, exact, also)
    if exact or not phrasing.rewrites:
        return made
    return [rejoined(m, r[: runs[0][0]] if runs else r) for m, r, runs in zip(made, right, also, strict=True)]


def rejoined(made: Ids, right: Ids) -> Ids:
    """A rewritten text up to where it says again what follows the gap."""
    count = min(REJOIN, len(right))
    if count:
        for i in range(len(made) - count + 1):
            if np.array_equal(made[i : i + count], right[:count]):
                return made[:i]
    return made


def rewrite(scorer: Scorer, phrasing: Phrasing, sources: Sequence[Ids], how: Decoding) -> list[Ids]:
    """Each source said anew, as the objective believes that it was before it was damaged."""
    if why := cannot(phrasing, "repair"):
        raise ValueError(f"{phrasing.objective.name} cannot repair: {why}")
    if phrasing.in_place:
        samples = phrasing.reread(sources)
        guess, _ = scorer.best(samples)
        return np.split(guess, np.cumsum([len(s) for s in sources])[:-1])
    return _chain(scorer, phrasing, list(sources), None, [how.most] * len(sources), how, False, [()] * len(sources))


def _chain(
    scorer: Scorer, phrasing: Phrasing, left: Sequence[Ids], right: Sequence[Ids] | None, lengths: Sequence[int], how: Decoding,
    exact: bool, also: Sequence[Sequence[Run]],
) -> list[Ids]:  # fmt: skip
    """Token by token. With `right` the answer stands between left and right; without it, `left` is a source to rewrite."""
    vocab = phrasing.vocab
    made: list[list[int]] = [[] for _ in left]
    body = np.zeros(vocab.size, dtype=bool)
    body[vocab.body] = True
    allowed = body | (np.zeros_like(body) if exact else ends(vocab))
    filler = int(vocab.body[0])  # stands where the next token is asked; nothing before it sees it
    going = [n for n in range(len(left)) if lengths[n] > 0]
    for step in range(max(lengths, default=0)):
        if not going:
            break
        grown = [np.array([*made[n], filler], dtype=np.int32) for n in going]
        if right is None:
            asked: list[Run] = [(step, step + 1) for _ in going]
            samples = phrasing.rewrite([left[n] for n in going], grown, asked)
        else:
            asked = [(len(left[n]) + step, len(left[n]) + step + 1) for n in going]
            texts = [np.concatenate([left[n], g, right[n]]) for n, g in zip(going, grown, strict=True)]
            hidden = [[(len(left[n]), a), *moved(also[n], a)] for n, (_, a) in zip(going, asked, strict=True)]
            samples = phrasing.ask(texts, hidden if phrasing.shows else [h[:1] for h in hidden], asked)
        chosen = choose(scorer.logits(samples), allowed, how, np.array(going), step)
        for n, token in zip(list(going), chosen.tolist(), strict=True):
            if body[token]:
                made[n].append(token)
            if not body[token] or len(made[n]) >= lengths[n]:
                going.remove(n)
    return [np.array(m, dtype=np.int32) for m in made]


def ends(vocab: Vocab) -> Bool[np.ndarray, " v"]:
    """Ids by which an answer says that it is complete: end of sequence, end of document, any sentinel."""
    made = np.zeros(vocab.size, dtype=bool)
    made[[id for id in (vocab.eos, vocab.eod, vocab.sep, *vocab.sentinels) if id is not None]] = True
    return made


def moved(runs: Sequence[Run], by: int) -> list[Run]:
    """Runs counted from further left."""
    return [(a + by, b + by) for a, b in runs]


def _rounds(
    scorer: Scorer, phrasing: Phrasing, gaps: Sequence[tuple[Ids, Ids]], lengths: Sequence[int], how: Decoding,
    also: Sequence[Sequence[Run]],
) -> list[Ids]:  # fmt: skip
    """Mask-Predict: guess all hidden tokens, hide the floor(N (1 - t / T)) least certain again, guess those anew."""
    made = [np.full(n, phrasing.vocab.body[0], dtype=np.int32) for n in lengths]
    sure = [np.zeros(n, dtype=np.float32) for n in lengths]
    allowed = np.zeros(phrasing.vocab.size, dtype=bool)
    allowed[phrasing.vocab.body] = True
    for t in range(ROUNDS):
        hidden: list[list[Run]] = []
        for (left, _), s in zip(gaps, sure, strict=True):
            count = len(s) if t == 0 else max(1, len(s) * (ROUNDS - t) // ROUNDS) if len(s) else 0
            again = np.sort(np.argsort(s, kind="stable")[:count])
            hidden.append([(len(left) + int(i), len(left) + int(i) + 1) for i in again])
        texts = [np.concatenate([left, m, right]) for (left, right), m in zip(gaps, made, strict=True)]
        asked = [(len(left), len(left) + len(m)) for (left, _), m in zip(gaps, made, strict=True)]
        shown = [h + [(i, i + 1) for a, b in moved(runs, end) for i in range(a, b)]
                 for h, runs, (_, end) in zip(hidden, also, asked, strict=True)]  # fmt: skip
        logits = scorer.logits(phrasing.ask(texts, shown, asked)) if any(lengths) else np.zeros((0, 1), dtype=np.float32)
        at = 0
        for n, runs in enumerate(hidden):
            for a, _ in runs:
                i = a - len(gaps[n][0])
                token = int(choose(logits[at : at + 1], allowed, how, np.array([n]), i + t * len(made[n]))[0])
                made[n][i], sure[n][i] = token, softmax(logits[at], allowed)[token]
                at += 1
    return made


def softmax(logits: Float32[np.ndarray, " v"], allowed: Bool[np.ndarray, " v"]) -> Float32[np.ndarray, " v"]:
    """Probabilities among the allowed ids."""
    z = np.where(allowed, logits, -np.inf)
    p = np.exp(z - z.max())
    return np.asarray(p / p.sum(), dtype=np.float32)


def choose(
    logits: Float32[np.ndarray, "n v"], allowed: Bool[np.ndarray, " v"], how: Decoding, sample: Int64[np.ndarray, " n"], position: int
) -> Int64[np.ndarray, " n"]:
    """One allowed id a row: the likeliest, or drawn with a number that depends on (seed, sample, position) alone."""
    z = np.where(allowed, logits.astype(np.float64), -np.inf)
    if how.temperature <= 0:
        return np.asarray(z.argmax(1), dtype=np.int64)
    order = np.argsort(-z, axis=1, kind="stable")[:, : how.top or None]
    scaled = np.take_along_axis(z, order, 1) / how.temperature
    p = np.exp(scaled - scaled.max(1, keepdims=True))
    share = np.cumsum(p / p.sum(1, keepdims=True), axis=1)
    number = (keys(how.seed, "generate", position, sample.astype(np.uint64)) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    rank = np.minimum((share <= number[:, None]).sum(1), (p > 0).sum(1) - 1)
    return np.asarray(np.take_along_axis(order, rank[:, None], 1)[:, 0], dtype=np.int64)
