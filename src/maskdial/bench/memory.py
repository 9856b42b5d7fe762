"""The most memory that the loss takes at once, forward and backward, beside what the logits of all positions would take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from maskdial.bench.step import Size, batch_of, our_model
from maskdial.model import Model
from maskdial.model.loss import head_loss
from maskdial.model.question import Question, ask
from maskdial.sample import Head

#: 16 k tokens of a vocabulary of 128 k, of which `batch_of` scores 15 %
WIDE = Size(131_072, 256, 1, 4, 680, 64, 256)


def peak(device: str) -> dict[str, Any]:
    """Bytes that loss and gradient add at their peak, `full` = fp32 logits of every position; `bytes` None where the system has no
    measure of it. The forward pass through the stack comes before, and its memory is not counted."""
    model, batch = our_model(WIDE).to(device), batch_of("bert", WIDE).torch(device)
    asked = ask(batch, Head())
    hidden_ND = torch.randn(len(asked.target), WIDE.d, device=device, requires_grad=True)
    took = grown(lambda: backward(model, asked, hidden_ND), device)
    full = 4 * WIDE.rows * WIDE.length * WIDE.vocab
    return {"name": "loss", "vocab": WIDE.vocab, "positions": WIDE.rows * WIDE.length, "scored": len(asked.target), "bytes": took,
            "full": full, "ratio": None if took is None else took / full}  # fmt: skip


def backward(model: Model, asked: Question, hidden_ND: torch.Tensor) -> None:
    """Loss and gradient of the scored positions' states and of the embedding."""
    total, _ = head_loss(model, asked, hidden_ND, 0.0, 0.0, None)
    total.backward()  # type: ignore[no-untyped-call]


def grown(call: Callable[[], None], device: str) -> int | None:
    """Bytes that a call takes at its peak beyond what is held before it."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return torch.cuda.max_memory_allocated() - before
    process = Path("/proc/self")
    if not (process / "clear_refs").exists():
        return None
    (process / "clear_refs").write_text("5")  # the peak begins anew
    before = held(process, "VmRSS")
    call()
    return held(process, "VmHWM") - before


def held(process: Path, what: str) -> int:
    """Bytes of a process, by the name that Linux gives the figure."""
    line = next(line for line in (process / "status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024
