"""`maskdial explore`: the explorer in the browser, or as one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from maskdial.explore.audited import Data


def explore(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port on this machine; 0 takes a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address and open nothing.")] = False,
    run: Annotated[Path | None, typer.Option("--run", metavar="DIR", help="A run or a comparison: see it, ask its models.")] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="FILE", help="Data to audit, row by row: see maskdial audit.")] = None,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="PAGE.html", help="Write one file that works from disk, and leave.")
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Turn the three dials of any objective over any text, and see what is read, asked and seen.

    The page is served to this machine only, without a network and without telemetry. Ctrl-C stops it.

    Examples:

      maskdial explore

      maskdial explore --run compare-pydocs-60s

      maskdial explore --data chats.jsonl

      maskdial explore --export page.html
    """
    import sys

    from maskdial.cli import answer
    from maskdial.errors import UserError

    if export is not None:
        if run is not None or data is not None:
            raise UserError("an exported page has no models to ask and no data to read", hint="leave --run, --data or --export out",
                            code="explore.export")  # fmt: skip
        if export.is_dir():
            raise UserError(f"{export} is a folder", hint=f"name the page: --export {export / 'page.html'}", code="explore.export")
        from maskdial.explore.export import export as write

        page = write(export)
        if json_:
            answer("explore/1", {"page": str(page), "bytes": page.stat().st_size})
        else:
            print(page)
        return
    import secrets

    from maskdial.explore.answers import Answers
    from maskdial.explore.runs import Runs
    from maskdial.explore.server import HOST, application, listen, server, warm

    runs = Runs(run) if run is not None else None
    read = audited(data) if data else None
    at = listen(port)
    answers = Answers(runs.tokenizer if runs else None)
    app = application(secrets.token_urlsafe(24), answers, runs, read)
    at.listen()
    url = f"http://{HOST}:{at.getsockname()[1]}/"
    if json_:
        answer("explore/1", {"url": url})
    else:
        print(url, flush=True)
    print("Ctrl-C stops it.", file=sys.stderr, flush=True)
    warm(answers, runs)
    if not no_browser:
        typer.launch(url)
    try:
        server(app).run(sockets=[at])
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)


def audited(path: str) -> Data:
    """What `--data` names, which is looked at now so that what can't be read is said now."""
    from maskdial.explore.audited import Data

    return Data(path)
