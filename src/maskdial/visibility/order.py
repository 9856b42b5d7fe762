"""The order: one integer a position, from one number a unit.

With `prefix` p, the first p positions share order 0 and the others count 1, 2, 3, …: all of a unit is bidirectional, 1 is
causal, the source's length is a prefix (or an encoder and its decoder). The dial is this number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from maskdial.rng import kernel

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8


Visibility = Literal["bidirectional", "causal", "prefix", "backward", "source-first", "two-stream", "blocks"]

#: what the dial can be turned to, whatever the recipe (or to "prefix:5", a prefix of that size)
DIAL = ("bidirectional", "causal", "prefix")
#: orders that follow from lengths alone; the others are written by their recipe
PLAIN = (*DIAL, "backward", "source-first")


def size_of(visibility: str) -> int | None:
    """The size of a prefix that the dial names itself ("prefix:5"), else None."""
    name, _, size = visibility.partition(":")
    return int(size) if name == "prefix" and size.isdecimal() and len(size) < 10 else None


def prefix_of(visibility: str, lengths: Int64[np.ndarray, " u"], split: Int64[np.ndarray, " u"]) -> Int64[np.ndarray, " u"]:
    """How many positions of each unit see one another both ways; `split` is where the unit's answer begins."""
    if (size := size_of(visibility)) is not None:
        return np.minimum(size, lengths)
    if visibility == "bidirectional":
        return lengths
    return np.ones_like(lengths) if visibility == "causal" else split


@kernel
def _order(offsets, prefix, out):  # type: ignore[no-untyped-def]
    for u in range(len(prefix)):
        part = out[offsets[u] : offsets[u + 1]]
        for i in range(len(part)):
            part[i] = max(0, i - prefix[u] + 1)


def order(offsets: Int64[np.ndarray, " u+1"], prefix: Int64[np.ndarray, " u"]) -> Int32[np.ndarray, " m"]:
    """The order column."""
    out = np.empty(offsets[-1], dtype=np.int32)
    _order(offsets, prefix, out)
    return out


@kernel
def _position(offsets, restart, out):  # type: ignore[no-untyped-def]
    for u in range(len(restart)):
        part = out[offsets[u] : offsets[u + 1]]
        for i in range(len(part)):
            part[i] = i - restart[u] if i >= restart[u] else i


def position(offsets: Int64[np.ndarray, " u+1"], restart: Int64[np.ndarray, " u"]) -> Int32[np.ndarray, " m"]:
    """The index in what is read, counted from 0 again at `restart[u]` (a unit's length for never)."""
    out = np.empty(offsets[-1], dtype=np.int32)
    _position(offsets, restart, out)
    return out


@kernel
def _stream(offsets, split, out):  # type: ignore[no-untyped-def]
    for u in range(len(split)):
        middle = min(offsets[u] + split[u], offsets[u + 1])
        out[offsets[u] : middle] = 0
        out[middle : offsets[u + 1]] = 1


def stream(offsets: Int64[np.ndarray, " u+1"], split: Int64[np.ndarray, " u"]) -> UInt8[np.ndarray, " m"]:
    """0 in the source, 1 in the answer."""
    out = np.empty(offsets[-1], dtype=np.uint8)
    _stream(offsets, split, out)
    return out


def backward(offsets: Int64[np.ndarray, " u+1"]) -> Int32[np.ndarray, " m"]:
    """Right to left: a unit's last position comes first (UniLM's third sight)."""
    last = np.repeat(offsets[1:], np.diff(offsets)) - 1
    return (last - np.arange(offsets[-1])).astype(np.int32)


def source_first(offsets: Int64[np.ndarray, " u+1"], split: Int64[np.ndarray, " u"]) -> Int32[np.ndarray, " m"]:
    """The source sees itself; the answer sees the source and all of itself (conditional masked LM)."""
    return stream(offsets, split).astype(np.int32)
