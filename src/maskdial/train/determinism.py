"""What `--deterministic` holds still, and what it says of it.

Shuffle, noise and every draw are the same in any run. What is not, unless it is asked for, are the last bits of sums: they
follow the number of threads and whatever order a kernel finds quickest. `benchmarks/determinism.py` measures what that costs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

#: What bits hang on, beside the settings.
HOLDS = ("torch", "numpy", "machine")


def prepare() -> None:
    """Before anything is computed: cuBLAS is deterministic only with a workspace of a fixed size, and reads that once."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def words(plan: Mapping[str, Any], now: Mapping[str, str]) -> list[str]:
    """For the terminal, once a run's threads are decided; `now` are the versions of this process. Nothing unless it was asked for."""
    if not plan["train"]["deterministic"]:
        return []
    then, threads = plan["versions"], plan["train"]["threads"]
    said = (f"deterministic: torch's deterministic algorithms, {plan['precision']} on {plan['device']}, "
            f"{threads} thread{'' if threads == 1 else 's'}; equal bits wherever torch {then['torch']}, numpy {then['numpy']} "
            f"and the machine ({then['machine']}) are equal, however often the run is stopped")  # fmt: skip
    changed = [f"{name} {then[name]} → {now[name]}" for name in HOLDS if then[name] != now[name]]
    return [said] + [f"warning: the run began elsewhere ({', '.join(changed)}): its bits may differ from here on"] * bool(changed)
