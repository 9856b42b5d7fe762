"""What is to be prepared: the files that the sources mean, named by digest."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

from maskdial.data.documents import files_of
from maskdial.data.files import File
from maskdial.errors import UserError
from maskdial.progress import Mode, Progress

#: Less than this is read too soon to be worth a line of progress.
MUCH = 1 << 30


@dataclass(frozen=True)
class Inputs:
    """The sources of a corpus, found and named by digest. `records` go into the manifest."""

    sources: tuple[str, ...]
    files: tuple[File, ...]
    records: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        names = []
        for source in self.sources:
            last = source.rstrip("/").split("/")[-1] or source
            names.append(last.split(".")[0] or last)
        return _text("+".join(names))


def find(sources: Sequence[str], progress: Mode = "off") -> Inputs:
    """Find the inputs. `UserError` (exit 2) for none, for one that is missing and for one that is empty."""
    if not sources:
        raise UserError("nothing to prepare", hint="give a file, a folder, a glob, pydocs or hf:NAME", code="data.missing")
    files = [file for source in sources for file in files_of(source)]
    sizes = [0 if f.kind == "pydocs" else f.path.stat().st_size for f in files]
    lock = Lock()
    with Progress("digest", sum(sizes), "bytes", progress if sum(sizes) > MUCH else "off") as shown, ThreadPoolExecutor(8) as pool:

        def said(size: int) -> None:
            with lock:
                shown.update(size)

        records = [*pool.map(lambda file, size: _record(file, size, said), files, sizes)]
    return Inputs(tuple(sources), tuple(files), tuple(records))


def _text(name: str) -> str:
    """A file name for a manifest, whatever bytes it has."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _record(file: File, size: int, said: Any) -> dict[str, Any]:
    if file.kind == "pydocs":
        from maskdial.data.embedded import fingerprint

        return {"name": file.name, "sha256": fingerprint()}
    return {"name": _text(file.name), "bytes": size, "sha256": file.sha256(said)}
