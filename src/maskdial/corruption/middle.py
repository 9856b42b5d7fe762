"""Fill in the middle: a document is cut twice and its middle moved to the end (Bavarian et al. 2022, §3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.text import LOOSE, Decisions, Ink, Spans, Text, two_columns
from maskdial.rng import MIDDLE, U32, below, copy, draw, inlined, kernel, site, threshold
from maskdial.sample import SPECIAL, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int, Int32, Int64, UInt8

    from maskdial.corruption.select import Keys
    Lengths = Int64[np.ndarray, " u"]

#: what becomes of a piece: nothing; prefix, suffix, middle; suffix, prefix and middle (variant 2); the same announced in
#: its own order (variant 1)
AS_IS, PSM, SPM, SPM_1 = range(4)
#: the sentinels in the order of a piece's own numbers
SENTINELS = ("prefix", "suffix", "middle")


#: tokens that a unit has more if one of its pieces takes another form
MORE = len(SENTINELS)


@inlined
def _more(begin, count, form):  # type: ignore[no-untyped-def]
    """How many tokens longer the unit gets whose pieces these are."""
    changed = np.uint8(0)
    for j in range(np.uint64(begin), np.uint64(begin + count)):
        changed |= form[j]
    return MORE if changed else 0


@kernel
def _lengths(lengths, begin, count, form, out):  # type: ignore[no-untyped-def]
    for u in range(len(lengths)):
        out[u] = lengths[u] + _more(begin[u], count[u], form)


@lru_cache(maxsize=64)
def _table(ids: tuple[int, ...]) -> Int32[np.ndarray, "1 3"]:
    return np.array([ids], dtype=np.int32)


@dataclass(frozen=True)
class Cuts:
    """Pieces of units, the `form` that each takes, and where it is cut: 0 ≤ `first` ≤ `second` ≤ its size (tokens or characters)."""

    pieces: Spans
    form: UInt8[np.ndarray, " k"]
    first: Int64[np.ndarray, " k"]
    second: Int64[np.ndarray, " k"]

    @staticmethod
    def of(lists: list[list[tuple[int, int, int, int, int]]]) -> Cuts:
        """From one list of (start, length, form, first, second) a unit; start and length in tokens."""
        flat = np.array([entry for unit in lists for entry in unit], dtype=np.int64).reshape(-1, 5)
        pieces = Spans.of([[(start, length) for start, length, *_ in unit] for unit in lists])
        return Cuts(pieces, flat[:, 2].astype(np.uint8), flat[:, 3], flat[:, 4])

    def numbers(self, ink: Ink) -> Int32[np.ndarray, "k 3"]:
        """The sentinels as numbers, of each piece; or as ids, once for all."""
        if ink.numbers:
            unit = self.pieces.entry_unit
            j = MORE * (np.arange(len(unit)) - self.pieces.begin[unit])
            return np.stack([ink.number(LOOSE, j + k, unit, SPECIAL) for k in range(MORE)], axis=1)
        ids = tuple(ink.vocab.fim.get(name, -1) for name in SENTINELS)
        if -1 in ids and self.form.any():
            missing = SENTINELS[ids.index(-1)]
            raise ValueError(f"{ink.recipe} needs the tokens prefix, middle and suffix and this vocabulary has no {missing}: name "
                             "them with Vocab(…, fim={'prefix': id, 'middle': id, 'suffix': id})")  # fmt: skip
        return _table(ids)


def held_cuts(lengths: Lengths, runs: Runs) -> Cuts:
    """A unit's one run as its middle, behind prefix and suffix; a unit without runs as it is. `ValueError` for several runs."""
    if any(len(unit) > 1 for unit in runs):
        raise ValueError("fill in the middle has one middle: it can't hide several runs of a text")
    return Cuts.of([[(0, length, PSM if unit else AS_IS, *(unit[0] if unit else (0, 0)))]
                    for length, unit in zip(lengths.tolist(), runs, strict=True)])  # fmt: skip


