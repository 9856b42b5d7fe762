"""What `--deterministic` fixes, says and leaves alone."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import maskdial as md
from maskdial.train import determinism, train
from maskdial.train.folder import versions
from tests.train.helpers import FakeCorpus, config


def plan(**changes: Any) -> dict[str, Any]:
    then = versions() | changes
    return {"precision": "float32", "device": "cpu", "versions": then, "train": {"threads": 2, "deterministic": True}}


def test_it_says_what_equal_bits_hang_on() -> None:
    (said,) = determinism.words(plan(), versions())
    for word in ("deterministic algorithms", "float32 on cpu", "2 threads", torch.__version__, versions()["machine"]):
        assert word in said
    assert determinism.words(plan() | {"train": {"deterministic": False}}, versions()) == []


@pytest.mark.parametrize("name", ["torch", "numpy", "machine"])
def test_going_on_elsewhere_is_told(name: str) -> None:
    _, warning = determinism.words(plan(**{name: "another"}), versions())
    assert warning == f"warning: the run began elsewhere ({name} another → {versions()[name]}): its bits may differ from here on"
    assert len(determinism.words(plan(maskdial="0", python="2"), versions())) == 1


def test_a_run_says_it_and_a_resume_from_elsewhere_warns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    settings, out = config(budget="4steps", deterministic=True, checkpoint__every=2), tmp_path / "run"
    train(settings, md.objective("gpt"), FakeCorpus(), out, progress="plain")
    said = capsys.readouterr().err
    assert "deterministic: torch's deterministic algorithms, float32 on cpu, 1 thread;" in said
    assert "warning" not in said
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8", "cuBLAS reads it once, before anything is computed"
    assert not torch.are_deterministic_algorithms_enabled(), "put back"
    (out / "checkpoints" / "step-4").rename(tmp_path / "taken")
    saved = json.loads((out / "config.json").read_text())
    saved["versions"]["torch"] = "1.0"
    (out / "config.json").write_text(json.dumps(saved))
    train(settings, md.objective("gpt"), FakeCorpus(), out, progress="plain")
    assert f"(torch 1.0 → {torch.__version__})" in capsys.readouterr().err
    train(config(budget="4steps"), md.objective("gpt"), FakeCorpus(), tmp_path / "plain", progress="plain")
    assert "deterministic" not in capsys.readouterr().err
