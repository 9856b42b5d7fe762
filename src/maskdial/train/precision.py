"""bf16 or fp32: ask the machine, not its name.

A processor without bf16 units computes bf16 several times slower than fp32 and says nothing about it.
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
    return peak_flops(device, torch.bfloat16) / peak_flops(device, torch.float32)


@cache
def peak_flops(device: str, dtype: torch.dtype) -> float:
    """FLOPs a second of a product of two square matrices, a multiply-add as two: the most that training can hope for here."""
    size = 512 if device == "cpu" else 4096
    return 2 * size**3 / measure(device, dtype, size)


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


def find_device(name: str) -> str:
    """`auto` → the GPU when there is one."""
    if name != "auto":
        return name
    return "cuda" if torch.cuda.is_available() else "cpu"


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
