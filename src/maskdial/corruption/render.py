"""How hidden tokens look: token by token (`Edit`) or span by span (`Replace`). Both are steps of a corruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.held import Runs, as_spans, flags
from maskdial.corruption.pool import pool_ids
from maskdial.corruption.runs import SPARE, U1, copy_on, longest_of, number, places
from maskdial.corruption.text import BODY, LOOSE, Decisions, Ink, Spans, Text, begins_of, same
from maskdial.rng import FRAME, GOLDEN, LOW_HALF, RENDER, REPLACE, SELECT, U32, below, copy, draw, kernel, mix, site, threshold
from maskdial.sample import INSERTED, MASK, RANDOM, SAME, SENTINEL, Rows
from maskdial.vocab import Vocab

if TYPE_CHECKING:
    from jaxtyping import Int32, Int64, UInt8

    from maskdial.corruption.select import Keys, Offsets


#: what happens to a token: nothing, [MASK], a random token, hidden but unchanged, removed
KEEP_IT, AS_MASK, AS_RANDOM, AS_SAME, REMOVED = range(5)


@kernel
def _actions(offsets, keys, as_mask, as_random, hidden):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key, part = site(keys[u], RENDER), hidden[offsets[u] : offsets[u + 1]]
        for i in range(np.uint64(len(part))):  # draws for all, most of them for nothing: cheaper than to find the hidden ones
            bits = mix(key) >> U32
            action = np.uint8(3) - np.uint8(bits < as_random) - np.uint8(bits < as_mask)
            part[i] = action if part[i] else 0
            key += GOLDEN


def mask_or_random_or_same(
    hidden: UInt8[np.ndarray, " n"], offsets: Offsets, keys: Keys, mask: float, random: float
) -> UInt8[np.ndarray, " n"]:
    """Turn flags into actions, in place: [MASK] with probability `mask`, a random token with `random`, else unchanged."""
    if mask >= 1.0:
        return hidden
    _actions(offsets, keys, threshold(mask), threshold(min(1.0, mask + random)), hidden)
    return hidden


@kernel
def _by_coins(offsets, keys, limit, changed, same, actions):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key, part = site(keys[u], SELECT), actions[offsets[u] : offsets[u + 1]]
        for i in range(np.uint64(len(part))):
            bits = mix(key)
            action = np.uint8(1) + np.uint8((bits & LOW_HALF) < changed) + np.uint8((bits & LOW_HALF) < same)
            part[i] = action if (bits >> U32) < limit else 0
            key += GOLDEN


def by_coins(offsets: Offsets, keys: Keys, rate: float, mask: float, random: float) -> UInt8[np.ndarray, " n"]:
    """What becomes of each token: with probability `rate` [MASK], a random token or itself, as in `mask_or_random_or_same`. One half of a
    draw chooses a token, the other says what becomes of it, so that a higher rate changes neither for the tokens chosen before."""
    actions = np.empty(offsets[-1], dtype=np.uint8)
    _by_coins(offsets, keys, threshold(rate), threshold(1 - mask), threshold(max(0.0, 1 - mask - random)), actions)
    return actions


@kernel
def _edit(tokens, offsets, keys, actions, mask, pool, out, at):  # type: ignore[no-untyped-def]
    hit = np.empty(longest_of(offsets) + SPARE, dtype=np.uint64)
    for u in range(len(at)):
        source, action = tokens[offsets[u] : offsets[u + 1]], actions[offsets[u] : offsets[u + 1]]
        target = out[at[u] : at[u] + len(source)]
        for i in range(np.uint64(len(source))):
            target[i] = mask if action[i] == AS_MASK else source[i]
        key = site(keys[u], REPLACE)
        for c in range(np.uint64(places(action, np.uint8(AS_RANDOM), True, hit))):
            target[hit[c]] = pool[below(draw(key, hit[c]), len(pool))]


@kernel
def edit_frame(actions, keys, side, clean, mask, pool, shown):  # type: ignore[no-untyped-def]
    """What is read on one side of each unit's frame."""
    for u in range(len(shown)):
        random = pool[below(draw(site(keys[u], FRAME), np.uint64(side)), len(pool))]
        shown[u] = mask if actions[u, side] == AS_MASK else random if actions[u, side] == AS_RANDOM else clean[u]


