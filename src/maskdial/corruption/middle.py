"""Fill in the middle: a document is cut twice and its middle moved to the end (Bavarian et al. 2022, §3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.documents import documents, wholes
from maskdial.corruption.held import Runs
from maskdial.corruption.runs import U0, U1, U2, copy_on, next_place
from maskdial.corruption.text import LOOSE, Decisions, Ink, Spans, Text
from maskdial.rng import GOLDEN, MIDDLE, U32, below, inlined, kernel, mix, site, threshold
from maskdial.sample import SPECIAL, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64

    from maskdial.corruption.select import Keys
    Lengths = Int64[np.ndarray, " u"]
    Chances = tuple[np.uint64, np.uint64, int]

#: what becomes of a piece: nothing; prefix, suffix, middle; suffix, prefix and middle (variant 2); the same announced in
#: its own order (variant 1)
AS_IS, PSM, SPM, SPM_1 = range(4)
#: the sentinels, by the order of a piece's own numbers
PREFIX, SUFFIX, MID = U0, U1, U2
#: what is known of a piece: where it starts in its unit and how long it is, in tokens; its form and two cuts
START, LENGTH, FORM, FIRST, SECOND = range(5)
#: tokens that a unit has more if one of its pieces takes another form
MORE = 3


@dataclass
class Cuts:
    """Pieces of units, a row of `table` each: start, length, form, and where it is cut: 0 ≤ first ≤ second ≤ its size (tokens or
    characters). Those of unit u are the rows `begin[u]:begin[u]+count[u]`."""

    begin: Lengths
    count: Lengths
    table: Int32[np.ndarray, "k 5"]
    #: how many tokens longer each unit gets
    more: Lengths

    @staticmethod
    def of(lists: list[list[tuple[int, int, int, int, int]]]) -> Cuts:
        """From one list of (start, length, form, first, second) a unit; start and length in tokens."""
        count = np.array([len(unit) for unit in lists], dtype=np.int64)
        table = np.array([entry for unit in lists for entry in unit], dtype=np.int32).reshape(-1, 5)
        more = np.array([MORE * any(form != AS_IS for _, _, form, *_ in unit) for unit in lists], dtype=np.int64)
        return Cuts(np.cumsum(count) - count, count, table, more)

    form = property(lambda self: self.table[:, FORM])
    first = property(lambda self: self.table[:, FIRST])
    second = property(lambda self: self.table[:, SECOND])

    @property
    def unit(self) -> Int64[np.ndarray, " k"]:
        """The unit of each piece."""
        return np.repeat(np.arange(len(self.count)), self.count)

    def numbers(self, ink: Ink) -> Int32[np.ndarray, "k 3"]:
        """The sentinels as numbers, of each piece; or as ids, once for all."""
        if ink.numbers:
            unit = self.unit
            j = MORE * (np.arange(len(unit)) - self.begin[unit])
            return np.stack([ink.number(LOOSE, j + k, unit, SPECIAL) for k in range(MORE)], axis=1)
        ids, missing = ink.vocab.middle_ids
        if missing and self.form.any():
            raise ValueError(f"{ink.recipe} needs the tokens prefix, middle and suffix and this vocabulary has no {missing}: name "
                             "them with Vocab(…, fim={'prefix': id, 'middle': id, 'suffix': id})")  # fmt: skip
        return ids


def held_cuts(lengths: Lengths, runs: Runs) -> Cuts:
    """A unit's one run as its middle, behind prefix and suffix; a unit without runs as it is. `ValueError` for several runs."""
    if any(len(unit) > 1 for unit in runs):
        raise ValueError("fill in the middle has one middle: it can't hide several runs of a text")
    return Cuts.of([[(0, length, PSM if unit else AS_IS, *(unit[0] if unit else (0, 0)))]
                    for length, unit in zip(lengths.tolist(), runs, strict=True)])  # fmt: skip


@inlined
def unit_cut(key, p, size, rate, spm, other, table, j):  # type: ignore[no-untyped-def]
    """Row j, the p-th piece of a unit: another form with probability `rate`, and two cuts, each uniform in 0 … size whatever the other
    is. Returns how many tokens longer the unit gets."""
    c = key + np.uint64(4 * p) * GOLDEN
    turned = (size > 0) & ((mix(c) >> U32) < rate)
    form = other if (mix(c + GOLDEN) >> U32) < spm else PSM
    a = np.int32(below(mix(c + GOLDEN + GOLDEN), size + 1))
    b = np.int32(below(mix(c + GOLDEN + GOLDEN + GOLDEN), size + 1))
    table[j, FORM], table[j, FIRST], table[j, SECOND] = form if turned else AS_IS, min(a, b), max(a, b)
    return np.int64(MORE if turned else 0)


