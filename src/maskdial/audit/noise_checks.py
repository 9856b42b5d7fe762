"""What is hidden: as much as was asked for, rendered as it should be, and other tokens every time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskdial.audit.check import Found, check, fail, many, ok, skipped, unknown, warn
from maskdial.audit.row import Evidence, Row
from maskdial.sample import SILENT

if TYPE_CHECKING:
    from jaxtyping import Bool, Float32, Int64

#: standard deviations that chance is granted
SIGMA = 4.0
#: shares of [MASK] and of random tokens among what BERT chooses
USUAL = {"mask": 0.8, "random": 0.1}


def chance(r: Row, marks: Sequence[int]) -> float:
    """How likely it is, at most, that two draws of as many spans and hidden tokens choose the same ones of a row.

    k tokens in m spans among u that are left can stand in C(k - 1, m - 1) · C(u - 1, m - 1) ways when a row begins with what is left
    and ends hidden, and in more ways otherwise.
    """
    hidden = r.scored if r.form == "in place" else np.isin(r.read, marks)
    m = len(runs(hidden)) if r.form == "in place" else int(hidden.sum())
    if not m:  # moved, not hidden
        return 1 / max(1, r.tokens)
    u, said, named = int((r.real & ~hidden).sum()), int(r.scored.sum()), int(np.isin(r.target, marks).sum())
    k = said if r.form == "in place" else max(m, said - (named or u))  # an answer names its spans, or says the whole text
    return 1 / max(1, comb(k - 1, m - 1) * comb(max(0, u - 1), m - 1))


def _same(a: Row, b: Row) -> bool:
    if a.form == "in place":
        return len(a.target) == len(b.target) and bool((a.scored == b.scored).all())
    return len(a.read) == len(b.read) and len(a.target) == len(b.target) and bool((a.read == b.read).all() and (a.target == b.target).all())


def _beyond_chance(pairs: Sequence[tuple[Row, Row]], marks: Sequence[int]) -> list[int]:
    """Rows whose pair is the same; none unless they are more than chance makes."""
    found = [a.number for a, b in pairs if _same(a, b)]
    expected = sum(chance(a, marks) for a, _ in pairs)
    return found if len(found) > expected + SIGMA * expected**0.5 + 0.5 else []


def _drawn(e: Evidence) -> str:
    """Why noise can't be compared; empty when it can."""
    if not e.labels or not any(r.scored.any() for r in e.rows):
        return "nothing is scored"
    if e.form == "next":
        return "nothing is hidden: a causal model's rows are the same every time"
    if e.form == "elsewhere":
        return "answers stand elsewhere than they are asked for"
    if e.form == "answer" and not e.made and not any(np.isin(r.read, _marks(e)).any() for r in e.rows):
        return "no id that stands for hidden text is found in a source"
    if e.option("strategy") in ("lead", "principal"):
        return f"what {e.name} hides follows from the text alone"
    return ""


def _marks(e: Evidence) -> list[int]:
    """Ids that stand for hidden text."""
    return [] if e.vocab is None else [*e.vocab.sentinels, *e.ids("mask")]


@check("noise across epochs", "Static noise: in every epoch the same tokens are hidden, and a long run learns them by heart.")
def across_epochs(e: Evidence) -> Found:
    if why := _drawn(e):
        return skipped(why)
    if len(e.passes) < 2:
        return skipped("this source was read only once (give a DataLoader, or a function that returns one per epoch)")
    first = {key: r for r in e.rows if len(key := r.body.tobytes()) and r.scored.any()}
    again = [(first[key], r) for r in e.passes[1] if (key := r.body.tobytes()) in first]
    marks = _marks(e)
    if rows := _beyond_chance(again, marks):
        return fail(f"in {len(rows)} of {many(len(again), 'row')} the same tokens are hidden in the second epoch as in the first", rows)
    slots = min(map(len, e.passes[:2]))
    if alike := _repeats(e.rows[:slots], e.passes[1][:slots], np.eye(slots, dtype=bool)):
        return fail(f"in {len(alike)} of {many(slots, 'row')} the same places are hidden as in the row that stands there in the second "
                    "epoch", alike)  # fmt: skip
    if not again:
        return skipped("no row of the first epoch came again in the second")
    if all(chance(a, marks) > 0.5 for a, _ in again):
        return skipped("the rows are too short to hide other tokens every time")
    same = sum(_same(a, b) for a, b in again)
    return ok(f"{many(len(again), 'row')} came again, {many(len(again) - same, 'row')} with other tokens hidden"
              + (f" (chance leaves {many(same, 'short row')} the same)" if same else ""))  # fmt: skip


