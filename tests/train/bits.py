"""What two runs must have in common to be the same run, and what any kill must leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def sound(out: Path) -> None:
    """Whatever a kill left: every checkpoint with a name is whole, and nobody claims to be at work."""
    from maskdial.train import checkpoint
    from maskdial.train.folder import Folder
    from maskdial.train.summary import summary

    folder = Folder(out)
    for _, path in checkpoint.found(folder.checkpoints):
        checkpoint.verify(path)
    if folder.exists:
        assert summary(out)["state"] in ("killed", "finished")


def final(out: Path) -> dict[str, bytes]:
    """A run's last arrays, its state and its log without the clock's numbers."""
    from maskdial.train import load
    from maskdial.train.checkpoint import found

    _, path = found(out / "checkpoints")[0]
    made = {p.name: p.read_bytes() for p in path.glob("*.safetensors")}
    state = json.loads((path / "state.json").read_text())
    state["seconds"] = state["since"]["seconds"] = 0
    steps = [{k: v for k, v in e.items() if "second" not in k and k != "utilisation"}
             for e in load(out).events() if e["event"] in ("step", "held_out", "spike")]  # fmt: skip
    return made | {"state": json.dumps(state).encode(), "events": json.dumps(steps).encode()}


def differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Names under which two runs are not the same."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))
