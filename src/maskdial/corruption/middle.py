"""Fill in the middle: a document is cut twice and its middle moved to the end (Bavarian et al. 2022, §3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.runs import U0, U1, U2, next_place
from maskdial.corruption.text import LOOSE, Decisions, Ink, Text, two_columns
from maskdial.rng import GOLDEN, MIDDLE, U32, below, copy, inlined, kernel, mix, site, threshold
from maskdial.sample import NONE, SPECIAL, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64
    Lengths = Int64[np.ndarray, " u"]

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
def _cut(key, p, size, rate, spm, other, table, j):  # type: ignore[no-untyped-def]
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
def cut_pieces(keys, begin, count, size, rate, spm, other, table, more):  # type: ignore[no-untyped-def]
    """Forms and cuts of pieces whose sizes are given."""
    for u in range(len(keys)):
        key, more[u] = site(keys[u], MIDDLE), 0
        for p in range(count[u]):
            j = np.uint64(begin[u] + p)
            more[u] |= _cut(key, p, size[j], rate, spm, other, table, j)


@kernel
def _cut_documents(keys, tokens, offsets, eod, whole, rate, spm, other, begin, count, more):  # type: ignore[no-untyped-def]
    """Documents as `documents` or (`whole`) `wholes` finds them, their forms and cuts."""
    used, table = 0, np.empty((len(tokens) + len(keys), 5), dtype=np.int32)
    for u in range(len(keys)):
        key, part = site(keys[u], MIDDLE), tokens[offsets[u] : offsets[u + 1]]
        first, p, longer = np.int64(0), 0, np.int64(0)
        while first < len(part) or (whole and p == 0):
            ended = np.int64(len(part) > 0 and part[-1] == eod)
            stop, j = len(part) - ended if whole else next_place(part, eod, True, first), np.uint64(used + p)
            table[j, START], table[j, LENGTH] = first, stop - first
            longer |= _cut(key, p, stop - first, rate, spm, other, table, j)
            first, p = np.int64(len(part) if whole else stop + 1), p + 1
        begin[u], count[u], more[u] = used, p, longer
        used += p
    return table[:used].copy()


@inlined
def _parts(form, a, b, c, d):  # type: ignore[no-untyped-def]
    """(sentinel, from, to) three times, in the order of the form; the prefix lies in a … b, the middle in b … c, the suffix in c … d."""
    if form == PSM:
        return (PREFIX, a, b), (SUFFIX, c, d), (MID, b, c)
    return ((PREFIX, a, a), (SUFFIX, c, d), (MID, a, c)) if form == SPM else ((SUFFIX, c, d), (PREFIX, a, b), (MID, b, c))


@inlined
def _run(values, first, stop, out, place, end):  # type: ignore[no-untyped-def]
    """Copy `values[first:stop]` to `out[place:]` as far as there is room; returns where it ends."""
    count = max(min(stop - first, end - place), 0)
    copy(values, first, count, out, place)
    return place + count


@kernel
def _middles(values, offsets, begin, count, table, more, new, each, out, at, said, silent):  # type: ignore[no-untyped-def]
    """What is read; and, where `said` is given, what each position says: what the next one of its unit reads."""
    for u in range(len(at)):
        last, place = offsets[u], at[u]
        end = place + offsets[u + 1] - last + more[u]
        for j in range(np.uint64(begin[u]), np.uint64(begin[u] + count[u])):
            form, sentinels = table[j, FORM], np.uint64(each) * j
            if form == AS_IS:
                continue
            a = offsets[u] + table[j, START]
            b, c, d = a + table[j, FIRST], a + table[j, SECOND], a + table[j, LENGTH]
            place = _run(values, last, a, out, place, end)
            for sentinel, left, right in _parts(form, a, b, c, d):
                if place < end:
                    out[place] = new[sentinels, sentinel]
                place = _run(values, left, right, out, place + 1, end)
            last = d
        _run(values, last, offsets[u + 1], out, place, end)
        if len(said) and end > at[u]:
            copy(out, at[u] + 1, end - at[u] - 1, said, at[u])
            said[end - 1] = silent


@dataclass(frozen=True)
class MovesMiddles:
    """Which pieces take which form. Pieces are documents, or (`whole`) units, without the end tokens behind them."""

    whole: bool
    rate: float
    spm: float
    variant: int = 2
    decisions = ("cuts",)
    hides = True

    @property
    def chances(self) -> tuple[np.uint64, np.uint64, int]:
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
        units = rows.units
        (begin, count), more = two_columns(len(units)), np.empty(len(units), dtype=np.int64)
        eod = np.int32(-1 if vocab.eod is None else vocab.eod)
        table = _cut_documents(d.keys, rows.tokens, units.offsets, eod, self.whole, *self.chances, begin, count, more)
        d.values["cuts"] = Cuts(begin, count, table, more)

    def lengths(self, lengths: Lengths, d: Decisions) -> Lengths:
        """Lengths after the step."""
        longer: Lengths = lengths + d["cuts"].more
        return longer

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write unit u at `out[at[u]:]`."""
        self.write_next(text, d, ink, 0, out, NONE, at)

    def write_next(self, text: Text, d: Decisions, ink: Ink, silent: int, out: Int32[np.ndarray, " m"], said: Int32[np.ndarray, " m"],
                   at: Lengths) -> None:  # fmt: skip
        """The same, and what each position must say that says the next one."""
        cuts: Cuts = d["cuts"]
        _middles(text.values, text.offsets, cuts.begin, cuts.count, cuts.table, cuts.more, cuts.numbers(ink), int(ink.numbers), out, at,
                 said, silent)  # fmt: skip

    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]:
        """The run as the middle."""
        return {"cuts": held_cuts(lengths, runs)}
