"""Tables of samples cut down to what is asked: other positions silenced, some rows taken, a source joined to another's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from maskdial.sample import PROVENANCE, SILENT, Column, Samples

COLUMNS = ("read", "position", "segment", "order", "stream")


def silence(samples: Samples, keep: Bool[np.ndarray, " m"]) -> Samples:
    """The same samples, first head only, asking where `keep` is set and nowhere else. Provenance stays where it is."""
    columns = {c: samples.column(c) for c in (*COLUMNS, *samples.extras)}
    if samples.has("origin"):
        columns |= {c: samples.column(c) for c in PROVENANCE} | {"answer": np.where(keep, samples.answer, -1).astype(np.int32)}
    columns[_target(samples)] = np.where(keep, samples.target, SILENT).astype(np.int32)
    return made_of(samples, samples.offsets, samples.index, columns, samples.body)


def take(samples: Samples, which: Int64[np.ndarray, " k"]) -> Samples:
    """Some rows of a table, in the given order, as a model reads them."""
    lengths = np.diff(samples.offsets)[which]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    index = np.repeat(samples.offsets[which] - offsets[:-1], lengths) + np.arange(offsets[-1])
    columns = {c: samples.column(c)[index] for c in (*COLUMNS, *samples.extras, _target(samples))}
    return made_of(samples, offsets, samples.index[which], columns, samples.body[which])


def splice(source: Samples, answer: Samples) -> Samples:
    """Row by row the source stream of one table and the answer stream of another."""
    wanted = ("read", "position", "segment", "stream", _target(answer))
    pieces: dict[str, list[Any]] = {c: [] for c in (*wanted, "order")}
    offsets = [0]
    for i in range(len(source)):
        a, b = slice(*source.offsets[i : i + 2]), slice(*answer.offsets[i : i + 2])
        left, right = source.stream[a] == 0, answer.stream[b] == 1
        before, after = int(left.sum()), int(right.sum())
        for c in wanted:
            pieces[c] += [source.column(c)[a][left], answer.column(c)[b][right]]
        pieces[_target(answer)][-2] = np.full(before, SILENT, dtype=np.int32)
        pieces["order"] += [np.zeros(before, dtype=np.int32), np.arange(1, after + 1, dtype=np.int32)]
        if answer.layout != "encoder-decoder":  # in one stack the answer's positions go on from the source that is read
            pieces["position"][-1] = np.arange(before, before + after, dtype=np.int32)
        offsets.append(offsets[-1] + before + after)
    columns = {c: np.concatenate(parts) if parts else np.zeros(0, np.int32) for c, parts in pieces.items()}
    return made_of(answer, np.array(offsets, dtype=np.int64), answer.index, columns, answer.body)


def made_of(
    samples: Samples, offsets: Int64[np.ndarray, " r+1"], index: Any, columns: Mapping[str, Column], body: Int64[np.ndarray, " r"]
) -> Samples:
    """A table of these columns, otherwise like `samples`, with its first head alone."""
    return Samples(offsets, index, columns, samples.heads[:1], samples.layout, samples.objective, body, samples.pad, samples.start,
                   samples.placed)  # fmt: skip


def _target(samples: Samples) -> str:
    return f"target:{samples.heads[0].name}"
