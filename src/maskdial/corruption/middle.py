"""Fill in the middle: a document is cut twice and its middle moved to the end (Bavarian et al. 2022, §3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.text import LOOSE, Decisions, Ink, Spans, Text
from maskdial.rng import MIDDLE, U32, below, copy, draw, kernel, site, threshold
from maskdial.sample import SPECIAL, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8

    from maskdial.corruption.select import Keys
    Lengths = Int64[np.ndarray, " u"]

#: what becomes of a piece: nothing; prefix, suffix, middle; suffix, prefix and middle (variant 2); the same announced in
#: its own order (variant 1)
AS_IS, PSM, SPM, SPM_1 = range(4)
#: the sentinels in the order of a piece's own numbers
SENTINELS = ("prefix", "suffix", "middle")


@kernel
def _changed(begin, count, form, changed):  # type: ignore[no-untyped-def]
    for u in range(len(changed)):
        changed[u] = 0
        for j in range(begin[u], begin[u] + count[u]):
            changed[u] += form[j] != AS_IS


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

    def changed(self) -> Lengths:
        """How many pieces of each unit take another form."""
        count = np.empty(len(self.pieces.begin), dtype=np.int64)
        _changed(self.pieces.begin, self.pieces.count, self.form, count)
        return count

    def numbers(self, ink: Ink) -> Int32[np.ndarray, "k 3"]:
        """The sentinels of each piece, as ids or as numbers."""
        if ink.numbers:
            unit = self.pieces.entry_unit
            j = 3 * (np.arange(len(unit)) - self.pieces.begin[unit])
            return np.stack([ink.number(LOOSE, j + k, unit, SPECIAL) for k in range(3)], axis=1)
        new = np.full((len(self.form), 3), -1, dtype=np.int32)
        if self.form.any():
            missing = [name for name in SENTINELS if name not in ink.vocab.fim]
            if missing:
                raise ValueError(f"{ink.recipe} needs the tokens prefix, middle and suffix and this vocabulary has no {missing[0]}: "
                                 "name them with Vocab(…, fim={'prefix': id, 'middle': id, 'suffix': id})")  # fmt: skip
            new[:] = [ink.vocab.fim[name] for name in SENTINELS]
        return new


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


def draw_cuts(keys: Keys, pieces: Spans, size: Int64[np.ndarray, " k"], rate: float, spm: float, variant: int) -> Cuts:
    """Two cuts a piece, each uniform in 0 … size whatever the other is; with probability `rate` the piece takes another form."""
    made = Cuts(pieces, np.empty(len(size), dtype=np.uint8), np.empty(len(size), dtype=np.int64), np.empty(len(size), dtype=np.int64))
    form = np.uint8(SPM if variant == 2 else SPM_1)
    _cuts(keys, pieces.begin, pieces.count, size, threshold(rate), threshold(spm), form, made.form, made.first, made.second)
    return made


@kernel
def _run(source, first, stop, out, place, end):  # type: ignore[no-untyped-def]
    """Copy `source[first:stop]` to `out[place:]` as far as there is room; returns where it ends."""
    count = min(stop - first, end - place)
    if count > 0:
        copy(source, first, count, out, place)
        place += count
    return place


@kernel
def _put(token, out, place, end):  # type: ignore[no-untyped-def]
    """Write one token if there is room; returns where it ends."""
    if place < end:
        out[place] = token
        place += 1
    return place


@kernel
def _middles(values, offsets, begin, count, start, length, form, first, second, new, out, at, room):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, place, end, last = values[offsets[u] : offsets[u + 1]], at[u], at[u] + room[u], np.int64(0)
        for j in range(begin[u], begin[u] + count[u]):
            pre, suf, mid = new[j, 0], new[j, 1], new[j, 2]
            a = np.int64(start[j])
            b, c, d = a + first[j], a + second[j], a + length[j]
            place = _run(source, last, a, out, place, end)
            last = d
            if form[j] == PSM:
                place = _put(pre, out, place, end)
                place = _run(source, a, b, out, place, end)
                place = _put(suf, out, place, end)
                place = _run(source, c, d, out, place, end)
                place = _put(mid, out, place, end)
                place = _run(source, b, c, out, place, end)
            elif form[j] == SPM:
                place = _put(pre, out, place, end)
                place = _put(suf, out, place, end)
                place = _run(source, c, d, out, place, end)
                place = _put(mid, out, place, end)
                place = _run(source, a, c, out, place, end)
            elif form[j] == SPM_1:
                place = _put(suf, out, place, end)
                place = _run(source, c, d, out, place, end)
                place = _put(pre, out, place, end)
                place = _run(source, a, b, out, place, end)
                place = _put(mid, out, place, end)
                place = _run(source, b, c, out, place, end)
            else:
                place = _run(source, a, d, out, place, end)
        _run(source, last, len(source), out, place, end)


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
        d.values["cuts"] = draw_cuts(d.keys, pieces, pieces.length.astype(np.int64), self.rate, self.spm, self.variant)

    def lengths(self, lengths: Lengths, d: Decisions) -> Lengths:
        """Lengths after the step."""
        return lengths + 3 * np.minimum(d["cuts"].changed(), 1)

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write unit u at `out[at[u]:]`."""
        cuts: Cuts = d["cuts"]
        p = cuts.pieces
        _middles(text.values, text.offsets, p.begin, p.count, p.start, p.length, cuts.form, cuts.first, cuts.second, cuts.numbers(ink),
                 out, at, self.lengths(text.lengths, d))  # fmt: skip

    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]:
        """The run as the middle."""
        return {"cuts": held_cuts(lengths, runs)}
