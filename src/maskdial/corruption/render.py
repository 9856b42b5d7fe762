"""How hidden tokens look: token by token (`Edit`) or span by span (`Replace`). Both are steps of a corruption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from maskdial.corruption.text import BODY, LOOSE, Decisions, Ink, Spans, Text
from maskdial.rng import RENDER, REPLACE, U32, below, copy, draw, kernel, site, threshold
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
        key = site(keys[u], RENDER)
        part = hidden[offsets[u] : offsets[u + 1]]
        for i in range(len(part)):
            bits = draw(key, np.uint64(i)) >> U32
            action = np.uint8(3) - np.uint8(bits < as_random) - np.uint8(bits < as_mask)
            part[i] = part[i] * action


def mask_or_random_or_same(
    hidden: UInt8[np.ndarray, " n"], offsets: Offsets, keys: Keys, mask: float, random: float
) -> UInt8[np.ndarray, " n"]:
    """Turn flags into actions, in place: [MASK] with probability `mask`, a random token with `random`, else unchanged."""
    if mask >= 1.0:
        return hidden
    _actions(offsets, keys, threshold(mask), threshold(min(1.0, mask + random)), hidden)
    return hidden


@kernel
def _edit(tokens, offsets, keys, actions, mask, pool, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        source, action = tokens[offsets[u] : offsets[u + 1]], actions[offsets[u] : offsets[u + 1]]
        target = out[at[u] : at[u] + len(source)]
        for i in range(len(source)):
            target[i] = mask if action[i] == AS_MASK else source[i]
        key = site(keys[u], REPLACE)
        for i in range(len(source)):
            if action[i] == AS_RANDOM:
                target[i] = pool[below(draw(key, np.uint64(i)), len(pool))]


@kernel
def _compact(values, offsets, actions, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(offsets) - 1):
        place = at[u]
        for i in range(offsets[u], offsets[u + 1]):
            if actions[i] != REMOVED:
                out[place] = values[i]
                place += 1


@dataclass(frozen=True)
class Edit:
    """Tokens one by one: `select` flags them, then [MASK], random or unchanged by `mask` and `random`.

    `pool="body"` draws random tokens among ids that are not special, `"vocabulary"` among all (BERT's release).
    The decision is "hidden": uint8 a token, 0 kept, 1 [MASK], 2 random, 3 unchanged, 4 removed.
    """

    select: Callable[[Rows, Offsets, Decisions], UInt8[np.ndarray, " n"]]
    mask: float = 1.0
    random: float = 0.0
    remove_forced: bool = False
    pool: str = "body"
    decisions = ("hidden",)

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Which tokens, and what becomes of them."""
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        hidden = self.select(rows, offsets, d)
        mask_or_random_or_same(hidden, offsets, d.keys, self.mask, self.random)
        d.values["hidden"] = hidden

    def force(self, hide: list[int], length: int) -> dict[str, Any]:
        """Decisions of one unit that hide these tokens, each as [MASK] (removed with `remove_forced`)."""
        flags = np.zeros(length, dtype=np.uint8)
        flags[hide] = REMOVED if self.remove_forced else AS_MASK
        return {"hidden": flags}

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Lengths after the step."""
        gone = d["hidden"] == REMOVED
        if not gone.any():
            return lengths
        return lengths - np.diff(np.concatenate([[0], np.cumsum(gone)])[np.concatenate([[0], np.cumsum(lengths)])])

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write the edited text of unit u at `out[at[u]:]`."""
        actions = d["hidden"]
        dense = bool((actions != REMOVED).all())
        target, places = (out, at) if dense else (np.empty_like(text.values), text.offsets[:-1])
        if ink.numbers:
            unit = np.repeat(np.arange(len(text.lengths)), text.lengths)
            made = text.values.copy()
            for action, kind in ((AS_MASK, MASK), (AS_RANDOM, RANDOM)):
                hit = actions == action
                made[hit] = ink.number(BODY, text.values[hit] >> 4, unit[hit], kind)
            same = actions == AS_SAME
            made[same] = (text.values[same] & ~15) | SAME
            scatter(made, text.offsets, target, places)
        else:
            v = ink.vocab
            mask = v.need("mask", ink.recipe) if (actions == AS_MASK).any() else -1
            pool = v.body if self.pool == "body" else np.arange(v.size, dtype=np.int32)
            _edit(text.values, text.offsets, d.keys, actions, np.int32(mask), pool, target, places)
        if not dense:
            _compact(target, text.offsets, actions, out, at)


@kernel
def scatter(values, offsets, out, at):  # type: ignore[no-untyped-def]
    """Copy unit u to `out[at[u]:]`."""
    for u in range(len(offsets) - 1):
        out[at[u] : at[u] + offsets[u + 1] - offsets[u]] = values[offsets[u] : offsets[u + 1]]


@kernel
def _replace(values, offsets, begin, count, start, length, new, out, at):  # type: ignore[no-untyped-def]
    for u in range(len(offsets) - 1):
        source = values[offsets[u] : offsets[u + 1]]
        place, last = at[u], np.int64(0)
        for j in range(begin[u], begin[u] + count[u]):
            kept = np.int64(start[j]) - last
            copy(source, last, kept, out, place)
            out[place + kept] = new[j]
            place += kept + 1
            last += kept + length[j]
        copy(source, last, len(source) - last, out, place)


@kernel
def span_number(begin, count, out):  # type: ignore[no-untyped-def]
    """The number of each span within its unit."""
    for u in range(len(begin)):
        for j in range(count[u]):
            out[begin[u] + j] = j


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

    def draw(self, rows: Rows, lengths: Int64[np.ndarray, " u"], d: Decisions, vocab: Vocab) -> None:
        """Which spans."""
        spans = self.select(rows, lengths, d)
        if self.overflow == "merge_tail":  # surplus spans at the end are kept as text; one sentinel may end the answer
            most = max(len(vocab.sentinels) - 1, 0)
            spans = spans.first(np.minimum(spans.count, most))
        d.values["spans"] = spans

    def force(self, hide: list[int], length: int) -> dict[str, Any]:
        """Decisions of one unit whose spans are the runs of these tokens."""
        runs: list[tuple[int, int]] = []
        for i in sorted(set(hide)):
            if runs and sum(runs[-1]) == i:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((i, 1))
        return {"spans": Spans.of([runs])}

    def lengths(self, lengths: Int64[np.ndarray, " u"], d: Decisions) -> Int64[np.ndarray, " u"]:
        """Lengths after the step."""
        spans: Spans = d["spans"]
        return lengths - spans.totals + spans.count

    def write(self, text: Text, d: Decisions, ink: Ink, out: Int32[np.ndarray, " m"], at: Int64[np.ndarray, " u"]) -> None:
        """Write unit u at `out[at[u]:]`."""
        spans: Spans = d["spans"]
        new = self._numbers(text, spans, ink) if ink.numbers else self._ids(spans, d, ink)
        _replace(text.values, text.offsets, spans.begin, spans.count, spans.start, spans.length, new, out, at)

    def _ids(self, spans: Spans, d: Decisions, ink: Ink) -> Int32[np.ndarray, " k"]:
        if self.by == "sentinel":
            return sentinel_ids(spans, ink, self.overflow)
        new = np.full(len(spans.start), ink.vocab.need("mask", ink.recipe) if len(spans.start) else -1, dtype=np.int32)
        if self.random > 0:
            _random_spans(d.keys, spans.begin, spans.count, spans.length, threshold(self.random), ink.vocab.body, new)
        return new

    def _numbers(self, text: Text, spans: Spans, ink: Ink) -> Int32[np.ndarray, " k"]:
        unit = spans.entry_unit
        first = np.minimum(text.offsets[unit] + spans.start, max(len(text.values) - 1, 0))
        j = (text.values[first] & ~15) >> 4 if len(text.values) else np.zeros(len(unit), dtype=np.int64)
        new = ink.number(BODY, j, unit, SENTINEL if self.by == "sentinel" else MASK)
        empty = spans.length == 0
        new[empty] = ink.number(LOOSE, np.flatnonzero(empty) - spans.begin[unit[empty]], unit[empty], INSERTED)
        return np.asarray(new, dtype=np.int32)


@kernel
def _random_spans(keys, begin, count, length, limit, pool, new):  # type: ignore[no-untyped-def]
    for u in range(len(keys)):
        key = site(keys[u], REPLACE)
        for j in range(count[u]):
            if (draw(key, np.uint64(2 * j)) >> U32) < limit:
                new[begin[u] + j] = pool[below(draw(key, np.uint64(2 * j + 1)), len(pool))]


def sentinel_ids(spans: Spans, ink: Ink, overflow: str) -> Int32[np.ndarray, " k"]:
    """The id of each span's sentinel, the k-th span of a unit taking the k-th."""
    number = np.empty(len(spans.start), dtype=np.int32)
    span_number(spans.begin, spans.count, number)
    return sentinel_table(ink, int(spans.count.max(initial=0)), overflow)[number]


def sentinel_table(ink: Ink, wanted: int, overflow: str) -> Int32[np.ndarray, " k"]:
    """Ids of the first `wanted` sentinels; past the last one an error, or (T5's release) counting down into the vocabulary."""
    have = np.array(ink.vocab.sentinels, dtype=np.int32)
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
