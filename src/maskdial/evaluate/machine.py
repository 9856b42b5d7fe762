"""What a comparison ran on: processor, cores, memory at most."""

from __future__ import annotations

import json
import os
import platform
from contextlib import suppress
from pathlib import Path

KEPT = "memory.json"


def cpu() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Peak:
    """The most memory in use between `Peak()` and `read()`: of the GPU when there is one, else of this process (Linux)."""

    def __init__(self) -> None:
        import torch

        self.gpu = torch.cuda.is_available()
        if self.gpu:
            torch.cuda.reset_peak_memory_stats()
            return
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # from now on VmHWM counts anew

    def read(self, run: Path) -> int | None:
        """Bytes, or None where the machine does not say. A run that was trained earlier keeps what was measured then."""
        kept = run / KEPT
        if kept.is_file():
            value = json.loads(kept.read_text(encoding="utf-8"))["peak_bytes"]
            return None if value is None else int(value)
        found = self._now()
        kept.write_text(json.dumps({"peak_bytes": found}) + "\n", encoding="utf-8")
        return found

    def _now(self) -> int | None:
        if self.gpu:
            import torch

            return int(torch.cuda.max_memory_allocated())
        try:
            lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), None)
