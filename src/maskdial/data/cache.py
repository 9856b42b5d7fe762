"""`open_or_prepare`: any text as a corpus. Raw text is prepared once and kept in a cache folder, named by content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from maskdial.data.build import prepare
from maskdial.data.corpus import Corpus
from maskdial.data.inputs import find
from maskdial.data.options import Options, describe, digest
from maskdial.data.storage import FORMAT, MANIFEST
from maskdial.errors import UserError
from maskdial.progress import Mode


def cache_folder() -> Path:
    """$MASKDIAL_CACHE, or ~/.cache/maskdial."""
    return Path(os.environ.get("MASKDIAL_CACHE") or Path.home() / ".cache" / "maskdial")


def _key(source: str, options: Options) -> tuple[str, str]:
    """(name, digest) of raw text with these options."""
    if source == "pydocs":  # its content is decided by the Python that runs, which is known without reading it
        from maskdial.data.embedded import identity

        settings = repr(sorted(asdict(options).items()))
        return source, hashlib.sha256(f"{FORMAT} {identity()} {settings}".encode()).hexdigest()
    inputs = find([source])
    return inputs.name, digest(describe(inputs, options))


def open_or_prepare(data: str | Path, cache: str | Path | None = None, *, progress: Mode = "auto", **options: Any) -> Corpus:
    """A corpus from a prepared folder, or from raw text: a file, folder, glob, `pydocs` or `hf:NAME`.

    Raw text is prepared into the cache, under a name that depends on its content and on `options` (those of `prepare`),
    and opened from there the next time. `UserError` as in `prepare`, and for options given with a prepared folder.
    """
    source = str(data)
    if (Path(source) / MANIFEST).is_file():
        if any(v is not None and v != () for v in options.values()):
            raise UserError(f"{source} is prepared already: {', '.join(sorted(options))} can't change it",
                            hint="give the raw text instead", code="prepare.option", where=source)  # fmt: skip
        return Corpus.open(source)
    if isinstance(options.get("grow"), Sequence):
        options["grow"] = tuple(options["grow"])
    settings = Options(**options)
    name, key = _key(source, settings)
    home = Path(cache) if cache is not None else cache_folder()
    folder = home / "corpora" / "-".join([re.sub(r"[^\w.+-]+", "_", name)[:60], key[:16]])
    if (folder / MANIFEST).is_file():
        try:
            return Corpus.open(folder)
        except UserError:
            (folder / MANIFEST).unlink(missing_ok=True)  # damaged: made again
    return prepare([source], folder, **asdict(settings), overwrite=True, progress=progress)
