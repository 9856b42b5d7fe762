"""Every recipe keeps its claims, and a recipe that does not is caught."""

import json

import numpy as np
import pytest
from scipy.stats import chi2

import maskdial as md
from maskdial.conform import run
from maskdial.conform.claim import LEAST, Claim, Tally, chi_square, chi_square_tail
from maskdial.conform.document import markdown
from tests.cli.run import maskdial

CASES = run.everything()
IDS = [name + "".join(f"-{mode}" for mode in options.values()) for name, options in CASES]


def failed(report):
    return [c for c in report["claims"] if not c["holds"]]


def test_every_recipe_makes_claims():
    assert set(run.CLAIMS) == set(md.recipes())


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
@pytest.mark.parametrize("draws", [4_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_every_claim_holds(name, options, draws):
    report = run.conform(name, options, draws)
    assert report["holds"], failed(report)
    assert report["claims"]


@pytest.mark.parametrize(("name", "told", "does"), [
    ("bert", {"rate": 0.15}, {"rate": 0.16}), ("bert", {"mask": 0.8}, {"mask": 0.78}), ("bert", {"count": "bernoulli"}, {"count": "exact"}),
    ("bert", {}, {"pool": "vocabulary"}), ("t5", {"mean_length": 3.0}, {"mean_length": 4.0}), ("t5", {"roll": True}, {}),
    ("bart", {"poisson_lambda": 3.0}, {"poisson_lambda": 3.5}), ("bart", {"permute": True}, {"infill": 0.29}),
    ("prefix-lm", {}, {"split": 0.5}),
])  # fmt: skip
def test_a_recipe_that_does_otherwise_is_caught(name, told, does, monkeypatch):
    """The claims of one setting, the samples of another."""
    other = md.objective(name, **does)
    monkeypatch.setattr(run, "objective", lambda name, **_options: other)
    monkeypatch.setattr(run, "settings", lambda _made: REAL(md.objective(name, **told)))
    assert failed(run.conform(name, told, 40_000))


REAL = run.settings


def test_chi_square_tail_is_the_chi_square_law():
    for freedom in (1, 2, 3, 8, 51, 400):
        for x in (0.0, 0.3, 1.0, freedom, 1.5 * freedom, freedom + 6 * (2 * freedom) ** 0.5):
            assert chi_square_tail(x, freedom) == pytest.approx(chi2.sf(x, freedom), rel=1e-8, abs=1e-12)


def test_an_impossible_cell_and_a_claim_that_never_occurred_fail():
    assert chi_square(np.array([50.0, 50.0, 1.0]), np.array([0.5, 0.5, 0.0]))[0] == float("inf")
    never = Tally(Claim("nothing", "share", lambda b: (0, 0), 0.5))
    assert not never.verdict()["holds"]
    assert LEAST < 1e-5


def test_the_command_says_what_holds(tmp_path):
    status, out, _ = maskdial("conform", "prefix-lm", "--samples", "2000", "--json", "--markdown", tmp_path / "page.md")
    assert status == 0
    found = json.loads(out)
    assert found["schema"] == "conform/1"
    assert [r["recipe"] for r in found["data"]] == ["prefix-lm"]
    assert (tmp_path / "page.md").read_text() == markdown(found["data"], "2000")
    assert maskdial("conform", "prefix-ml")[0] == 2
    assert maskdial("conform", "t5", "--samples", "many")[0] == 2
