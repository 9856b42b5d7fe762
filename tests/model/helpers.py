"""Batches made by hand, so that the model's tests need no recipe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from maskdial.batch import Batch
from maskdial.model import ExtraHead, Model, ModelConfig, build
from maskdial.sample import SILENT, Head, Samples
from tests.contract.handmade import CASES, table

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
    return ModelConfig(shape=shape, **({"vocab_size": V} | sizes | changes))  # type: ignore[arg-type]


def model(shape: str = "single", seed: int = 0, dtype: torch.dtype = torch.float64, **changes: object) -> Model:
    """A very small model in float64, every parameter random (none at a value that would hide a fault)."""
    made = build(config(shape, **changes), seed).to(dtype)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for p in made.parameters():
            if p.dim() == 1 or p.abs().sum() == 0:
                p.add_(0.3 * torch.randn(p.shape, generator=generator).to(dtype))
    return made


def handmade(name: str) -> Samples:
    """A hand-made sample of the contract's tests, each head in the form that its objective trains it in."""
    samples = next(c.samples for c in CASES if c.name == name)
    form = {"span-boundary": "boundary", "multi-token-reach-0": "module", "multi-token-reach-1": "module"}.get(name, "plain")
    samples = table(samples)
    samples.heads = tuple(h if h.name == "token" else replace(h, form=form) for h in samples.heads)  # type: ignore[arg-type]
    if name == "electra-generator":
        samples.heads = (*samples.heads, Head("replaced", kind="binary", coefficient=50.0, form="drawn"))
        samples._columns["target:replaced"] = np.where(samples.segment >= 0, 0, SILENT).astype(np.int32)
    return samples


def extra(heads: tuple[Head, ...]) -> tuple[ExtraHead, ...]:
    """What a model needs to answer them."""
    return tuple(ExtraHead(name=h.name, kind=h.kind, form=h.form, reach=h.reach if h.form == "module" else 0)
                 for h in heads if h.name != "token")  # fmt: skip


def model_of(samples: Samples, **changes: object) -> Model:
    """A very small model of a hand-made sample's layout and heads; ids of words go to 99."""
    shape = "encoder-decoder" if samples.layout == "encoder-decoder" else "single"
    parts = {"parts": 2} if samples.has("part") else {}
    return model(shape, vocab_size=100, extra_heads=extra(samples.heads), **(parts | changes))
