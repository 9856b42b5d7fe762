"""Fill in the middle of a text: cut between characters, so that the three parts are encoded anew, each on its own.

Python a piece: the tokenizer's speed is the limit. The vocabulary brings the tokenizer (`Vocab.codec`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs
from maskdial.corruption.middle import AS_IS, LENGTH, PSM, SPM, Cuts, MovesMiddles, draw_cuts, held_cuts
from maskdial.corruption.text import LOOSE, Decisions, Ink, Spans, Text
from maskdial.sample import REPLACED, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64
    Lengths = Int64[np.ndarray, " u"]

#: what a decoder writes for bytes that are no whole character; a character has at most four bytes
BROKEN, LONGEST = "\ufffd", 4
#: tokens that a unit may grow by: three sentinels, and what two cuts through tokens add
SPARE = 16


@dataclass(frozen=True)
class Written:
    """The units' tokens with the codec that spells them, and the parts of pieces encoded so far for one set of cuts."""

    tokens: Int32[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " u+1"]
    codec: Any

    def ids(self, unit: int, start: int, length: int) -> list[int]:
        first = int(self.offsets[unit]) + start
        ids: list[int] = self.tokens[first : first + length].tolist()
        return ids

    def parts(self, cuts: Cuts) -> list[list[list[int]]]:
        """Prefix, middle and suffix of each piece as ids; nothing for a piece that stays."""
        made: list[list[list[int]]] = []
        for unit, (start, length, form, a, b) in zip(cuts.unit.tolist(), cuts.table.tolist(), strict=True):
            if form == AS_IS:
                made.append([])
                continue
            text = self.codec.decode(self.ids(unit, start, length))
            made.append([list(self.codec.encode(part)) if part else [] for part in (text[:a], text[a:b], text[b:])])
        return made


def whole_characters(ids: list[int], codec: Any) -> tuple[int, int, int]:
    """(first, count) of the tokens that spell whole characters, and how many characters; none where bytes would be lost.

    A window may begin and end inside a character. Bytes that are no text further in would not survive being encoded again.
    """
    first, stop = 0, len(ids)
    while first < min(LONGEST, stop) and codec.decode(ids[first:stop]).startswith(BROKEN):
        first += 1
    while stop > max(first, len(ids) - LONGEST) and codec.decode(ids[first:stop]).endswith(BROKEN):
        stop -= 1
    text = codec.decode(ids[first:stop])
    if BROKEN in text and list(codec.encode(text)) != ids[first:stop]:
        return first, stop - first, 0
    return first, stop - first, len(text)


def same_tokens(new: Sequence[int], old: Sequence[int], decode: Callable[[list[int]], str]) -> list[int]:
    """For each token of `new` the index of the token of `old` that it is, or -1; both spell one text.

    They walk in step while they agree; after a cut they are in step again where as much has been spelled by both.
    """
    found, i, k = [-1] * len(new), 0, 0
    while i < len(new) and k < len(old):
        if new[i] == old[k]:
            found[i] = k
            i, k = i + 1, k + 1
            continue
        m, n = i + 1, k + 1
        while m < len(new) or n < len(old):
            ours, theirs = decode(list(new[i:m])), decode(list(old[k:n]))
            if ours == theirs and BROKEN not in ours:
                break
            if m < len(new) and (len(ours) <= len(theirs) or n == len(old)):
                m += 1
            else:
                n += 1
        i, k = m, n
    return found


