"""Where a process can be killed so that it matters: right after each call that writes to the file system."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from typing import Any


class Boundaries:
    """Counts the calls that write to the file system; right after number `at` the process is killed.

    A write is two boundaries: half of its bytes written, all of them written. What is written reaches the file at once, so that
    every prefix of the file is met.
    """

    def __init__(self, at: int = 0) -> None:
        self.at, self.names = at, list[str]()

    def tick(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        for name in ("mkdir", "rename", "replace", "unlink", "rmdir", "fsync"):
            setattr(os, name, self.after(name, getattr(os, name)))
        io.open = self.opened(io.open)  # type: ignore[assignment]  # what pathlib opens files with

    def after(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            made = real(*given, **named)
            self.tick(name)
            return made

        return call

    def opened(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
            made = real(file, mode, *given, **named)
            if not set(mode) & set("wax+"):
                return made
            self.tick("open")
            return Torn(made, self)

        return call


class Torn:
    """A file whose writes come in two halves."""

    def __init__(self, file: Any, boundaries: Boundaries) -> None:
        self.file, self.boundaries = file, boundaries

    def write(self, data: Any) -> None:
        whole = data if isinstance(data, (bytes, str)) else bytes(data)
        for part, name in ((whole[: len(whole) // 2], "half"), (whole[len(whole) // 2 :], "write")):
            self.file.write(part)
            self.file.flush()
            self.boundaries.tick(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *error: object) -> None:
        self.file.close()
