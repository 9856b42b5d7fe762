"""`maskdial verify`: a corpus folder against its manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A corpus folder made by prepare.")],
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Read every byte of a corpus and compare it with the digests in its manifest; name the file and block that differ.

    Exit status 0: all is as it was written; 3: something is damaged.

    Examples:

      maskdial verify corpus

      maskdial verify corpus --json

      maskdial verify corpus && maskdial train -o gpt --data corpus --out runs/gpt
    """
    from maskdial.cli import answer
    from maskdial.data.storage import all_files, read_manifest
    from maskdial.data.storage import verify as check
    from maskdial.errors import UserError

    problems = check(folder)
    if problems:
        more = f" and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise UserError(f"{folder} is damaged: {'; '.join(problems[:10])}{more}",
                        hint="prepare it again with --overwrite, or restore the file",
                        code="corpus.damaged", where=str(folder), exit=3)  # fmt: skip
    files = list(all_files(read_manifest(folder)))
    size = sum(int(record["bytes"]) for _, record in files)
    if json_:
        answer("verify/1", {"path": str(folder), "files": len(files), "bytes": size, "problems": []})
    else:
        print(f"{folder}: {len(files)} files, {size:,} bytes, all as they were written")
