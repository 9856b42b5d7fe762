"""Which documents are held out, and which a tokenizer is trained on.

Both go by a keyed hash of the text: equal texts always fall on the same side, and adding documents moves none from one side to
the other, whatever order they are read in and by how many processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from maskdial.data.document import Document

SPACE = 1 << 64
#: What is remembered of each document: the hash that decides its side, a second one that tells it from others with the same,
#: and the UTF-8 bytes of its text.
ROW = np.dtype([("side", "<u8"), ("twin", "<u8"), ("size", "<u8")])
#: Rows looked at in one step.
STEP = 1 << 20
Rows = NDArray[np.void]


def _hash(data: bytes, key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=key).digest(), "little")


def text_hash(text: str) -> int:
    """A 64-bit number that decides a text's side."""
    return _hash(text.encode(), b"maskdial.held-out/1")


def row_of(document: Document) -> tuple[int, int, int]:
    """A document's `ROW`. Prompts that end elsewhere make other documents of the same text."""
    data = document.text.encode()
    asks = b"" if document.prompt is None else b"%d" % document.prompt
    return _hash(data, b"maskdial.held-out/1"), _hash(data + b"\0" + asks, b"maskdial.twin/1"), len(data)


@dataclass
class Split:
    """Which documents are held out: those whose hash is below `threshold`, else the one text whose hash is `chosen` (when
    chance left none), else, when all texts are one, its last part."""

    threshold: int = 0
    chosen: int = -1
    tail: float = 0.0

    def side(self, number: int) -> str:
        """The part of a text by its hash, unless it is to be cut."""
        return "held_out" if number < self.threshold or number == self.chosen else "train"

    def trains(self, numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Which of these hashes `side` says "train" of."""
        found: NDArray[np.bool_] = numbers >= np.uint64(self.threshold)
        return found & (numbers != np.uint64(self.chosen)) if self.chosen >= 0 else found

    def parts(self, document: Document) -> list[tuple[str, Document]]:
        """(part, document), two of them when the document itself is cut."""
        if not self.tail or document.supervised:  # a conversation is not cut
            return [(self.side(text_hash(document.text)), document)]
        text = document.text
        cut = round(len(text) * (1 - self.tail))
        cut = next((i for i in range(cut, len(text)) if text[i].isspace()), cut)
        if not text[:cut].strip() or not text[cut:].strip():
            return [("train", document)]
        halves = (("train", text[:cut]), ("held_out", text[cut:]))
        return [(part, replace(document, text=t, ids=None)) for part, t in halves]


def steps(files: Sequence[Rows], left_out: Sequence[NDArray[np.bool_]] | None) -> Iterator[Rows]:
    """Bounded pieces of all files' rows, without what is left out."""
    for n, rows in enumerate(files):
        for first in range(0, len(rows), STEP):
            some = rows[first : first + STEP]
            yield some if left_out is None else some[~left_out[n][first : first + STEP]]


def settle(share: float, files: Sequence[Rows], left_out: Sequence[NDArray[np.bool_]] | None, total: int) -> Split:
    """The split of documents with these rows: something must end on both sides, which chance alone does not promise for a
    handful of texts. `total` is their bytes."""
    if share <= 0:
        return Split()
    threshold, least, most = int(share * SPACE), SPACE, -1
    for rows in steps(files, left_out):
        if len(rows):
            least, most = min(least, int(rows["side"].min())), max(most, int(rows["side"].max()))
    if least == most:
        return Split(tail=share)
    if least < threshold:
        return Split(threshold=min(threshold, most))  # the largest hash stays in training
    best = (np.inf, SPACE)  # none is held out: take the one of the size that was asked for
    for rows in steps(files, left_out):
        off = np.abs(rows["size"].astype(np.float64) - share * total)
        nearest = off.min(initial=np.inf)
        best = min(best, (float(nearest), int(rows["side"][off == nearest].min(initial=SPACE - 1))))
    return Split(chosen=best[1])


def sample_floor(files: Sequence[Rows], left_out: Sequence[NDArray[np.bool_]] | None, budget: int) -> int:
    """The least hash of the texts to train a tokenizer on: those with the largest hashes that fit `budget` bytes (at least one
    hash, whatever the number of its texts).

    It rises by an eighth of what is above it at a time, so that it is found by counting.
    """
    floors, floor = [0], 0
    while (SPACE - floor) // 8:
        floor += (SPACE - floor) // 8
        floors.append(floor)
    levels = np.array(floors, dtype=np.uint64)
    sizes, counts, most = np.zeros(len(levels)), np.zeros(len(levels), dtype=np.int64), 0
    for rows in steps(files, left_out):
        level = np.searchsorted(levels, rows["side"], side="right") - 1
        sizes += np.bincount(level, rows["size"], len(levels))
        counts += np.bincount(level, minlength=len(levels))
        most = max(most, int(rows["side"].max(initial=0)))
    above, number = np.cumsum(sizes[::-1])[::-1], np.cumsum(counts[::-1])[::-1]
    fits = np.flatnonzero((above <= budget) | (number <= 1))
    return min(floors[int(fits[0])], most) if len(fits) else most


def repeated(files: Sequence[Rows], most: int = 1 << 22) -> list[NDArray[np.bool_]]:
    """For each document whether one before it has the same content (128 bits of hash are equal), in bounded memory.

    Documents are compared with those whose hash leaves the same rest, so that about `most` of them are looked at at once (a
    sixteenth of all, where there are very many).
    """
    found = [np.zeros(len(rows), dtype=bool) for rows in files]
    base = np.cumsum([0, *map(len, files)])
    shares = min(16, 1 + int(base[-1]) // most)
    for share in range(shares):
        picked = [np.flatnonzero(rows["side"] % np.uint64(shares) == share) for rows in files]
        number = np.concatenate([p + at for p, at in zip(picked, base, strict=False)])
        side, twin = (np.concatenate([rows[name][p] for rows, p in zip(files, picked, strict=True)]) for name in ("side", "twin"))
        order = np.lexsort((number, twin, side))
        side, twin, number = side[order], twin[order], number[order]
        later = np.sort(number[1:][(side[1:] == side[:-1]) & (twin[1:] == twin[:-1])])
        for n, (low, high) in enumerate(zip(np.searchsorted(later, base[:-1]), np.searchsorted(later, base[1:]), strict=True)):
            found[n][later[low:high] - base[n]] = True
    return found
