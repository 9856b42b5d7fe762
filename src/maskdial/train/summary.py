"""What there is to say of a run in a line, from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from maskdial.train import checkpoint as checkpoints
from maskdial.train.folder import EVENTS, Events, Folder

#: What the last event tells of a run that no process is at.
STATES = {"done": "finished", "interrupted": "interrupted", "failed": "failed"}


def summary(path: Path, *, hashes: bool = True) -> dict[str, Any]:
    """One run: how far it is, its last numbers, its newest checkpoint and state; `UserError` when its config can't be read.

    state: running (a process holds the folder), finished, interrupted (by a signal, saved), failed (it said why) or killed.
    checkpoint: `step`, `whole`, and `fault` when it is not; None without any. `hashes=False` goes by sizes.
    """
    folder = Folder(path)
    config, events = folder.config(), Events(folder.path / EVENTS).read()
    last: dict[str, dict[str, Any]] = {e["event"]: e for e in events}
    step = last.get("step", {})
    ended = STATES.get(events[-1]["event"], "killed") if events else "killed"
    seconds, peak = step.get("seconds") or 0.0, last.get("peak", {}).get("flops_per_second")
    speed = step.get("flops", 0) / seconds if seconds else None
    return {
        "run": str(path), "objective": config["objective"].get("name"), "options": config["objective"].get("options", {}),
        "step": step.get("step", 0), "steps": config["budget"].get("steps"), "budget": config["budget"].get("asked"),
        "loss": step.get("loss"), "held_out": last.get("held_out", {}).get("loss"), "tokens": step.get("tokens", 0), "seconds": seconds,
        "tokens_per_second": step.get("tokens", 0) / seconds if seconds else None,
        "flops_per_second": speed, "utilisation": speed / peak if speed and peak else None,
        "spikes": sum(e["event"] == "spike" for e in events), "checkpoint": newest(folder, hashes),
        "state": "running" if folder.busy else ended, "message": last["failed"].get("message") if ended == "failed" else None,
        "corpus": config["corpus"].get("name"),
    }  # fmt: skip


def newest(folder: Folder, hashes: bool) -> dict[str, Any] | None:
    """Whether the newest checkpoint is whole."""
    for step, path in checkpoints.found(folder.checkpoints):
        try:
            checkpoints.verify(path, hashes=hashes)
        except ValueError as fault:
            return {"step": step, "whole": False, "fault": str(fault)}
        return {"step": step, "whole": True}
    return None