@kernel
def _edit_numbers(numbers, offsets, actions, body, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(at)):
        source, action = numbers[offsets[u] : offsets[u + 1]], actions[offsets[u] : offsets[u + 1]]
        target, new = out[at[u] : at[u] + len(source)], np.int32(16 * (body[u] + BODY))
        for i in range(np.uint64(len(source))):
            stands_for = new + np.int32(64) * (source[i] >> np.int32(4))
            changed = stands_for + np.int32(MASK) if action[i] == AS_MASK else stands_for + np.int32(RANDOM)
            shown = (source[i] & np.int32(~15)) | np.int32(SAME) if action[i] == AS_SAME else source[i]
            target[i] = changed if action[i] == AS_MASK or action[i] == AS_RANDOM else shown


@kernel
def _compact(values, offsets, actions, out, at):  # type: ignore[no-untyped-def]
    room = np.uint64(len(out))
    for u in range(len(at)):
        place = np.uint64(at[u])
        for i in range(np.uint64(offsets[u]), np.uint64(offsets[u + 1])):  # what is removed is written too, and then overwritten
            if place < room:
                out[place] = values[i]
            place += np.uint64(actions[i] != REMOVED)


@kernel
def _left(lengths, actions, out):  # type: ignore[no-untyped-def]
    first = np.int64(0)
    for u in range(len(lengths)):
        out[u] = number(actions[first : first + lengths[u]], np.uint8(REMOVED), False)
        first += lengths[u]


@dataclass(frozen=True)
class Edit:
    """Tokens one by one: `select` flags them, then [MASK], random or unchanged by `mask` and `random`.

    Random tokens are drawn from `pool` (`corruption.pool`).
    The decision is "hidden": uint8 a token, 0 kept, 1 [MASK], 2 random, 3 unchanged, 4 removed (only where the step `removes`).
    `decided`: what `select` gives are these already.
    """

    select: Callable[[Rows, Offsets, Decisions], UInt8[np.ndarray, " n"]]
    mask: float = 1.0
    random: float = 0.0
    removes: bool = False
    pool: str = "body"
    decided: bool = False
    decisions = ("hidden",)
    hides = True

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Which tokens, and what becomes of them."""
        offsets = begins_of(rows, lengths)
        hidden = self.select(rows, offsets, d)
        if not self.decided:
            mask_or_random_or_same(hidden, offsets, d.keys, self.mask, self.random)
        d.values["hidden"] = hidden

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Lengths after the step."""
        if not self.removes:
            return lengths
        left = np.empty(len(lengths), dtype=np.int64)
        _left(lengths, d["hidden"], left)
        return left

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write the edited text of unit u at `out[at[u]:]`."""
        actions: UInt8[np.ndarray, " n"] = d["hidden"]
        target, begin = (out, at) if not self.removes else (np.empty_like(text.values), text.offsets[:-1])
        if ink.numbers:
            _edit_numbers(text.values, text.offsets, actions, ink.body, target, begin)
        else:
            mask = ink.vocab.get("mask")
            if mask is None:
                mask = ink.vocab.need("mask", ink.recipe) if (actions == AS_MASK).any() else -1
            _edit(text.values, text.offsets, d.keys, actions, np.int32(mask), pool_ids(ink.vocab, self.pool), target, begin)
        if self.removes:
            _compact(target, text.offsets, actions, out, at)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """Each token of the runs as [MASK] (removed where the step `removes`)."""
        return {"hidden": flags(lengths, runs, REMOVED if self.removes else AS_MASK)}


@kernel
def take(values, first, count, out, at):  # type: ignore[no-untyped-def]
    """Copy `count[u]` values from `first[u]` on to `out[at[u]:]`."""
    for u in range(len(at)):
        copy(values, first[u], count[u], out, at[u])


@kernel
def scatter(values, offsets, out, at):  # type: ignore[no-untyped-def]
    """Copy unit u to `out[at[u]:]`."""
    for u in range(len(offsets) - 1):
        copy(values, offsets[u], offsets[u + 1] - offsets[u], out, at[u])


@kernel
def _replace(values, offsets, begin, count, start, length, new, each, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(offsets) - 1):
        first, stop, place, base = np.uint64(offsets[u]), np.uint64(offsets[u + 1]), np.uint64(at[u]), np.uint64(begin[u] * (not each))
        last = first
        for j in range(np.uint64(begin[u]), np.uint64(begin[u] + count[u])):
            kept = first + np.uint64(start[j]) - last
            copy_on(values, last, kept, out, place)
            out[place + kept] = new[j - base]
            place += kept + U1
            last += kept + np.uint64(length[j])
        copy_on(values, last, stop - last, out, place)


@dataclass(frozen=True)
class Replace:
    """Spans, each replaced by one token: its sentinel (`by="sentinel"`), or [MASK] with a share `random` of random tokens.

    A span of length 0 inserts. The decision is "spans".
    """

    select: Callable[[Rows, Int64[np.ndarray, " u"], Decisions], Spans]
    by: str = "sentinel"
    random: float = 0.0
    overflow: str = "error"
    decisions = ("spans",)
    hides = True

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Which spans."""
        d.values["spans"] = partial(self._spans, rows, lengths, vocab)

    def _spans(self, rows: Rows, lengths: Int64[np.ndarray, " u"], vocab: Vocab, d: Decisions) -> Spans:
        spans = self.select(rows, lengths, d)
        if self.overflow == "merge_tail":  # surplus spans at the end are kept as text; one sentinel may end the answer
            most = max(len(vocab.sentinels) - 1, 0)
            spans = spans.first(np.minimum(spans.count, most))
        return spans

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Lengths after the step."""
        spans: Spans = d["spans"]
        return spans.left(lengths)

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write unit u at `out[at[u]:]`."""
        spans: Spans = d["spans"]
        each = ink.numbers or self.random > 0
        if each:
            new = self._numbers(text, spans, ink) if ink.numbers else self._masks_or_random(spans, d, ink)
        elif self.by == "sentinel":  # the k-th span of a unit takes the k-th
            new = sentinel_table(ink, spans.most, self.overflow)
        else:
            new = same(ink.vocab.need("mask", ink.recipe) if len(spans.start) else -1, 1 << spans.most.bit_length())
        _replace(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, new, each, out, at)

    def hold(self, rows: Rows, lengths: Int64[np.ndarray, " u"], runs: Runs) -> dict[str, Any]:
        """The runs as spans."""
        return {"spans": as_spans(runs)}

    def _masks_or_random(self, spans: Spans, d: Decisions, ink: Ink) -> Int32[np.ndarray, " k"]:
        new = np.full(len(spans.start), ink.vocab.need("mask", ink.recipe) if len(spans.start) else -1, dtype=np.int32)
        _random_spans(d.keys, spans.begin, spans.count, spans.length, threshold(self.random), ink.vocab.body, new)
        return new

    def _numbers(self, text: Text, spans: Spans, ink: Ink) -> Int32[np.ndarray, " k"]:
        new = np.empty(len(spans.start), dtype=np.int32)
        kind = SENTINEL if self.by == "sentinel" else MASK
        _span_numbers(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, ink.body, kind, new)
        return new