@kernel
def _cuts(keys, begin, count, size, rate, spm, spm_form, form, first, second):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key = site(keys[u], MIDDLE)
        for p in range(count[u]):
            j, c = begin[u] + p, np.uint64(4 * p)
            turned = size[j] > 0 and (draw(key, c) >> U32) < rate
            other = (draw(key, c + np.uint64(1)) >> U32) < spm
            a = np.int64(below(draw(key, c + np.uint64(2)), size[j] + 1))
            b = np.int64(below(draw(key, c + np.uint64(3)), size[j] + 1))
            form[j] = (spm_form if other else PSM) if turned else AS_IS
            first[j], second[j] = min(a, b), max(a, b)


def draw_cuts(keys: Keys, pieces: Spans, size: Int[np.ndarray, " k"], rate: float, spm: float, variant: int) -> Cuts:
    """Two cuts a piece, each uniform in 0 … size whatever the other is; with probability `rate` the piece takes another form."""
    form, (first, second) = np.empty(len(size), dtype=np.uint8), two_columns(len(size))
    other = SPM if variant == 2 else SPM_1
    _cuts(keys, pieces.begin, pieces.count, size, threshold(rate), threshold(spm), np.uint8(other), form, first, second)
    return Cuts(pieces, form, first, second)


@inlined
def _parts(form, a, b, c, d, prefix, suffix, middle):  # type: ignore[no-untyped-def]
    """(sentinel, from, to) three times, in the order of the form; the prefix lies in a … b, the middle in b … c, the suffix in c … d."""
    if form == PSM:
        return (prefix, a, b), (suffix, c, d), (middle, b, c)
    return ((prefix, a, a), (suffix, c, d), (middle, a, c)) if form == SPM else ((suffix, c, d), (prefix, a, b), (middle, b, c))


@inlined
def _run(values, first, stop, out, place, end):  # type: ignore[no-untyped-def]
    """Copy `values[first:stop]` to `out[place:]` as far as there is room; returns where it ends."""
    count = max(min(stop - first, end - place), 0)
    copy(values, first, count, out, place)
    return place + count


@kernel
def _middles(values, offsets, begin, count, start, length, form, first, second, new, each, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        last, place = offsets[u], at[u]
        end = place + offsets[u + 1] - last + _more(begin[u], count[u], form)
        for j in range(np.uint64(begin[u]), np.uint64(begin[u] + count[u])):
            if form[j] == AS_IS:
                continue
            a = offsets[u] + np.int64(start[j])
            b, c, d, sentinels = a + first[j], a + second[j], a + np.int64(length[j]), new[np.int64(j) * each]
            place = _run(values, last, a, out, place, end)
            for sentinel, left, right in _parts(form[j], a, b, c, d, sentinels[0], sentinels[1], sentinels[2]):
                if place < end:
                    out[place] = sentinel
                place = _run(values, left, right, out, place + 1, end)
            last = d
        _run(values, last, offsets[u + 1], out, place, end)


@dataclass(frozen=True)
class Middle:
    """Each piece, with probability `rate`, as prefix, suffix, middle or (`spm`) suffix first; other tokens stay.

    `pieces(tokens, offsets, eod)` parts the units. A unit gets room for three more tokens, whatever the number of its pieces: what
    does not fit is cut off at the end (§3.1, context level). The decision is "cuts".
    """

    pieces: Callable[[Int32[np.ndarray, " n"], Int64[np.ndarray, " u+1"], int | None], Spans]
    rate: float
    spm: float
    variant: int = 2
    decisions = ("cuts",)
    hides = True

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None:
        """Which pieces, which form, where they are cut."""
        pieces = self.pieces(rows.tokens, rows.units.offsets, vocab.eod)
        d.values["cuts"] = draw_cuts(d.keys, pieces, pieces.length, self.rate, self.spm, self.variant)

    def lengths(self, lengths: Lengths, d: Decisions) -> Lengths:
        """Lengths after the step."""
        cuts: Cuts = d["cuts"]
        longer = np.empty(len(lengths), dtype=np.int64)
        _lengths(lengths, cuts.pieces.begin, cuts.pieces.count, cuts.form, longer)
        return longer

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write unit u at `out[at[u]:]`."""
        cuts: Cuts = d["cuts"]
        p = cuts.pieces
        _middles(text.values, text.offsets, p.begin, p.count, p.start, p.length, cuts.form, cuts.first, cuts.second, cuts.numbers(ink),
                 int(ink.numbers), out, at)  # fmt: skip

    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]:
        """The run as the middle."""
        return {"cuts": held_cuts(lengths, runs)}
