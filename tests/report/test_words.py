"""Numbers and verdicts: what is printed, and what may be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from maskdial.report import numbers
from maskdial.report.behaviour import folded
from maskdial.report.charts import POINTS, thinned
from maskdial.report.folder import Folder, slug
from maskdial.report.strips import sight, spelled
from maskdial.report.verdict import leaders, past_baseline, sentence, ties, undecided_top
from tests.report.fixture import view


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.34127, "0.341"), (2.0141, "2.01"), (17.24, "17.2"), (1234, "1,230"), (9.9996, "10.0"), (0.05123, "0.0512"), (-0.631, "−0.631"),
     (0, "0"), (5, "5"), (float("nan"), "–"), (None, "–"), (0.00001234, "0.000012")],
)  # fmt: skip
def test_three_significant_digits(value, shown):
    assert numbers.three(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(1_050_112, "1.05 M"), (32_800, "32.8 k"), (1.2e14, "120 T"), (999_900, "1.00 M"), (1234, "1,234"), (0, "0")]
)
def test_counts_are_short(value, shown):
    assert numbers.short(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(59.2, "59.2 s"), (0.25, "0.250 s"), (200, "3 min 20 s"), (7500, "2 h 05 min"), (3599.9, "60 min 00 s")]
)
def test_durations(value, shown):
    assert numbers.duration(value) == shown


def test_half_widths_have_the_decimals_of_their_value():
    assert numbers.half_width(0.329, 0.353, 0.341) == "±0.012"
    assert numbers.half_width(1.98, 2.04, 2.01) == "±0.03"
    assert numbers.half_width(None, 0.3, 0.2) == ""


@pytest.mark.parametrize(("place", "shown"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd"), (113, "113th")])
def test_ordinals(place, shown):
    assert numbers.ordinal(place) == shown


def folder(values: dict[str, float], real: set[tuple[str, str]], better: str = "higher") -> Folder:
    """A comparison of one probe with these values, where these pairs differ."""
    names = list(values)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    results: dict[str, Any] = {
        "objectives": {n: {"probes": {"cloze": {"value": v, "low": v - 0.01, "high": v + 0.01, "baseline": 0, "better": better}}}
                       for n, v in values.items()},
        "differences": {"cloze": [{"a": a, "b": b, "difference": values[a] - values[b], "low": 0, "high": 0, "real": (a, b) in real}
                                  for a, b in pairs]},
    }  # fmt: skip
    return Folder(Path("."), results)


def test_ties_are_those_that_do_not_really_differ_from_the_best():
    found = folder({"a": 0.5, "b": 0.49, "c": 0.3}, {("a", "c")})
    assert leaders(found, "cloze") == ["a", "b"]
    assert ties(found, "cloze", "c") == ["b"]


def test_lower_may_be_better():
    assert leaders(folder({"a": 2.0, "b": 1.0}, {("a", "b")}, "lower"), "cloze") == ["b"]


@pytest.mark.parametrize(
    ("real", "said"),
    [
        ({("a", "b"), ("a", "c"), ("b", "c")}, "3 of 3 differences exclude zero after Holm correction; a comes first."),
        ({("a", "c"), ("b", "c")}, "2 of 3 differences exclude zero after Holm correction; a and b can't be told apart."),
        ({("a", "c")}, "1 of 3 differences exclude zero after Holm correction; neighbours in the order can't be told apart."),
        (set(), "0 of 3 differences exclude zero after Holm correction; the order is not decided."),
    ],
)
def test_the_sentence_says_what_is_decided(real, said):
    assert sentence(folder({"a": 0.5, "b": 0.4, "c": 0.3}, real), "cloze") == said


def test_the_sentence_counts_the_undecided_top():
    values = {"a": 0.5, "b": 0.49, "c": 0.48, "d": 0.1}
    found = folder(values, {("a", "d"), ("b", "d"), ("c", "d")})
    assert undecided_top(found, "cloze") == 3
    assert sentence(found, "cloze").endswith("the order of the top three is not decided.")


def test_alone_there_is_nothing_to_compare():
    assert sentence(folder({"a": 0.5}, set()), "cloze").startswith("Only one objective")


@pytest.mark.parametrize(
    ("low", "high", "better", "past"),
    [(0.2, 0.3, "higher", True), (0.05, 0.15, "higher", False), (0.01, 0.05, "higher", None), (0.01, 0.05, "lower", True)],
)
def test_the_baseline_is_passed_only_by_the_whole_interval(low, high, better, past):
    assert past_baseline({"value": 0.1, "low": low, "high": high, "baseline": 0.1, "better": better}) is past


def test_names_become_safe_file_names_and_stay_apart():
    assert slug("prefix-lm") == "prefix-lm"
    made = {slug(name) for name in ("../etc", "a b", "a-b", "a/b", "..", "", "é")}
    assert len(made) == 7
    assert all("/" not in name and "." not in name and name for name in made)


def test_white_space_is_never_blank():
    assert [spelled(t) for t in (" the", "\n", "\t", "", "Ġthe", "▁the")] == ["␣the", "⏎", "⇥", "∅", "␣the", "␣the"]


def test_thinning_keeps_the_ends_and_the_held_out_points():
    curve = [{"step": i, "loss": 1.0, "held_out": 1.0 if i % 50 == 49 else None} for i in range(500)]
    steps = [p["step"] for p in thinned(curve)]
    assert steps[0] == 0
    assert steps[-1] == 499
    assert {49, 99, 449} <= set(steps)
    assert len(steps) <= POINTS + 10


def test_an_encoder_decoder_is_drawn_as_a_prefix_order():
    cells, sizes = sight(view("t5"))
    source = sizes[0][1]
    assert sizes[0][0] == "source"
    assert all(cells[q][k] == "two" for q in range(source) for k in range(source))
    assert all(cells[q][k] == "no" for q in range(source) for k in range(source, len(cells)))
    for q in range(source, len(cells)):
        assert cells[q] == ["one"] * q + ["two"] + ["no"] * (len(cells) - q - 1)


def test_blank_lines_are_counted_instead_of_shown():
    assert folded(" a\n\n\n\n b\n\nc ") == "a\n⏎ × 4\n b\n\nc"
