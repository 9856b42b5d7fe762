"""The house keeps its shape: imports follow the arrows, files stay small, the core stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "maskdial"
CONTRACT = {"rows", "sample", "batch", "vocab", "errors"}

#: what each room may import of maskdial, besides itself
MAY = {
    "rows": set(),
    "sample": {"rows", "batch", "view", "picture", "html"},
    "batch": {"sample"},
    "vocab": set(),
    "errors": set(),
    "progress": {"errors"},
    "rng": set(),
    "build": {"sample", "rng", "vocab", "corruption", "target", "visibility", "objective", "one_pass"},
    "one_pass": {"sample", "rng", "corruption", "target", "build"},
    "corruption": {"sample", "rng", "vocab"},
    "visibility": {"sample", "rng", "batch", "html"},
    "target": {"sample", "rng", "corruption"},
    "objective": {"sample", "rng", "vocab", "build", "corruption", "target", "visibility", "html"},
    "mixture": {"sample", "rng", "vocab", "errors", "build", "objective", "corruption"},
    "recipes": {"sample", "rows", "rng", "vocab", "errors", "build", "objective", "mixture", "corruption", "target", "visibility"},
    "looking": {"sample", "objective", "mixture", "corruption", "data"},
    "view": {"sample", "rng", "objective", "mixture", "recipes", "corruption", "target", "looking", "picture"},
    "picture": {"sample", "view"},
    "html": {"objective", "sample", "view", "picture", "report"},
    "data": {*CONTRACT, "progress", "interop"},  # hf:NAME is a guest's
    "model": {*CONTRACT, "visibility"},
    "train": {*CONTRACT, "progress", "objective", "mixture", "recipes", "data", "model", "visibility"},
    "evaluate": {*CONTRACT, "progress", "rng", "objective", "mixture", "recipes", "corruption", "data", "model",
                 "train", "view", "report"},
    "report": {*CONTRACT, "objective", "recipes", "view"},
    "audit": {*CONTRACT, "progress", "objective", "mixture", "recipes", "picture", "data", "interop", "train"},
    "conform": {*CONTRACT, "objective", "mixture", "recipes", "corruption", "data"},
    "bench": {*CONTRACT, "objective", "mixture", "model", "train"},
    "interop": {*CONTRACT, "objective", "recipes", "data", "model", "train", "visibility"},
}


def rooms(file: Path) -> set[str]:
    """The rooms of maskdial that a file imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "maskdial" else [f"maskdial.{a.name}" for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("maskdial.")}
    return found


def room_of(file: Path) -> str:
    inner = file.relative_to(SOURCE)
    return inner.parts[0] if len(inner.parts) > 1 else inner.stem


FILES = sorted(p for p in SOURCE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_follow_the_arrows(file):
    room = room_of(file)
    if room in ("cli", "explore", "__init__", "__main__"):
        return
    foreign = rooms(file) - {room}
    assert foreign <= MAY[room], f"{room} must not import {sorted(foreign - MAY[room])}"


def test_nothing_imports_the_command_line_or_the_explorer():
    for file in FILES:
        if room_of(file) not in ("cli", "explore", "__main__"):
            assert not rooms(file) & {"cli", "explore"}, file


@pytest.mark.parametrize("file", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_stay_small(file):
    assert len(file.read_text().splitlines()) <= 330, "a file that grows a second idea gets a room of its own"


def test_folders_nest_one_level():
    assert all(len(p.relative_to(SOURCE).parts) <= 2 for p in FILES)


def test_importing_maskdial_imports_nothing_heavy():
    probe = "import sys, maskdial; print([m for m in ('torch', 'numba', 'numpy', 'pyarrow', 'tokenizers') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_help_imports_nothing_heavy():
    probe = (
        "import sys\nfrom maskdial.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numba', 'numpy', 'pyarrow', 'tokenizers', 'matplotlib') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "compare" in done.stdout


def test_every_public_name_is_there():
    import maskdial

    for name in maskdial.__all__:
        assert getattr(maskdial, name) is not None, name


def test_nothing_names_the_place_where_it_was_made():
    words = ["../" + "shared", "/" + "work/", "farm-" + "bench"]
    for file in [*SOURCE.rglob("*"), *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        if file.is_file() and file.suffix in (".py", ".md", ".css", ".j2", ".toml", ".html"):
            assert not [w for w in words if w in file.read_text()], file
