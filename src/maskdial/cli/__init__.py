"""The command line. One file a command; heavy imports happen inside the commands, so that `--help` is quick."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

app = typer.Typer(
    name="maskdial",
    help="From one text, build, see, train and compare every language-model pretraining objective.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _version(value: bool) -> None:
    if value:
        from maskdial import __version__

        print(f"maskdial {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """From one text, build, see, train and compare every language-model pretraining objective."""


def register() -> None:
    """Every command, in the order of use."""
    from maskdial.cli import (
        ask,
        audit,
        bench,
        card,
        compare,
        conform,
        env,
        explore,
        export,
        list,
        prepare,
        report,
        runs,
        show,
        train,
        verify,
    )

    panels: dict[str, Sequence[Any]] = {
        "See": [list.list_, show.show, explore.explore, conform.conform],
        "Prepare": [prepare.prepare, verify.verify, audit.audit],
        "Train": [train.train, runs.runs, compare.compare, ask.ask, export.export],
        "Read": [report.report, card.card, env.env],
    }
    for panel, commands in panels.items():
        for command in commands:
            app.command(name=command.__name__.strip("_"), rich_help_panel=panel)(command)
    app.add_typer(bench.app, name="bench", rich_help_panel="Read")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; mistakes end in one clear message and exit status 2, failures in 1, never in a traceback."""
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    from maskdial.errors import UserError

    try:
        register()
        sys.exit(typer.main.get_command(app).main(words, prog_name="maskdial", standalone_mode=False) or 0)
    except UserError as error:
        fail(words, error.message, error.hint, error.code, error.exit)
    except (KeyboardInterrupt, typer.Abort):
        fail(words, "interrupted", "", "interrupted", 130)
    except ValueError as error:
        fail(words, str(error), "", "usage", 2)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # what typer says about a command line
            hint = getattr(getattr(error, "ctx", None), "command_path", "maskdial")
            fail(words, error.format_message(), f"see: {hint} --help", "usage", int(error.exit_code))
        if isinstance(error, OSError):
            fail(words, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), "", "os", 1)
        fail(words, f"{type(error).__name__}: {error}", "run `maskdial --debug …` for the traceback", "unexpected", 1)


def fail(words: Sequence[str], message: str, hint: str, code: str, status: int) -> None:
    """Say what went wrong on stderr (and as JSON on stdout with --json), and leave with a status that is never 0."""
    if "--debug" in words:
        import traceback

        traceback.print_exc()
    if "--json" in words:
        print(json.dumps({"ok": False, "error": {"code": code, "message": message, "hint": hint}}, ensure_ascii=False))
    print(f"error: {message}" + (f"\n  {hint}" if hint else ""), file=sys.stderr)
    sys.exit(status)


def answer(schema: str, data: Any, warnings: Sequence[str] = ()) -> None:
    """Print a command's answer as one JSON object."""
    print(json.dumps({"schema": schema, "ok": True, "data": data, "warnings": [*warnings]}, ensure_ascii=False))
