"""The same samples for ever: pinned digests, in fresh processes, whatever Python's hashes and whatever ran before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.golden.digests import FILE, VOCAB, digest, digests, rows
from tests.laws.cases import IDS

ROOT = Path(__file__).parents[2]
PINNED: dict[str, str] = json.loads(FILE.read_text())


def fresh(seed: str) -> dict[str, str]:
    environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "tests.golden.digests"], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


def changed(found: dict[str, str]) -> list[str]:
    return [name for name in PINNED if found.get(name) != PINNED[name]]


def test_every_recipe_gives_the_samples_that_it_gave() -> None:
    assert changed(digests()) == [], "meant? then `python -m tests.golden.digests --write`, and a line in the CHANGELOG"
    assert set(PINNED) >= set(IDS), "a new case is pinned by the same command"
    assert len(set(PINNED.values())) > 0.9 * len(PINNED), "different settings give different samples"


def test_in_a_fresh_process_with_other_hashes() -> None:
    assert changed(fresh("77")) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "4294967295", "random"])
def test_in_fresh_processes_with_any_hashes(seed: str) -> None:
    assert changed(fresh(seed)) == []


def test_one_token_moves_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A digest that saw nothing would be equal too."""
    before = digest("gpt", {})
    moved = rows("joined", 1)
    moved.tokens[-1] += 1
    monkeypatch.setattr("tests.golden.digests.rows", lambda *given: moved)
    assert digest("gpt", {}) != before
    assert VOCAB.size > moved.tokens.max()
