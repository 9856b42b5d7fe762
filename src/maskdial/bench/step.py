"""Tokens a second of one training step: ours beside Hugging Face's classes and a plain loop, the same work in one run.

Forward, backward and AdamW on both sides (torch's own, fused, where precision is equal), on fixed random tokens. Rounds alternate
between the sides and medians count, since machines are noisy. T5 counts source and answer tokens.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from maskdial.batch import Batch
from maskdial.bench import peers
from maskdial.model import Model, ModelConfig, build, loss
from maskdial.sample import SILENT, Head
from maskdial.train.config import LossSettings, OptimizerSettings
from maskdial.train.optimizer import Optimizer
from maskdial.train.precision import decide, peak_flops
from maskdial.train.step import step as whole_step

#: one step; returns its loss
Step = Callable[[], float]


@dataclass(frozen=True)
class Size:
    """Of a model and its batch: `rows` × `length` tokens read and, for T5, `answer` more said."""

    vocab: int
    d: int
    layers: int
    heads: int
    ffn: int
    rows: int
    length: int
    answer: int = 0

    @property
    def tokens(self) -> int:
        return self.rows * (self.length + self.answer)


#: small on a processor; 124 M parameters on a GPU
SMALL = {
    "bert": Size(8192, 256, 4, 4, 680, 16, 256),
    "gpt2": Size(8192, 256, 4, 4, 680, 16, 256),
    "t5": Size(8192, 256, 4, 4, 512, 16, 256, 58),
}
BASE = {"bert": Size(30_522, 768, 12, 12, 2048, 32, 512), "gpt2": Size(50_304, 768, 12, 12, 2048, 16, 1024)}


def sizes(device: str) -> dict[str, Size]:
    return SMALL if device == "cpu" else BASE


def columns(size: Size, length: int, causal: bool, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """read, position, segment and order."""
    count = np.tile(np.arange(length, dtype=np.int32), (size.rows, 1))
    return {"read": rng.integers(0, size.vocab, (size.rows, length)).astype(np.int32), "position": count,
            "segment": np.zeros_like(count), "order": count if causal else 0 * count}  # fmt: skip


def batch_of(kind: str, size: Size) -> Batch:
    """The same shapes and scored shares for every side: 15 % (bert), all but one a row (gpt2), the whole answer (t5)."""
    rng, made = np.random.default_rng(0), Batch()
    length = size.answer or size.length
    if size.answer:
        made.update({f"source_{k}": v for k, v in columns(size, size.length, False, rng).items()})
        made.update({f"answer_{k}": v + (k == "order") for k, v in columns(size, length, True, rng).items()})
    else:
        made.update(columns(size, length, kind == "gpt2", rng))
    target = rng.integers(0, size.vocab, (size.rows, length)).astype(np.int32)
    if kind == "bert":
        target[rng.random(target.shape) >= 0.15] = SILENT
    if kind == "gpt2":
        target[:, :-1], target[:, -1] = made["read"][:, 1:], SILENT
    made["target:token"], made["weight:token"] = target, (target != SILENT).astype(np.float32)
    made.layout, made.heads, made.body_tokens = "encoder-decoder" if size.answer else "encoder", (Head(),), size.rows * size.length
    return made


def our_model(size: Size) -> Model:
    """A model of ours of this size."""
    shape: dict[str, Any] = {"shape": "encoder-decoder", "source_layers": size.layers} if size.answer else {}
    return build(ModelConfig(vocab_size=size.vocab, preset=None, d=size.d, layers=size.layers, heads=size.heads, ffn=size.ffn, **shape))


def ours_equal(kind: str, size: Size, device: str) -> tuple[Step, int]:
    """Our model and loss with torch's AdamW: the same precision as the peers (bf16 by autocast on a GPU, else fp32)."""
    model = our_model(size).to(device)
    batch = batch_of(kind, size).torch(device)
    return stepping(model, lambda: loss(model, batch).total(), device), model.num_parameters


def ours_best(kind: str, size: Size, device: str) -> tuple[Step, int]:
    """The step that training makes here, with AdamW: the precision it decides on, its own optimizer, clipping."""
    dtype = decide("auto", device)
    model = our_model(size).to(device=device, dtype=dtype)
    rates = OptimizerSettings(name="adamw", matrix_rate=1e-4, embedding_rate=1e-4, position_rate=1e-4, other_rate=1e-4)
    optimizer, batch, settings = Optimizer(model, rates), batch_of(kind, size).torch(device), LossSettings()

    def step() -> float:
        done = whole_step(model, optimizer, [batch], 1.0, settings)
        return float(done.plain["token"]) / done.scored["token"]

    return step, model.num_parameters


def stepping(model: torch.nn.Module, forward: Callable[[], torch.Tensor], device: str) -> Step:
    """Forward, backward and torch's fused AdamW."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=device != "cpu"):
            total = forward()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return float(total.detach())  # waits for the device

    return step


def sides(kind: str, size: Size, device: str) -> Iterator[tuple[str, Callable[[], tuple[Step, int]]]]:
    """Who takes part, and how each is made."""
    yield "ours", lambda: ours_equal(kind, size, device)
    yield "ours, as it trains here", lambda: ours_best(kind, size, device)
    for name, dropout in ((peers.EQUAL, 0.0), (peers.AS_IT_COMES, None)):
        if peers.installed():
            yield name, lambda dropout=dropout: theirs(peers.hugging_face(kind, size, dropout), kind, size, device)  # type: ignore[misc]
    if kind == "gpt2":
        yield peers.PLAIN, lambda: theirs(peers.plain_gpt(size), kind, size, device)


def theirs(made: tuple[torch.nn.Module, Callable[[Batch], torch.Tensor]], kind: str, size: Size, device: str) -> tuple[Step, int]:
    """A peer's step, and how many parameters it has."""
    model, forward = made[0].to(device).train(), made[1]
    batch = batch_of(kind, size).torch(device)
    return stepping(model, lambda: forward(batch), device), sum(p.numel() for p in model.parameters())


def medians(steps: Mapping[str, Step], rounds: int) -> dict[str, float]:
    """The median seconds of each step, rounds alternating; the first is not counted."""
    took: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if number:
                took[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in took.items()}


def measure(kind: str, size: Size, device: str, rounds: int) -> dict[str, Any]:
    """Tokens a second of every side, what each ratio is to ours, and ours over what the device's matrix products could do."""
    torch.manual_seed(0)
    made = {name: make() for name, make in sides(kind, size, device)}
    seconds = medians({name: step for name, (step, _) in made.items()}, rounds)
    speed = {name: size.tokens / took for name, took in seconds.items()}
    batch, dtype = batch_of(kind, size), decide("auto", device)
    asked = {"token": int((batch["target:token"] != SILENT).sum())}
    used = our_model(size).flops(batch, asked) / seconds["ours, as it trains here"] / peak_flops(device, dtype)
    return {
        "name": kind, "tokens": size.tokens, "tokens_per_second": speed, "parameters": {name: count for name, (_, count) in made.items()},
        "ratios": {name: speed["ours"] / value for name, value in speed.items() if not name.startswith("ours")},
        "best_ratio": speed["ours, as it trains here"] / speed[peers.AS_IT_COMES] if peers.AS_IT_COMES in speed else None,
        "precision": str(dtype).removeprefix("torch."), "utilisation": used,
    }  # fmt: skip
