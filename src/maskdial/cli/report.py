"""`maskdial report`: the page of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder that `maskdial compare --out DIR` wrote.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Where the page goes; DIR/report.html when not given.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a comparison as one self-contained page, with results.csv, cards/ and charts/ beside the results.

    Nothing is trained or measured: the page is made from results.json, and twice from the same results it is the same to
    the byte.

    Examples:

      maskdial report compare-pydocs-60s

      maskdial report compare-pydocs-60s -o report.html --open

      maskdial report compare-pydocs-60s --json
    """
    from maskdial.cli import answer
    from maskdial.errors import UserError
    from maskdial.report import build

    if out is not None and out.is_dir():
        raise UserError(f"{out} is a folder", hint=f"name the page: -o {out / 'report.html'}", code="report.out")
    page = build(folder, out)
    if json_:
        answer("report/1", {"report": str(page), "bytes": page.stat().st_size, "csv": str(folder / "results.csv"),
                            "cards": str(folder / "cards"), "charts": str(folder / "charts")})  # fmt: skip
    else:
        print(page)
    if open_:
        typer.launch(page.resolve().as_uri())
