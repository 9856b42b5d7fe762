"""Batches made by hand, so that the model's tests need no recipe."""

from __future__ import annotations

import numpy as np
import torch

from maskdial.batch import Batch
from maskdial.model import Model, ModelConfig, build
from maskdial.sample import SILENT, Head

V = 50


def single(order: str, rows: int = 2, length: int = 9, seed: int = 0, share: float = 0.5, pad: int = 0) -> Batch:
    """A one-stream batch, `order` being causal, bidirectional or prefix; the last row ends in `pad` padding positions."""
    rng = np.random.default_rng(seed)
    batch = Batch(columns(order, rows, length, rng))
    asked = rng.random((rows, length)) < share
    batch["target:token"] = np.where(asked, rng.integers(1, V, (rows, length)), SILENT).astype(np.int32)
    batch["weight:token"] = np.where(asked, rng.random((rows, length)) + 0.5, 0).astype(np.float32)
    if pad:
        batch["segment"][-1, -pad:] = -1
        batch["target:token"][-1, -pad:] = SILENT
    batch.layout, batch.heads, batch.body_tokens = "encoder", (Head(),), rows * length
    return batch.torch()


def double(rows: int = 2, source: int = 7, answer: int = 5, seed: int = 0, pad: int = 0) -> Batch:
    """A two-stream batch; the last row's source ends in `pad` padding positions."""
    rng = np.random.default_rng(seed)
    batch = Batch({f"source_{k}": v for k, v in columns("bidirectional", rows, source, rng).items()})
    answers = columns("causal", rows, answer, rng)
    answers["order"] += 1
    batch.update({f"answer_{k}": v for k, v in answers.items()})
    batch["target:token"] = rng.integers(1, V, (rows, answer)).astype(np.int32)
    batch["weight:token"] = np.ones((rows, answer), dtype=np.float32)
    if pad:
        batch["source_segment"][-1, -pad:] = -1
    batch.layout, batch.heads, batch.body_tokens = "encoder-decoder", (Head(),), rows * source
    return batch.torch()


def columns(order: str, rows: int, length: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """read, position, segment and order of `rows` equal rows."""
    count = np.arange(length)
    orders = {"causal": count, "bidirectional": 0 * count, "prefix": np.maximum(count - length // 2, 0)}
    made = {"read": rng.integers(1, V, (rows, length)), "position": np.tile(count, (rows, 1)),
            "segment": np.zeros((rows, length)), "order": np.tile(orders[order], (rows, 1))}  # fmt: skip
    return {k: v.astype(np.int32) for k, v in made.items()}


def config(shape: str = "single", **changes: object) -> ModelConfig:
    """A very small model."""
    sizes: dict[str, object] = {"d": 16, "layers": 2, "heads": 2, "ffn": 64}
    return ModelConfig(vocab_size=V, shape=shape, **(sizes | changes))  # type: ignore[arg-type]


def model(shape: str = "single", seed: int = 0, dtype: torch.dtype = torch.float64, **changes: object) -> Model:
    """A very small model in float64, every parameter random (none at a value that would hide a fault)."""
    made = build(config(shape, **changes), seed).to(dtype)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for p in made.parameters():
            if p.dim() == 1 or p.abs().sum() == 0:
                p.add_(0.3 * torch.randn(p.shape, generator=generator).to(dtype))
    return made
