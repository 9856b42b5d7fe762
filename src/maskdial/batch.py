"""Samples to rectangles: what a model reads. Equal rows are views, ragged ones are copied once and padded on the right."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskdial.sample import SILENT, Layout, Samples

FILL: dict[str, int] = {"segment": -1, "target": SILENT}


class Batch(dict[str, NDArray[Any]]):
    """A dict of arrays [rows, length] plus what the loss needs to know.

    One stream (`encoder`, `decoder`): read, position, segment, order int32, and whatever else the objective gives a model
    (private, position2, left, right, …); positions run on from source to answer. Two streams (`encoder-decoder`): the same
    names behind `source_` and `answer_`; each stream's positions count from 0. Always `target:HEAD` int32 (SILENT = -100)
    and `weight:HEAD` float32, over the positions of the only or the answer stream. Padding has segment -1. `layout`,
    `heads`, `body_tokens`, `index` (the samples' numbers, int64[rows]: what a model draws depends on them) and `member` (whose
    samples these are, of a mixture) are attributes.
    """

    layout: Layout
    heads: tuple[Any, ...]
    body_tokens: int
    index: Any = None
    member: str | None = None

    def torch(self, device: Any = None) -> Batch:
        """The same batch as torch tensors; equal rows share memory with the samples."""
        import torch

        tensors: Any = {k: torch.from_numpy(np.ascontiguousarray(v)).to(device) for k, v in self.items()}
        made = Batch(tensors)
        made.layout, made.heads, made.body_tokens, made.member = self.layout, self.heads, self.body_tokens, self.member
        made.index = None if self.index is None else torch.from_numpy(np.ascontiguousarray(self.index)).to(device)
        return made


def batch(samples: Samples, layout: Layout, length: int | None = None) -> Batch:
    """Rectangles of a table of samples for one of the three layouts.

    `decoder` and `encoder` keep a row as it is. `encoder-decoder` parts each row by stream; a sample whose answer folded
    its start token away (prefix-lm) gets it back.
    """
    names = ["read", "position", "segment", "order", *samples.extras]
    asked = [f"{part}:{h.name}" for h in samples.heads for part in ("target", "weight")]
    if layout == "encoder-decoder":
        if samples.layout != "encoder-decoder":
            samples = unfold(samples)
        made = Batch()
        source, answer = samples.stream == 0, samples.stream == 1
        for prefix, part, columns in (("source_", source, names), ("answer_", answer, names + asked)):
            lengths = np.diff(np.concatenate([[0], np.cumsum(part)])[samples.offsets])
            for name in columns:
                key = name if ":" in name else prefix + name
                made[key] = rectangle(samples.column(name)[part], lengths, FILL.get(name.split(":")[0], 0), samples.pad, name)
        if not (samples.placed or samples.has("position2")):
            restart(made)
    else:
        made = Batch()
        lengths = np.diff(samples.offsets)
        for name in names + asked:
            runs_on = name == "position" and samples.layout == "encoder-decoder" and not samples.placed
            column = run_on(samples) if runs_on else samples.column(name)
            made[name] = rectangle(column, lengths, FILL.get(name.split(":")[0], 0), samples.pad, name, length)
    made.layout, made.heads, made.body_tokens = layout, samples.heads, int(samples.body.sum())
    made.index = samples.index.view(np.int64)
    return made


def rectangle(
    column: NDArray[Any], lengths: NDArray[np.int64], fill: int, pad: int, name: str, width: int | None = None
) -> NDArray[Any]:
    """Flat values to [rows, longest]; equal rows without copying."""
    rows, longest = len(lengths), int(lengths.max(initial=0))
    width = longest if width is None else width
    if longest > width:
        raise ValueError(f"a sample of {longest} tokens does not fit in {width}")
    if rows and (lengths == width).all():
        return column.reshape(rows, width)
    made = np.full((rows, width), pad if name == "read" else fill, dtype=column.dtype)
    made[np.arange(width)[None, :] < lengths[:, None]] = column
    return made


def restart(made: Batch) -> None:
    """Positions of the answer count from its own start: subtract where each segment's answer begins."""
    position, segment = made["answer_position"].copy(), made["answer_segment"]
    if position.shape[1]:
        new = np.ones(segment.shape, dtype=bool)
        new[:, 1:] = segment[:, 1:] != segment[:, :-1]
        at = np.maximum.accumulate(np.where(new, np.arange(segment.shape[1]), 0), axis=1)
        position -= np.take_along_axis(position, at, axis=1)
    made["answer_position"] = np.where(segment >= 0, position, 0).astype(np.int32)


def answer_starts(samples: Samples) -> NDArray[np.bool_]:
    """Where each document's answer begins."""
    stream, segment = samples.stream, samples.segment
    fresh = np.ones(len(stream), dtype=bool)
    fresh[1:] = (stream[:-1] == 0) | (segment[1:] != segment[:-1])
    fresh[samples.offsets[:-1][np.diff(samples.offsets) > 0]] = True
    return (stream == 1) & fresh


def run_on(samples: Samples) -> NDArray[np.int32]:
    """Positions for one stream: an answer that counted from 0 counts on from its source."""
    position, begins = samples.position, answer_starts(samples)
    first = np.flatnonzero(begins)
    sourced = first[~np.isin(first, samples.offsets)]
    sourced = sourced[samples.segment[sourced - 1] == samples.segment[sourced]]
    ahead = np.zeros(len(position), dtype=np.int32)
    ahead[sourced] = position[sourced - 1] + 1
    latest = np.maximum.accumulate(np.where(begins, np.arange(len(position)), 0))
    return np.where(samples.stream == 1, position + ahead[latest], position).astype(np.int32)


def unfold(samples: Samples) -> Samples:
    """Give a folded sample its start token back: source, then start + answer shifted, targets over the answer.

    Samples that ask nothing of their source are not folded (GLM) and stay as they are.
    """
    stream = samples.stream
    if len(stream) and (samples.layout == "encoder" or not (stream == 1).any()):
        raise ValueError(f"{samples.objective or 'these samples'} has one stream only: use layout={samples.layout!r}")
    if not any((target[stream == 0] != SILENT).any() for target in samples.targets.values()):
        return samples
    if samples.start is None:
        raise ValueError(f"{samples.objective or 'these samples'} folds its start token and names none: use layout={samples.layout!r}")
    begins = answer_starts(samples)
    columns: dict[str, NDArray[Any]] = {}
    for name in ("read", "position", "segment", "order", "stream", *samples.extras):
        columns[name] = samples.column(name).copy()
    shifted = np.concatenate([columns["read"][:1], columns["read"][:-1]])
    columns["read"] = np.where(begins, samples.start, np.where(stream == 1, shifted, columns["read"])).astype(np.int32)
    for head in samples.heads:
        target, weight = samples.column(f"target:{head.name}"), samples.column(f"weight:{head.name}")
        columns[f"target:{head.name}"] = np.where(stream == 1, np.concatenate([[SILENT], target[:-1]]), SILENT).astype(np.int32)
        columns[f"weight:{head.name}"] = np.where(stream == 1, np.concatenate([[0], weight[:-1]]), 0).astype(np.float32)
    return Samples(samples.offsets, samples.index, columns, samples.heads, "encoder-decoder", samples.objective, samples.body,
                   samples.pad, samples.start)  # fmt: skip
