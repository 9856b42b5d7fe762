from __future__ import annotations

from pathlib import Path

import pytest

from maskdial.report import build
from tests.report.fixture import make
from tests.report.tree import Node, parse


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison of five objectives with one seed, and its report."""
    made = make(tmp_path_factory.mktemp("compare") / "one")
    build(made)
    return made


@pytest.fixture(scope="session")
def page(folder: Path) -> Node:
    return parse((folder / "report.html").read_text(encoding="utf-8"))
