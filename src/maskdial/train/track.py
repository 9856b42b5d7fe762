"""The numbers of events.jsonl for TensorBoard, under the same names."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from maskdial.errors import UserError

#: Events with numbers worth a curve.
SHOWN = ("step", "held_out", "spike")


def require_tensorboard() -> None:
    """`UserError` when the package is not installed: before a run begins, not at its first line."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("track.tensorboard=true needs the package tensorboard", hint="pip install 'maskdial[track]'",
                        code="track.missing", where="track.tensorboard")  # fmt: skip


class TensorBoard:
    """Scalars `event/field` (`step/loss`, `held_out/loss/token`) in a folder; a resumed run hides what it writes again."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def hear(self, event: Mapping[str, Any]) -> None:
        """One event; whatever a checkpoint follows is on the disk with it."""
        if event["event"] in SHOWN:
            for name, value in numbers(event):
                self.writer.add_scalar(f"{event['event']}/{name}", value, event["step"])
        elif event["event"] == "checkpoint":
            self.writer.flush()

    def close(self) -> None:
        self.writer.close()


def numbers(fields: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Every number below some fields, by its path; the step itself is the axis."""
    for name, value in fields.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{above}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool) and above + name != "step":
            yield above + name, value
