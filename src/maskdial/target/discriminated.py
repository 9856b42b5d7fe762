"""The second view of a generator's samples: every token is judged, replaced or not (ELECTRA, Clark et al. 2020, section 2).

    generator's view    [MASK] chef [MASK] the meal      token:     the · cooked · ·
    drawn               the, ate
    second view         the    chef ate    the meal      replaced:  0 0 1 0 0
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from maskdial.corruption.text import BODY, LOOSE
from maskdial.sample import REPLACED, SAME, SILENT, Column, Head, Samples


def discriminate(samples: Samples, drawn: ArrayLike) -> Samples:
    """What a discriminator reads and must say once a generator has drawn `drawn`: int[K], one id for each position that the
    head `token` asks, in the table's order.

    A draw that hits the original is an original: label 0, kind `same`. The head of form "drawn" becomes a plain one, since
    its targets are known now. Provenance is kept where the samples have it. `ValueError` for another number of ids.
    """
    said, read = samples.column("target:token"), samples.read.copy()
    asked, ids = said != SILENT, np.asarray(drawn)
    if ids.shape != (int(asked.sum()),):
        raise ValueError(f"one drawn id for each of the {int(asked.sum())} scored positions, not {ids.size}")
    read[asked] = ids
    fake = asked & (read != said)
    head = next((h for h in samples.heads if h.form == "drawn"), None)
    judged = samples.segment >= 0 if head is None else samples.column(f"target:{head.name}") != SILENT
    made = replace(head or Head("replaced", kind="binary", coefficient=50.0), form="plain")
    columns: dict[str, Column] = {name: samples.column(name) for name in ("position", "segment", "stream", "order", *samples.extras)}
    columns |= {"read": read, f"target:{made.name}": np.where(judged, fake, SILENT).astype(np.int32)}
    if head is not None:
        columns[f"weight:{made.name}"] = samples.column(f"weight:{made.name}")
    if samples.has("origin"):
        columns |= provenance(samples, asked, fake, made.name)
    return Samples(samples.offsets, samples.index, columns, (made,), samples.layout, samples.objective, samples.body,
                   samples.pad, samples.start, samples.placed)  # fmt: skip


def provenance(samples: Samples, asked: Column, fake: Column, head: str) -> dict[str, Column]:
    """Where a drawn token comes from: the text, when it is the original; else it is introduced in the place it stands for.

    A label comes from nowhere: it gets a number that no position reads.
    """
    size = np.diff(samples.offsets)
    body, place = np.repeat(samples.body, size), samples.place
    within = np.arange(samples.offsets[-1]) - np.repeat(samples.offsets[:-1], size)
    said = samples.column("answer:token" if samples.heads[0].name != "token" else "answer")
    own = f"answer:{head}"
    label = samples.column(own) if samples.has(own) else body + LOOSE + 4 * (2 * body + within)
    return {
        "origin": np.where(fake, body + BODY + 4 * place, np.where(asked, said, samples.origin)).astype(np.int32),
        "place": place, "kind": np.where(fake, REPLACED, np.where(asked, SAME, samples.kind)).astype(np.uint8),
        "answer": np.where(samples.segment >= 0, label, -1).astype(np.int32),
    }  # fmt: skip