@check("noise across workers", "Workers or ranks that draw alike make fewer kinds of noise than it seems.")
def across_workers(e: Evidence) -> Found:
    if (why := _drawn(e)) or e.form != "in place":
        return skipped(why or "a second stream does not tell which places are hidden")
    for rank in e.ranks:
        both = min(len(e.rows), len(rank))
        if found := _repeats(e.rows[:both], rank[:both], np.eye(both, dtype=bool)):
            return fail(f"in {len(found)} of {many(both, 'row')} the same places are hidden on two ranks", found)
        if shared := [a.number for a, b in zip(e.rows, rank, strict=False) if a.body.tobytes() == b.body.tobytes() and a.scored.sum() > 2]:
            return warn(f"{many(len(shared), 'row')} came on two ranks at once: the data is not divided among them", shared)
    size = np.array([r.scored.sum() for r in e.rows])
    near = abs(size[:, None] - size) <= 1 + np.minimum(size[:, None], size) // 4  # rows that hide about as much
    if found := _repeats(e.rows, e.rows, np.tril(near, -1)):
        return fail(f"in {many(len(found), 'row')} the same places are hidden as in another row of the same pass", found)
    if not e.ranks:
        return ok("no two rows of a pass have the same places hidden (ranks are compared where a function that takes `rank` is given)")
    return ok("no two rows, and no two ranks, have the same places hidden")


def _repeats(first: Sequence[Row], again: Sequence[Row], compared: Bool[np.ndarray, "n m"]) -> list[int]:
    """Rows of `first` with the same places hidden, as far as both reach, as a row of `again` of another text that they are compared
    with; none unless they are more than chance makes."""
    if not len(first) or first[0].form != "in place":
        return []
    (a, long_a, text_a), (b, long_b, text_b) = _places(first, again), _places(again, first)
    shorter = np.minimum(long_a[:, None], long_b)
    in_a, in_b = (np.take_along_axis(np.cumsum(p, axis=1), at, axis=1) for p, at in ((a, shorter), (b, shorter.T)))
    fewer, more = np.minimum(in_a, in_b.T), np.maximum(in_a, in_b.T)
    compared = compared & (text_a[:, None] != text_b) & (a.sum(1)[:, None] > 2) & (b.sum(1) > 2)
    common = a @ b.T
    found = compared & (common >= 3) & (common >= 0.9 * more)
    kinds, counts = np.unique(np.stack([shorter[compared], fewer[compared]]), axis=1, return_counts=True)
    expected = sum(count * _chance_alike(int(n), int(k)) for (n, k), count in zip(kinds.T, counts, strict=True))
    return np.flatnonzero(found.any(axis=1)).tolist() if found.sum() > expected + SIGMA * expected**0.5 + 1 else []


def _places(rows: Sequence[Row], others: Sequence[Row]) -> tuple[Float32[np.ndarray, "n s"], Int64[np.ndarray, " n"], NDArray[Any]]:
    """1 where a row hides a token, one place further right (a cumulative sum begins with 0), each row's length, and its text."""
    made = np.zeros((len(rows), 1 + max((len(r.read) for r in (*rows, *others)), default=0)), dtype=np.float32)
    for place, r in zip(made, rows, strict=True):
        place[1 : 1 + len(r.target)] = r.scored
    return made, np.array([r.tokens for r in rows]), np.array([hash(r.body.tobytes()) for r in rows])


def _chance_alike(n: int, k: int) -> float:
    """How likely it is that k places of n, drawn twice, are nearly the same ones."""
    return sum(comb(k, j) * comb(n - k, j) for j in range(max(1, round(0.1 * k)) + 1)) / max(1, comb(n, k)) if k else 0.0


# --- how much, and how ----------------------------------------------------------------------------------------------------------


@check("corruption rate", "A rate that is not the one that was asked for makes another objective.")
def corruption_rate(e: Evidence) -> Found:
    hidden, of = _hidden(e)
    if not of:
        return skipped("nothing is hidden in place and no sentinel tells what a decoder writes back")
    if not hidden:
        return skipped("nothing is hidden")
    share, wanted = hidden / of, e.rate if e.rate is not None else e.option("rate")
    spread = 1.96 * (share * (1 - share) / of) ** 0.5
    say = f"{100 * share:.2f} % of {of:,} tokens hidden (± {100 * spread:.2f}, 95 %)"
    if not isinstance(wanted, int | float):
        return ok(f"{say}; no rate was given to compare with")
    # counts are rounded row by row, and a row may have no span of a token's half
    allowed = _allowed(wanted, of, e) + 0.6 * len(e.rows) / of
    if abs(share - wanted) <= allowed:
        return ok(f"{say}; {100 * wanted:g} % was asked for")
    return (fail if e.rate is not None else warn)(f"{say}, but {100 * wanted:g} % was asked for")


