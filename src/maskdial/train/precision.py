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
    """How many times faster a bf16 matrix product is than an fp32 one here: 512³ on a CPU (about 80 ms), 4096³ on a GPU.

    They take turns, so that another process that takes the processor for a moment does not slow only one of them.
    """
    size = size_of(device)
    bf16, fp32 = zip(*([measure(device, dtype, size, 1) for dtype in (torch.bfloat16, torch.float32)] for _ in range(5)), strict=True)
    return float(min(fp32) / min(bf16))


def size_of(device: str) -> int:
    """Rows of the square matrices that are multiplied."""
    return 512 if device == "cpu" else 4096


@cache
def peak_flops(device: str, dtype: torch.dtype) -> float:
    """FLOPs a second of a product of two square matrices, a multiply-add as two: the most that training can hope for here."""
    return 2 * size_of(device) ** 3 / measure(device, dtype, size_of(device))


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


def decide(precision: str, device: str, deterministic: bool = False) -> torch.dtype:
    """The dtype of weights and activations; with bf16 the optimizer keeps fp32 masters.

    A deterministic run must not depend on a clock: its "auto" is bf16 on a GPU that computes it, else fp32.
    """
    if precision == "auto" and deterministic:
        return torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
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
