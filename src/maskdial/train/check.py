"""Every byte of a run's folder against what was written down about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from maskdial.errors import UserError
from maskdial.train import checkpoint as checkpoints
from maskdial.train.config import differences
from maskdial.train.files import check_file
from maskdial.train.folder import CHECKPOINTS, CONFIG, EVENTS, TOKENIZER, Events, Folder, identity


@dataclass
class Found:
    """What was read, and what is wrong: each problem names its file."""

    files: int = 0
    bytes: int = 0
    problems: list[str] = field(default_factory=list)

    def read(self, look: Callable[[], Any], *paths: Path) -> None:
        """Count some files and keep what `look` says against them."""
        try:
            look()
        except (ValueError, UserError) as fault:
            self.problems.append(getattr(fault, "message", str(fault)))
        for path in paths:
            if path.is_file():
                self.files, self.bytes = self.files + 1, self.bytes + path.stat().st_size


def is_checkpoint(path: Path) -> bool:
    """Whether a folder is meant to be one checkpoint."""
    return (path / checkpoints.MANIFEST).is_file()


def is_run(path: Path) -> bool:
    """Whether a run was begun in a folder."""
    return (path / CONFIG).is_file() and ((path / EVENTS).is_file() or (path / CHECKPOINTS).is_dir())


def check(path: Path) -> Found:
    """A run's config, events, tokenizer and every checkpoint; or one checkpoint."""
    made = Found()
    if is_checkpoint(path):
        made.read(lambda: checkpoints.verify(path), *path.iterdir())
        return made
    folder = Folder(path)
    made.read(folder.config, path / CONFIG)
    made.read(lambda: _events(path / EVENTS), path / EVENTS)
    made.read(lambda: _tokenizer(folder), *(path / TOKENIZER).glob("*"))
    for _, one in checkpoints.found(folder.checkpoints):
        made.read(lambda: _one(one, folder), *one.iterdir())  # noqa: B023 - called at once
    return made


def _events(path: Path) -> None:
    torn = Events(path).whole()[1]
    if torn > 1:  # one is what a kill leaves
        raise ValueError(f"{path} is damaged: {torn} lines are no events")


def _tokenizer(folder: Folder) -> None:
    for name, said in _own(folder).get("tokenizer", {}).items():
        check_file(folder.path / TOKENIZER / name, said["size"], said["sha256"])


def _one(path: Path, folder: Folder) -> None:
    """A checkpoint is whole, and of this run."""
    made = checkpoints.verify(path)
    own = _own(folder)
    changed = differences(identity(own), identity(made.manifest["config"])) if own else []
    if changed:
        raise ValueError(f"{folder.path / CONFIG} and {path} are not of one run: {'; '.join(changed)}")


def _own(folder: Folder) -> Mapping[str, Any]:
    """The run's config, or nothing where it can't be read: that is said once."""
    try:
        return folder.config()
    except UserError:
        return {}