@dataclass(frozen=True)
class MiddleOfText(MovesMiddles):
    """`Middle` with cuts between characters (§3.2: a model must also fill in from the middle of a token). The decision is "cuts"."""

    def draw(self, rows: Rows, lengths: Lengths, d: Decisions, vocab: Vocab) -> None:
        """Which pieces, which form, between which characters they are cut."""
        codec = vocab.codec
        if codec is None:
            raise ValueError("fim: unit='char' cuts text, so the vocabulary must bring its tokenizer: Vocab(…, codec=tokenizer), "
                             "which a prepared corpus has (or unit='token')")  # fmt: skip
        offsets = rows.units.offsets
        written, pieces = Written(rows.tokens, offsets, codec), self.pieces(rows, vocab)
        found = [whole_characters(written.ids(unit, start, length), codec) for unit, start, length in entries(pieces)]
        first, count, size = np.array(found, dtype=np.int32).reshape(-1, 3).T.copy()
        inner = Spans(pieces.begin, pieces.count, pieces.start + first, count)
        d.values |= {"cuts": draw_cuts(d.keys, inner, size, self.chances), "written": written}

    def parts(self, d: Decisions) -> list[list[list[int]]]:
        """The encoded parts of each piece, encoded once for the same cuts."""
        cuts, known = d["cuts"], d.get("parts")
        if known is None or known[0] is not cuts:
            known = d.values["parts"] = cuts, d["written"].parts(cuts)
        made: list[list[list[int]]] = known[1]
        return made

    def lengths(self, lengths: Lengths, d: Decisions) -> Lengths:
        """Lengths after the step."""
        cuts: Cuts = d["cuts"]
        more = [3 + sum(map(len, parts)) - int(n) if parts else 0 for parts, n in zip(self.parts(d), cuts.table[:, LENGTH], strict=True)]
        grown = lengths + np.bincount(cuts.unit, weights=more, minlength=len(lengths)).astype(np.int64)
        return np.minimum(grown, lengths + SPARE)

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Lengths) -> None:
        """Write unit u at `out[at[u]:]`."""
        cuts: Cuts = d["cuts"]
        room, sentinels, parts = self.lengths(text.lengths, d), cuts.numbers(ink), self.parts(d)
        for u in range(len(at)):
            unit, last, made = text.values[text.offsets[u] : text.offsets[u + 1]], 0, [text.values[:0]]
            new = 3 * int(cuts.count[u])
            for j in range(int(cuts.begin[u]), int(cuts.begin[u] + cuts.count[u])):
                start, length, form, *_ = cuts.table[j].tolist()
                stop = start + length
                made.append(unit[last:start])
                last = stop
                if not parts[j]:
                    made.append(unit[start:stop])
                    continue
                written = self.numbered(parts[j], unit[start:stop], d["written"], u, start, new, ink) if ink.numbers else parts[j]
                new += sum(map(len, parts[j]))
                made += arranged(form, sentinels[j * ink.numbers], [np.array(part, dtype=np.int32) for part in written])
            made.append(unit[last:])
            out[at[u] : at[u] + room[u]] = np.concatenate(made)[: room[u]]

    def hold(self, rows: Rows, lengths: Lengths, runs: Runs) -> dict[str, Any]:
        """The run as the middle, cut between its tokens, which stay as they are."""
        cuts, written = held_cuts(lengths, runs), Written(rows.tokens, rows.units.offsets, None)
        units = [written.ids(u, 0, length) for u, length in enumerate(lengths.tolist())]
        parts = [[unit[: one[0][0]], unit[slice(*one[0])], unit[one[0][1] :]] if one else [] for unit, one in zip(units, runs, strict=True)]
        return {"cuts": cuts, "written": written, "parts": (cuts, parts)}

    def numbered(self, parts: list[list[int]], unit: Int32[np.ndarray, " n"], written: Written, u: int, start: int, new: int,
                 ink: Ink) -> list[list[int]]:  # fmt: skip
        """The parts as numbers: a token that came out as it was keeps its own, others are introduced (`replaced`)."""
        flat, old = [id for part in parts for id in part], written.ids(u, start, len(unit))
        same = same_tokens(flat, old, written.codec.decode) if flat != old else list(range(len(old)))
        fresh = ink.number(LOOSE, new + np.arange(len(flat)), u, REPLACED)
        made = iter([int(unit[k]) if k >= 0 else int(fresh[i]) for i, k in enumerate(same)])
        return [[next(made) for _ in part] for part in parts]


def entries(pieces: Spans) -> Iterator[tuple[int, int, int]]:
    """(unit, start, length) of each piece."""
    return zip(pieces.entry_unit.tolist(), pieces.start.tolist(), pieces.length.tolist(), strict=True)


def arranged(form: int, sentinels: Int32[np.ndarray, " 3"], parts: list[Int32[np.ndarray, " n"]]) -> list[Int32[np.ndarray, " n"]]:
    """Prefix, middle and suffix behind their sentinels, in the order of the form."""
    (prefix, middle, suffix), (pre, suf, mid) = parts, (sentinels[0:1], sentinels[1:2], sentinels[2:3])
    if form == PSM:
        return [pre, prefix, suf, suffix, mid, middle]
    return [pre, suf, suffix, mid, prefix, middle] if form == SPM else [suf, suffix, pre, prefix, mid, middle]