def _allowed(wanted: float, of: int, e: Evidence) -> float:
    """How far a share of so many tokens may lie from what was asked for, by chance."""
    return float(SIGMA * (wanted * (1 - wanted) / of * _run(e)) ** 0.5)


def _hidden(e: Evidence) -> tuple[int, int]:
    """(hidden, all) of the text's own tokens, as far as rows tell."""
    if e.form in ("next", "elsewhere") or not e.labels or (e.form == "answer" and not _sentinels(e)):
        return 0, 0
    special = np.zeros(0) if e.vocab is None else np.array(sorted(e.vocab.special))
    hidden = of = 0
    for r in e.rows:
        if e.form == "in place":
            text = r.real & ~np.isin(np.where(r.scored, r.target, r.read), special)
            hidden, of = hidden + int((r.scored & text).sum()), of + int(text.sum())
        else:
            said = int((~np.isin(r.target[r.scored], special)).sum())
            hidden, of = hidden + said, of + said + int((r.real & ~np.isin(r.read, special)).sum())
    return hidden, of


def _sentinels(e: Evidence) -> bool:
    return e.vocab is not None and any(np.isin(r.read, e.vocab.sentinels).any() for r in e.rows)


def _run(e: Evidence) -> float:
    """The mean length of a hidden run: tokens that are chosen together vary more."""
    spans = _spans(e)
    return sum(n * c for n, c in spans.items()) / max(1, sum(spans.values())) if spans else 1.0


@check("mask, random, kept", "BERT learns from 80 % [MASK], 10 % random and 10 % kept tokens; another mix is another objective.")
def mixture(e: Evidence) -> Found:
    if e.form != "in place":
        return skipped("no token is hidden in place")
    if e.vocab is None or e.vocab.mask is None:
        return unknown(e, "[MASK] token")
    at = [(r.read[r.scored], r.target[r.scored]) for r in e.rows]
    read, target = (np.concatenate([pair[i] for pair in at] or [np.zeros(0)]) for i in (0, 1))
    if not len(read):
        return skipped("nothing is scored")
    found = {"mask": float((read == e.vocab.mask).mean()), "same": float((read == target).mean())}
    found["random"] = 1 - found["mask"] - found["same"]
    say = ", ".join(f"{100 * found[name]:.1f} % {word}" for name, word in (("mask", "[MASK]"), ("random", "random"), ("same", "kept")))
    say = f"of {len(read):,} chosen tokens {say}"
    if not found["mask"] and len(read) > 20:
        return warn(f"{say}: [MASK] is never used")
    known = {name: e.option(name) for name in USUAL} if e.objective is not None else {} if found["mask"] == 1 else USUAL
    for name, wanted in known.items():
        if isinstance(wanted, int | float) and abs(found[name] - wanted) > 0.01 + _allowed(wanted, len(read), e):
            return warn(f"{say}, but {100 * wanted:g} % {'[MASK]' if name == 'mask' else name} was expected")
    return ok(say)


@check("span lengths", "Longer spans ask for more than the neighbours tell; single tokens are guessed from them.")
def span_lengths(e: Evidence) -> Found:
    if not (spans := _spans(e)):
        return skipped("no hidden span can be told apart")
    mean = sum(n * count for n, count in spans.items()) / sum(spans.values())
    shown = ", ".join(f"{n}: {spans[n]:,}" for n in sorted(spans)[:10])
    longer = sum(count for n, count in spans.items() if n > sorted(spans)[:10][-1])
    return ok(f"{many(sum(spans.values()), 'span')}, mean {mean:.2f} tokens ({shown}{f', longer: {longer:,}' if longer else ''})")


def _spans(e: Evidence) -> Counter[int]:
    """Hidden spans by their number of tokens."""
    found: Counter[int] = Counter()
    if e.form == "in place":
        for r in e.rows:
            found.update(runs(r.scored))
    elif e.form == "answer" and _sentinels(e) and e.vocab is not None:
        special = np.array(sorted(e.vocab.special))
        for r in e.rows:
            found.update(n for n in runs(~np.isin(r.target, special) & (r.target != SILENT)) if n)
    return found


def runs(flags: Bool[np.ndarray, " n"]) -> list[int]:
    """The lengths of the runs of True."""
    edge: Int64[np.ndarray, " k"] = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    lengths: Any = edge[1::2] - edge[::2]
    return [int(n) for n in lengths]
