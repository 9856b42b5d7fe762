"""bf16 or fp32, and how many threads: ask the machine, not its name.

A processor without bf16 units computes bf16 several times slower than fp32 and says nothing about it. And a small model's
operations are so short that threads which must wait for a busy core, or for each other, cost more than they give.
"""

from __future__ import annotations

import time
from functools import cache

import torch

#: bf16 must be this much faster than fp32 to be worth its rounding.
WORTH = 1.5


@cache
def bf16_speedup(device: str) -> float:
    """How many times faster a bf16 matrix product is than an fp32 one here: 512³ on a CPU (about 20 ms), 4096³ on a GPU."""
    size = 512 if device == "cpu" else 4096
    return measure(device, torch.float32, size) / measure(device, torch.bfloat16, size)


def measure(device: str, dtype: torch.dtype, size: int, repeats: int = 3) -> float:
    """Best of `repeats`: seconds of one product of two square matrices."""
    a = torch.ones(size, size, dtype=dtype, device=device)
    best = float("inf")
    for _ in range(repeats + 1):
        _wait(device)
        start = time.perf_counter()
        a @ a
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return best


def decide(precision: str, device: str) -> torch.dtype:
    """The dtype of weights and activations; with bf16 the optimizer keeps fp32 masters."""
    if precision == "auto":
        return torch.bfloat16 if bf16_speedup(device) >= WORTH else torch.float32
    return torch.bfloat16 if precision == "bf16" else torch.float32


def best_threads(positions: int, d: int, most: int) -> int:
    """The number of threads, 1, 2, 4 … `most`, that runs a layer's kind of work fastest just now (about 0.1 s).

    On two cores that others keep busy, two threads have run this model 20 times slower than one.
    """
    x, w = torch.ones(min(positions, 4096), d), torch.ones(d, 3 * d)
    before, best = torch.get_num_threads(), (float("inf"), 1)
    try:
        for threads in sorted({*(1 << i for i in range(most.bit_length()) if 1 << i < most), most}):
            torch.set_num_threads(threads)
            best = min(best, (_chain(x, w), threads))
    finally:
        torch.set_num_threads(before)
    return best[1]


def _chain(x: torch.Tensor, w: torch.Tensor, repeats: int = 20) -> float:
    """Seconds of `repeats` short products and sums in a row, after one to warm up."""
    start = 0.0
    for number in range(repeats + 1):
        start = time.perf_counter() if number == 1 else start
        y = x @ w
        (y * y).sum(-1)
    return time.perf_counter() - start


def find_device(name: str) -> str:
    """`auto` → the GPU when there is one."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
