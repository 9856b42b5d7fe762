"""Floating-point operations of one training step, counted from the formulas, the same for every implementation.

6 a parameter of a matrix and position that passes it, forward and backward, a multiply-add as two (Kaplan et al. 2020,
section 2.1); 12 · width a pair of positions in attention, all pairs counted; the vocabulary at scored positions only. What
our last layer skips is not subtracted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maskdial.model.config import ExtraHead, ModelConfig
from maskdial.model.heads import PLACE_WIDTH


def flops(config: ModelConfig, batch: Mapping[str, Any], scored: Mapping[str, int] | None = None) -> float:
    """FLOPs of a batch: numpy or torch columns, real and padded positions alike; `scored` positions by head, if known."""
    if scored is None:
        scored = {name[len("target:") :]: int((t >= 0).sum()) for name, t in batch.items() if name.startswith("target:")}
    two = config.shape == "encoder-decoder"
    rows, length = batch["answer_read" if two else "read"].shape
    total = stack(config, config.layers, rows, length)
    if two:
        source = batch["source_read"].shape[1]
        cross = length * (12 * config.d**2 + 12 * config.d * source) + source * 12 * config.d**2
        total += stack(config, config.source_layers, rows, source) + config.layers * rows * cross
    heads = {h.name: h for h in config.extra_heads}
    for name, count in scored.items():
        if name not in heads or heads[name].kind == "token":
            total += 6.0 * config.vocab_size * config.d * count
        if name in heads:
            total += head(config, heads[name], rows, length, count)
    if config.generator is not None:
        small = config.reduced
        total += stack(small, small.layers, rows, length) + 6.0 * config.d * small.d * (rows * length + scored.get("token", 0))
    return total


def stack(config: ModelConfig, layers: int, rows: int, length: int) -> float:
    """`layers` blocks over every position."""
    matrices = 4 * config.d**2 + 3 * config.d * config.ffn
    return layers * rows * length * (6.0 * matrices + 12.0 * config.d * length)


def head(config: ModelConfig, head: ExtraHead, rows: int, length: int, count: int) -> float:
    """What a head does before the vocabulary: its maps at the `count` positions it is asked at, or a block at every position."""
    d = config.d
    if head.form == "module":
        return stack(config, 1, rows, length) + (12.0 * d * d * rows * length if head.reach else 0.0)
    if head.form == "boundary":
        return 6.0 * count * d * (3 * d + PLACE_WIDTH)
    classes = {"token": 0, "binary": 1, "class": head.classes}[head.kind]
    return 6.0 * count * d * (d + classes)
