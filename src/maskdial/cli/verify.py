"""`maskdial verify`: a corpus, a run or a checkpoint against what was written down when it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A corpus made by prepare, a run made by train, or one checkpoint.")],
    json_: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Read every byte of a corpus or a run and compare it with the digests written beside it; name the file that differs.

    Exit status 0: all is as it was written; 3: something is damaged.

    Examples:

      maskdial verify corpus

      maskdial verify runs/gpt --json

      maskdial verify corpus && maskdial train -o gpt --data corpus --out runs/gpt
    """
    from maskdial.cli import answer
    from maskdial.errors import UserError

    found = look(folder)
    problems = found["problems"]
    if problems:
        more = f" and {len(problems) - 10} more" if len(problems) > 10 else ""
        hint = {"corpus": "prepare it again with --overwrite, or restore the file",
                "run": "`maskdial train` with --resume auto goes on from the newest whole checkpoint; restore the file if you can",
                "checkpoint": "use the checkpoint before it"}[found["kind"]]  # fmt: skip
        raise UserError(f"{folder} is damaged: {'; '.join(problems[:10])}{more}", hint=hint, code=f"{found['kind']}.damaged",
                        where=str(folder), exit=3)  # fmt: skip
    if json_:
        answer("verify/1", found)
    else:
        print(f"{folder}: a {found['kind']}, {found['files']} files, {found['bytes']:,} bytes, all as they were written")


def look(folder: Path) -> dict[str, Any]:
    """What a folder is, what was read of it and what is wrong."""
    from maskdial.data.storage import MANIFEST, OURS, all_files, read_manifest
    from maskdial.data.storage import verify as check_corpus
    from maskdial.errors import UserError
    from maskdial.train.check import check, is_checkpoint, is_run

    if is_run(folder) or is_checkpoint(folder):
        found = check(folder)
        kind = "checkpoint" if is_checkpoint(folder) else "run"
        return {"path": str(folder), "kind": kind, "files": found.files, "bytes": found.bytes, "problems": found.problems}
    if not (folder / MANIFEST).is_file() and not (folder.is_dir() and any(OURS.fullmatch(p.name) for p in folder.iterdir())):
        raise UserError(f"{folder} is no prepared corpus, run or checkpoint", hint="give the folder that prepare or train wrote",
                        code="usage.folder", where=str(folder))  # fmt: skip
    problems = check_corpus(folder)
    files = list(all_files(read_manifest(folder)))
    size = sum(int(record["bytes"]) for _, record in files)
    return {"path": str(folder), "kind": "corpus", "files": len(files), "bytes": size, "problems": problems}