@kernel
def _span_numbers(values, offsets, begin, count, start, length, body, kind, new):  # type: ignore[no-untyped-def]
    for u in range(len(begin)):
        for j in range(np.uint64(begin[u]), np.uint64(begin[u] + count[u])):
            if length[j] > 0:
                stands_for = np.int64(values[np.uint64(offsets[u]) + np.uint64(start[j])] >> 4)
                new[j] = 16 * (body[u] + BODY + 4 * stands_for) + kind
            else:
                new[j] = 16 * (body[u] + LOOSE + 4 * (np.int64(j) - begin[u])) + INSERTED


@kernel
def _random_spans(keys, begin, count, length, limit, pool, new):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key = site(keys[u], REPLACE)
        for j in range(count[u]):
            if (draw(key, np.uint64(2 * j)) >> U32) < limit:
                new[begin[u] + j] = pool[below(draw(key, np.uint64(2 * j + 1)), len(pool))]


def sentinel_table(ink: Ink, wanted: int, overflow: str) -> Int32[np.ndarray, " k"]:
    """Ids of the first `wanted` sentinels; past the last one an error, or (T5's release) counting down into the vocabulary."""
    have: Int32[np.ndarray, " k"] = ink.vocab.sentinel_ids
    if wanted > len(have):
        if overflow != "vocab" or not len(have):
            raise ValueError(
                f"{ink.recipe} needs {wanted} sentinels for one row and this vocabulary has {len(have)}: add sentinels, "
                "hide fewer or longer spans, or say overflow='merge_tail' (surplus spans are kept as text)"
            )
        have = np.concatenate([have, have[-1] - 1 - np.arange(wanted - len(have), dtype=np.int32)])
        if have.min() < 0:
            raise ValueError(f"{ink.recipe} ran out of ids counting {wanted} sentinels down into the vocabulary")
    return have