@kernel
def _cuts(keys, begin, count, size, rate, spm, other, table, more):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key, more[u] = site(keys[u], MIDDLE), 0
        for p in range(count[u]):
            j = np.uint64(begin[u] + p)
            more[u] |= unit_cut(key, p, size[j], rate, spm, other, table, j)


def draw_cuts(keys: Keys, pieces: Spans, size: Int32[np.ndarray, " k"], chances: Chances) -> Cuts:
    """Forms and cuts of pieces of these sizes (tokens or characters)."""
    table, more = np.empty((len(size), 5), dtype=np.int32), np.empty_like(pieces.begin)
    table[:, START], table[:, LENGTH] = pieces.start, pieces.length
    _cuts(keys, pieces.begin, pieces.count, size, *chances, table, more)
    return Cuts(pieces.begin, pieces.count, table, more)


@inlined
def end_of(tokens, first, last, eod, whole):  # type: ignore[no-untyped-def]
    """Where the piece ends that begins at `first` of a unit that ends at `last`, as `documents` or (`whole`) `wholes` finds it."""
    if whole:
        return last - np.int64(last > first and tokens[last - 1] == eod)
    return next_place(tokens, eod, True, first, last)


@inlined
def _parts(form, a, b, c, d):  # type: ignore[no-untyped-def]
    """(sentinel, from, to) three times, in the order of the form; the prefix lies in a … b, the middle in b … c, the suffix in c … d."""
    if form == PSM:
        return (PREFIX, a, b), (SUFFIX, c, d), (MID, b, c)
    return ((PREFIX, a, a), (SUFFIX, c, d), (MID, a, c)) if form == SPM else ((SUFFIX, c, d), (PREFIX, a, b), (MID, b, c))


@inlined
def copied(values, first, stop, out, place, end):  # type: ignore[no-untyped-def]
    """Copy `values[first:stop]` to `out[place:]` as far as there is room; returns where it ends."""
    count = max(min(stop - first, end - place), 0)
    copy_on(values, first, count, out, place)
    return place + count


@inlined
def put(values, first, stop, table, j, new, sentinels, out, place, end):  # type: ignore[no-untyped-def]
    """The piece `values[first:stop]` in its form; returns where it ends."""
    for sentinel, left, right in _parts(table[j, FORM], first, first + table[j, FIRST], first + table[j, SECOND], stop):
        if place < end:
            out[place] = new[sentinels, sentinel]
        place = copied(values, left, right, out, place + 1, end)
    return place


@kernel
def _middles(values, offsets, begin, count, table, more, new, each, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        last, place = offsets[u], at[u]
        end = place + offsets[u + 1] - last + more[u]
        for j in range(np.uint64(begin[u]), np.uint64(begin[u] + count[u])):
            if table[j, FORM] == AS_IS:
                continue
            sentinels = np.uint64(each) * j
            first = offsets[u] + table[j, START]
            place = copied(values, last, first, out, place, end)
            last = first + table[j, LENGTH]
            place = put(values, first, last, table, j, new, sentinels, out, place, end)
        copied(values, last, offsets[u + 1], out, place, end)


@dataclass(frozen=True)
class MovesMiddles:
    """Which pieces take which form. Pieces are documents, or (`whole`) units, without the end tokens behind them."""

    whole: bool
    rate: float
    spm: float
    variant: int = 2
    decisions = ("cuts",)
    hides = True

    def pieces(self, rows: Rows, vocab: Vocab) -> Spans:
        """The pieces of each unit."""
        return (wholes if self.whole else documents)(rows.tokens, rows.units.offsets, vocab.eod)

    @cached_property
    def chances(self) -> Chances:
        """That a piece takes another form and that it takes the other one, and which that is."""
        return threshold(self.rate), threshold(self.spm), SPM if self.variant == 2 else SPM_1


@dataclass(frozen=True)
class Middle(MovesMiddles):
    """Each piece, with probability `rate`, as prefix, suffix, middle or (`spm`) suffix first; other tokens stay.

    A unit gets room for three more tokens, whatever the number of its pieces: what does not fit is cut off at the end (§3.1,
    context level). The decision is "cuts".
    """

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None:
        """Which pieces, which form, where they are cut."""
        d.values["cuts"] = lambda d: self.cuts(d.keys, self.pieces(rows, vocab))

    def cuts(self, keys: Keys, pieces: Spans) -> Cuts:
        """Cuts between tokens."""
        return draw_cuts(keys, pieces, pieces.length, self.chances)

    def lengths(self, lengths: Lengths, d: Decisions) -> Lengths:
        """Lengths after the step."""
        longer: Lengths = lengths + d["cuts"].more
        return longer

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write unit u at `out[at[u]:]`."""
        cuts: Cuts = d["cuts"]
        _middles(text.values, text.offsets, cuts.begin, cuts.count, cuts.table, cuts.more, cuts.numbers(ink), int(ink.numbers), out, at)

    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]:
        """The run as the middle."""
        return {"cuts": held_cuts(lengths, runs)}
