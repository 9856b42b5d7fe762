"""Text from any objective: continue, fill a gap, rewrite what is damaged.

    chain (gpt, t5, bart, glm, xlnet, …)  token by token, each given those before it, until the objective says that it is done
    at once (bert, dlm, …)                all hidden tokens together, then the least certain anew (Mask-Predict: Ghazvininejad et al. 2019)
    in blocks (block-diffusion)           the same, block after block

Who asks each token by itself but sees the left alone (unilm's left-to-right sight) has one [MASK] at the end at a time and so goes
token by token too. Every step builds the sample anew and reads it from the start. That costs length times as much as keeping keys
and values and is right for every objective, so the work is bounded by `Decoding.most`. Samples are drawn by numbers that depend on
seed, prompt and position alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float32, Int32, Int64

from maskdial.evaluate.abilities import cannot
from maskdial.evaluate.facts import Run
from maskdial.evaluate.phrasing import Phrasing
from maskdial.evaluate.scoring import Scorer
from maskdial.rng import keys
from maskdial.sample import Samples

Ids = Int32[np.ndarray, " n"]

#: Rounds of Mask-Predict.
ROUNDS = 4
#: A rewriting objective has filled a gap when it says again these many tokens that follow the gap.
REJOIN = 3


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen: at most `most` a prompt; temperature 0 takes the likeliest, else one of the `top` likeliest (0 =
    all) is drawn."""

    most: int = 24
    temperature: float = 0.0
    top: int = 0
    seed: int = 0


def continue_(scorer: Scorer, phrasing: Phrasing, contexts: Sequence[Ids], how: Decoding) -> list[Ids]:
    """What each objective writes after each context."""
    nothing = np.zeros(0, dtype=np.int32)
    return fill(scorer, phrasing, [(c, nothing) for c in contexts], [how.most] * len(contexts), how)


def fill(
    scorer: Scorer, phrasing: Phrasing, gaps: Sequence[tuple[Ids, Ids]], lengths: Sequence[int], how: Decoding, exact: bool = False,
    later: Sequence[Sequence[Run]] = (),
) -> list[Ids]:  # fmt: skip
    """What stands between each (left, right). `lengths` bounds each answer and is its length for objectives that are told it.

    `exact`: the length is known, so a chain may not end before it. Without it a chain ends where the objective says so: at the
    next sentinel, the end, or where a rewritten text has come to what follows the gap. `later`: runs of each right side (from its
    beginning) that are hidden as well.
    """
    cut = [_seen(phrasing, right, runs) for (_, right), runs in zip(gaps, later or [()] * len(gaps), strict=True)]
    shown = [(phrasing.spell(left)[0], right) for (left, _), (right, _) in zip(gaps, cut, strict=True)]
    if not phrasing.by_token:
        return _rounds(scorer, phrasing, shown, lengths, how, [runs for _, runs in cut])
    made = _chain(scorer, phrasing, shown, lengths, how, exact, [runs for _, runs in cut])
    if exact or not phrasing.rewrites:
        return made
    following = [right[: runs[0][0]] if runs else right for right, runs in cut]
    return [rejoined(m, r[~phrasing.own[r]]) for m, r in zip(made, following, strict=True)]


def _seen(phrasing: Phrasing, right: Ids, runs: Sequence[Run]) -> tuple[Ids, list[Run]]:
    """What an objective can be shown right of a gap, and the runs hidden in it."""
    if not phrasing.shows:
        return right[:0], []
    if runs and not phrasing.several:
        right, runs = right[: runs[0][0]], ()
    return phrasing.spell(right, runs)


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
    if not phrasing.rewrites:
        samples = phrasing.reread(sources)
        guess, _ = scorer.best(samples)
        return np.split(guess, np.cumsum([len(s) for s in sources])[:-1])
    return _chain(scorer, phrasing, [(phrasing.spell(s)[0], None) for s in sources], [how.most] * len(sources), how, False)


def _chain(
    scorer: Scorer, phrasing: Phrasing, gaps: Sequence[tuple[Ids, Ids | None]], lengths: Sequence[int], how: Decoding, exact: bool,
    also: Sequence[Sequence[Run]] = (),
) -> list[Ids]:  # fmt: skip
    """Token by token. With a right side the answer stands between the two; without one, `left` is a source to rewrite."""
    body = np.zeros(phrasing.vocab.size, dtype=bool)
    body[phrasing.vocab.body] = True
    goes_on = body if exact else body | phrasing.own
    made: list[list[int]] = [[] for _ in gaps]
    going = [n for n in range(len(gaps)) if lengths[n] > 0]
    for step in range(max(lengths, default=0)):
        if not going:
            break
        # what a gap of known length has room for must be hidden from the first token on
        told = [lengths[n] if not phrasing.one_mark_a_run and gaps[n][1] is not None else step + 1 for n in going]
        samples = _asked(phrasing, [gaps[n] for n in going], [made[n] for n in going], told, [also[n] if also else () for n in going])
        ends = np.zeros_like(body) if exact or _told(phrasing, gaps, going) else phrasing.ends
        chosen = choose(scorer.logits(samples), goes_on | ends, how, np.array(going), step)
        for n, token in zip(list(going), chosen.tolist(), strict=True):
            if goes_on[token] and not (made[n] and token == made[n][-1] and not body[token]):
                made[n].append(token)
                if len(made[n]) < lengths[n]:
                    continue
            going.remove(n)
    return [np.array([t for t in m if body[t]], dtype=np.int32) for m in made]


