"""Guests: maskdial's samples in other people's training loops. Optional packages are imported here, and only when they are used.

`hf` is Hugging Face (`Trainer`, tokenizers, models), `windows` is any PyTorch `DataLoader`, Grain, or plain numpy. A key
(seed, epoch, index) gives the same bits in all of them.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name not in ("hf", "windows"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
