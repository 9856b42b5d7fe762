"""A run's folder: everything that is needed to go on or to ask the model later, in plain files.

    RUN/config.json      objective and options, model, settings as decided, budget and its frozen steps, corpus
    RUN/tokenizer/       the tokenizer, copied
    RUN/events.jsonl     one line an event; the first is the config (`maskdial.train.events`)
    RUN/checkpoints/     step-N …  (`maskdial.train.checkpoint`)
    RUN/tensorboard/     when asked for (`maskdial.train.track`)
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from maskdial.errors import UserError
from maskdial.train import checkpoint as checkpoints
from maskdial.train.config import differences
from maskdial.train.events import Events
from maskdial.train.files import encode, make_folder, read_json, replace_file, sha256_of, sync, writing

__all__ = ["CHECKPOINTS", "CONFIG", "EVENTS", "TENSORBOARD", "TOKENIZER", "Events", "Folder", "identity", "versions"]

CONFIG, EVENTS, CHECKPOINTS, TOKENIZER, TENSORBOARD = "config.json", "events.jsonl", "checkpoints", "tokenizer", "tensorboard"
#: What a config.json must hold.
SECTIONS = {"objective": dict, "model": dict, "train": dict, "budget": dict, "corpus": dict, "vocab": dict, "precision": str, "device": str}

#: Settings that may differ when a run goes on: they decide no number.
FREE = ("checkpoint", "log_every", "threads", "device", "evaluate", "track", "guard", "peak_flops", "parallel", "timeout", "compile",
        "activation_checkpointing", "accumulate")


class Folder:
    """Reads and writes the files of one run."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.checkpoints = self.path / CHECKPOINTS

    @property
    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / CONFIG).is_file()

    def config(self) -> dict[str, Any]:
        """config.json; `UserError` when this is no run folder."""
        try:
            value = read_json(self.path / CONFIG)
            for name, kind in SECTIONS.items():
                if not isinstance(value.get(name), kind):
                    raise ValueError(f"{self.path / CONFIG} is damaged: it has no {name}")
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{self.path} is not a run: it has no {CONFIG}", code="run.missing", where=str(self.path)) from None
        except ValueError as fault:
            raise UserError(str(fault), code="run.damaged", where=str(self.path), exit=1) from None
        return value

    @contextmanager
    def held(self) -> Iterator[None]:
        """While one process trains here, no other may; a killed one holds nothing. Systems without locks are let through."""
        if self.path.exists() and not self.path.is_dir():
            raise self._no_run()
        with writing(self.path):
            make_folder(self.path)
        handle = os.open(self.path, os.O_RDONLY)
        try:
            if not lock(handle):
                raise UserError(f"another process is training in {self.path}", hint="wait for it, or choose another --out",
                                code="out.busy", where="out", exit=4)  # fmt: skip
            yield
        finally:
            os.close(handle)
            with suppress(OSError):  # nothing was begun: leave no empty folder either
                self.path.rmdir()

    @property
    def busy(self) -> bool:
        """Whether a process is training here now."""
        handle = os.open(self.path, os.O_RDONLY)
        try:
            return not lock(handle, shared=True)
        finally:
            os.close(handle)

    def sweep(self) -> None:
        """Remove what killed runs left half written."""
        checkpoints.sweep(self.checkpoints)
        for path in (*self.path.glob(f"{CONFIG}.tmp-*"), *self.path.glob(f"{EVENTS}.tmp-*")):
            path.unlink(missing_ok=True)

    def begin(self, config: dict[str, Any], tokenizer: Any) -> None:
        """Make the folder; the config, with the tokenizer's digests, is written last, so that a folder with one has all."""
        if self.path.exists() and (not self.path.is_dir() or any(p for p in self.path.iterdir() if p.name not in (TOKENIZER, EVENTS))):
            raise self._no_run()
        home = self.path / TOKENIZER
        with writing(self.path):
            make_folder(self.path)
            tokenizer.save(home)
            sync(home)
            config["tokenizer"] = {p.name: {"size": p.stat().st_size, "sha256": sha256_of(p)} for p in sorted(home.iterdir())}
            (self.path / EVENTS).unlink(missing_ok=True)
        self.store(config)

    def _no_run(self) -> UserError:
        return UserError(f"{self.path} exists and is not a run", hint="choose another --out", code="out.exists", where="out", exit=4)

    def store(self, config: Mapping[str, Any]) -> None:
        """Write config.json, replacing the old one in one step."""
        with writing(self.path / CONFIG):
            replace_file(self.path / CONFIG, encode(config))

    def same(self, mine: Mapping[str, Any], saved: Mapping[str, Any], where: Path) -> None:
        """`UserError` (exit 4) with the differences, unless both configs mean the same run."""
        changed = differences(identity(saved), identity(mine))
        if changed:
            raise UserError(
                f"{where} was made with other settings, so it can't go on with these:\n  " + "\n  ".join(changed),
                hint="use the same settings, or another --out", code="resume.mismatch", where="resume", exit=4,
            )


def lock(handle: int, shared: bool = False) -> bool:
    """Take the lock of an open folder until it is closed; False when another process has it. True where there are no locks."""
    try:
        import fcntl

        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return True  # no such module, or a file system that can't lock folders
    return True


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides the numbers of a run."""
    train = {k: v for k, v in config["train"].items() if k not in FREE}
    return {k: config[k] for k in ("objective", "model", "corpus")} | {"train": train}


def versions() -> dict[str, str]:
    """What made a run."""
    import numpy
    import torch

    import maskdial

    return {"maskdial": maskdial.__version__, "torch": torch.__version__, "numpy": numpy.__version__,
            "python": platform.python_version(), "machine": f"{platform.machine()}, {os.cpu_count()} CPUs"}  # fmt: skip