def _told(phrasing: Phrasing, gaps: Sequence[tuple[Ids, Ids | None]], going: Sequence[int]) -> bool:
    """Whether the gaps' lengths are told, so that nothing but their tokens can be said."""
    return not phrasing.one_mark_a_run and any(right is not None and len(right) for right in (gaps[n][1] for n in going))


def _asked(
    phrasing: Phrasing, gaps: Sequence[tuple[Ids, Ids | None]], made: Sequence[Sequence[int]], sizes: Sequence[int],
    also: Sequence[Sequence[Run]],
) -> Samples:  # fmt: skip
    """Samples that ask for the token behind what was made; fillers stand where nothing is known, and nothing asked sees them."""
    filler = int(phrasing.vocab.body[0])
    grown = [np.array([*m, *[filler] * (size - len(m))], dtype=np.int32) for m, size in zip(made, sizes, strict=True)]
    if gaps[0][1] is None:
        return phrasing.rewrite([left for left, _ in gaps], grown, [(len(m), len(m) + 1) for m in made], spelled=True)
    texts, hidden, asked = [], [], []
    for (left, right), text, m, runs in zip(gaps, grown, made, also, strict=True):
        assert right is not None
        at, end = len(left) + len(m), len(left) + len(text)
        texts.append(np.concatenate([left, text, right]))
        asked.append((at, at + 1))
        hidden.append([(len(left) if phrasing.chain else at, end), *moved(runs, end)])
    return phrasing.ask(texts, hidden, asked, spelled=True)


def moved(runs: Sequence[Run], by: int) -> list[Run]:
    """Runs counted from further left."""
    return [(a + by, b + by) for a, b in runs]


def _rounds(
    scorer: Scorer, phrasing: Phrasing, gaps: Sequence[tuple[Ids, Ids]], lengths: Sequence[int], how: Decoding,
    also: Sequence[Sequence[Run]],
) -> list[Ids]:  # fmt: skip
    """Mask-Predict: guess all hidden tokens, hide the floor(N (1 - t / T)) least certain again, guess those anew. Where an
    objective has blocks, block after block."""
    made = [np.full(n, phrasing.vocab.body[0], dtype=np.int32) for n in lengths]
    stages = [_stages(phrasing, len(left), n) for (left, _), n in zip(gaps, lengths, strict=True)]
    for k in range(max(map(len, stages), default=0)):
        runs = [s[k] if k < len(s) else (n, n) for s, n in zip(stages, lengths, strict=True)]
        _stage(scorer, phrasing, gaps, made, runs, how, also)
    return made


def _stages(phrasing: Phrasing, first: int, length: int) -> list[Run]:
    """The runs of an answer that are guessed together; it begins at token `first` of the text."""
    if phrasing.block is None:
        return [(0, length)]
    cuts = [0, *range(phrasing.block - first % phrasing.block, length, phrasing.block), length]
    return list(pairwise(cuts))


def _stage(
    scorer: Scorer, phrasing: Phrasing, gaps: Sequence[tuple[Ids, Ids]], made: Sequence[Ids], runs: Sequence[Run], how: Decoding,
    also: Sequence[Sequence[Run]],
) -> None:  # fmt: skip
    """Guess one run of each answer, in place."""
    sure = [np.zeros(b - a, dtype=np.float32) for a, b in runs]
    allowed = np.zeros(phrasing.vocab.size, dtype=bool)
    allowed[phrasing.vocab.body] = True
    for t in range(ROUNDS):
        hidden: list[list[Run]] = []
        for (left, _), (a, _), s in zip(gaps, runs, sure, strict=True):
            count = len(s) if t == 0 else max(1, len(s) * (ROUNDS - t) // ROUNDS) if len(s) else 0
            again = np.sort(np.argsort(s, kind="stable")[:count]) + a + len(left)
            hidden.append([(int(i), int(i) + 1) for i in again])
        if not any(hidden):
            return
        # a block's own end is the end of what is read: nothing of a later block is known
        ends = [b if phrasing.block else len(m) for (_, b), m in zip(runs, made, strict=True)]
        texts = [np.concatenate([left, m[:end], right]) for (left, right), m, end in zip(gaps, made, ends, strict=True)]
        asked = [(len(left), len(left) + end) for (left, _), end in zip(gaps, ends, strict=True)]
        shown = [h + [(i, i + 1) for a, b in moved(more, end) for i in range(a, b)]
                 for h, more, (_, end) in zip(hidden, also, asked, strict=True)]  # fmt: skip
        logits, at = scorer.logits(phrasing.ask(texts, shown, asked, spelled=True)), 0
        for n, unit in enumerate(hidden):
            for place, _ in unit:
                i = place - len(gaps[n][0])
                token = int(choose(logits[at : at + 1], allowed, how, np.array([n]), i + t * len(made[n]))[0])
                made[n][i], sure[n][i - runs[n][0]] = token, softmax(logits[at], allowed)[token]
                at += 1


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
