"""Runs and places without mispredicted branches: what the kernels of corruptions and targets owe their speed to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, overload

from maskdial.rng import below, copy, draw, inlined, kernel

if TYPE_CHECKING:
    from jaxtyping import Int64, UInt8

U0, U1, U2, U3, U4, U5, U6, U7, U8, U56, U64 = (np.uint64(i) for i in (0, 1, 2, 3, 4, 5, 6, 7, 8, 56, 64))
PAIRS, FOURS, EIGHTS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333), np.uint64(0x0F0F0F0F0F0F0F0F)
BYTES = np.uint64(0x0101010101010101)

#: how far past its places `places` may write
SPARE = 64
#: how many tokens `copy_on` moves at once: most runs of most recipes are shorter, and so are most hidden spans than the second
AT_ONCE, FEW_AT_ONCE = np.uint64(32), np.uint64(16)


@inlined
def _eight(s, a, t, b):  # type: ignore[no-untyped-def]
    """Eight tokens: all are read before one is written, so that they move as one vector."""
    t[b], t[b + U1], t[b + U2], t[b + U3], t[b + U4], t[b + U5], t[b + U6], t[b + U7] = (
        s[a], s[a + U1], s[a + U2], s[a + U3], s[a + U4], s[a + U5], s[a + U6], s[a + U7])  # fmt: skip


@inlined
def copy_on(source, first, count, target, place, at_once=AT_ONCE):  # type: ignore[no-untyped-def]
    """`copy` of a short run that may write up to `at_once` tokens past it, where the target has them: for units written one after
    another from left to right. Nearly always the number of steps is the same, so the processor foresees it."""
    a, b, n = np.uint64(first), np.uint64(place), np.uint64(count)
    if a + n + at_once <= np.uint64(len(source)) and b + n + at_once <= np.uint64(len(target)):
        for i in range(U0, at_once, U8):
            _eight(source, a + i, target, b + i)
        for i in range(at_once, n, U8):
            _eight(source, a + i, target, b + i)
    else:
        copy(source, a, n, target, b)


@inlined
def _ones(word):  # type: ignore[no-untyped-def]
    """How many bits are set; compilers know this form and make one instruction of it."""
    word = word - ((word >> U1) & PAIRS)
    word = (word & FOURS) + ((word >> U2) & FOURS)
    return (((word + (word >> U4)) & EIGHTS) * BYTES) >> U56


@inlined
def _lowest(word):  # type: ignore[no-untyped-def]
    """Which is the lowest bit set."""
    return _ones(~word & (word - U1))


def differ(flags, start, value):  # type: ignore[no-untyped-def]
    """Bit i tells whether `flags[start + i]` is another than `value`, for 64 of them."""
    word = U0
    for i in range(U64):
        word |= np.uint64(flags[start + i] != value) << np.uint64(i)
    return word


@intrinsic
def _compared_at_once(context, flags, start, value):  # type: ignore[no-untyped-def]
    """The same of values that lie side by side, in one comparison: compilers make it of no loop."""

    def write(context, builder, signature, args):  # type: ignore[no-untyped-def]
        kind, int32 = signature.args[0].dtype, ir.IntType(32)
        many, array = ir.VectorType(context.get_value_type(kind), 64), context.make_array(signature.args[0])(context, builder, args[0])
        found = builder.load(builder.bitcast(builder.gep(array.data, [args[1]]), many.as_pointer()))
        found.align = 1
        one = context.cast(builder, args[2], signature.args[2], kind)
        first = builder.insert_element(ir.Constant(many, ir.Undefined), one, int32(0))
        every = builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(int32, 64), [0] * 64))
        return builder.bitcast(builder.icmp_unsigned("!=", found, every), ir.IntType(64))

    return types.uint64(flags, types.uint64, value), write


@overload(differ)
def _differ(flags, start, value):  # type: ignore[no-untyped-def]
    if flags.dtype not in (types.uint8, types.int32) or flags.layout != "C":
        return differ
    return lambda flags, start, value: _compared_at_once(flags, start, value)  # type: ignore[call-arg]


@inlined
def _word(flags, a, value, flip):  # type: ignore[no-untyped-def]
    """The 64 values from a on, or as many as there are, as bits (of at least 64 values in all)."""
    size = np.uint64(len(flags))
    start = a if a + U64 <= size else size - U64
    return (differ(flags, start, value) ^ flip) >> (a - start)  # type: ignore[no-untyped-call]


@inlined
def places(flags, value, equal, out):  # type: ignore[no-untyped-def]
    """Where bytes equal `value` (or, not `equal`, differ from it), ascending; returns how many.

    `out` needs `SPARE` entries more than that: eight places at a time are written whether there are so many or not.
    """
    n, size, flip = U0, np.uint64(len(flags)), U0 - np.uint64(equal)
    if size < U64:
        for i in range(size):
            out[n] = i
            n += np.uint64((flags[i] == value) == equal)
        return np.int64(n)
    for a in range(U0, size, U64):
        word, k = _word(flags, a, value, flip), n
        n += _ones(word)
        while True:
            for i in range(U8):
                out[k + i] = a + _lowest(word)
                word &= word - U1
            k += U8
            if k >= n:
                break
    return np.int64(n)


@inlined
def number(flags, value, equal):  # type: ignore[no-untyped-def]
    """How many places `places` finds."""
    n, size, flip = U0, np.uint64(len(flags)), U0 - np.uint64(equal)
    if size < U64:
        for i in range(size):
            n += np.uint64((flags[i] == value) == equal)
        return np.int64(n)
    for a in range(U0, size, U64):
        n += _ones(_word(flags, a, value, flip))
    return np.int64(n)


@inlined
def next_place(values, value, equal, at, stop):  # type: ignore[no-untyped-def]
    """The first of the places that `places` finds (tokens as well as bytes) from `at` on and before `stop`; `stop` where there is none."""
    a, last, size, flip = np.uint64(at), np.uint64(stop), np.uint64(len(values)), U0 - np.uint64(equal)
    while a < last and a + U64 <= size:
        word = differ(values, a, value) ^ flip  # type: ignore[no-untyped-call]
        if word:
            return np.int64(min(a + _lowest(word), last))
        a += U64
    while a < last and (values[a] == value) != equal:
        a += U1
    return np.int64(min(a, last))


@kernel
def next_set(flags, at):  # type: ignore[no-untyped-def]
    """The first place from `at` on whose byte is not 0; the length where there is none."""
    return next_place(flags, np.uint8(0), False, at, len(flags))


@inlined
def stretches(starts, out):  # type: ignore[no-untyped-def]
    """Where words or sentences begin (the first token begins one whatever its flag) and, behind these, where the last one ends;
    returns how many there are. `out` needs `SPARE` entries more."""
    n = np.int64(len(starts) > 0)
    out[0] = 0
    if n:
        n += places(starts[1:], np.uint8(0), False, out[1:])
    for j in range(1, n):
        out[j] += 1
    out[n] = len(starts)
    return n


@kernel
def longest_of(offsets):  # type: ignore[no-untyped-def]
    """The length of the longest unit."""
    longest = 0
    for u in range(len(offsets) - 1):
        longest = max(longest, offsets[u + 1] - offsets[u])
    return longest


@kernel
def _marked(flags, offsets, count):  # type: ignore[no-untyped-def]
    for u in range(len(count)):
        count[u] = number(flags[offsets[u] : offsets[u + 1]], np.uint8(0), False)


def marked(flags: UInt8[np.ndarray, " n"], offsets: Int64[np.ndarray, " u+1"]) -> Int64[np.ndarray, " u"]:
    """How many flags of each unit are set."""
    count = np.empty(len(offsets) - 1, dtype=np.int64)
    _marked(flags, offsets, count)
    return count


@kernel
def any_order(key, out):  # type: ignore[no-untyped-def]
    """Fill `out` with an order of 0 … n-1, every one equally likely: the shuffle that starts from nothing."""
    for i in range(np.uint64(len(out))):
        other = below(draw(key, np.uint64(i)), np.int64(i) + 1)
        out[i] = out[other]
        out[other] = np.int32(i)
