"""From a compare folder to a page, a table and a card for each objective. Reads files only; trains and measures nothing."""

from __future__ import annotations

from pathlib import Path


def build(folder: Path, out: Path | None = None) -> Path:
    """Writes `report.html` (or `out`) from the compare folder, with `results.csv`, `cards/` and `charts/` beside the results."""
    from maskdial.report.page import build as made

    return made(folder, out)
