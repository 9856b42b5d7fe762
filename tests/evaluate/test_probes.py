"""Probes on models whose answers are known: one that knows the text, one that knows nothing."""

from math import log2

import numpy as np
import pytest

from maskdial.evaluate.items import Items
from maskdial.evaluate.probes import PROBES, probe
from maskdial.evaluate.statistics import Outcome
from maskdial.recipes import objective
from tests.evaluate.counting import COUNT, FIRST, Copying, Corpus, Frequencies, Knowing, Uniform

NAMES = ("gpt", "prefix-lm", "bert", "t5", "bart")


@pytest.fixture(scope="module")
def items() -> Items:
    return Items(Corpus())


@pytest.fixture(scope="module")
def found(items: Items) -> dict:
    models = {"knowing": Knowing(), "uniform": Uniform(), "frequencies": Frequencies(items.unigram)}
    return {(m, n): probe(model, objective(n), items) for m, model in models.items() for n in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_knows_the_text_is_always_right(found: dict, name: str) -> None:
    for probe_name in ("cloze", "infill", "repair"):
        outcome = found["knowing", name][probe_name]
        assert outcome.value == 1.0, probe_name
        low, high = outcome.to_json()["low"], outcome.to_json()["high"]
        assert 0.8 < low < high == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_knows_frequencies_only_is_at_chance(found: dict, name: str) -> None:
    for probe_name in ("infill", "repair"):
        value = found["frequencies", name][probe_name].to_json()
        assert value["value"] == pytest.approx(0.1), probe_name  # ten ties share each point
        assert value["baseline"] == pytest.approx(0.1)
    cloze = found["frequencies", name]["cloze"].to_json()
    assert cloze["value"] == cloze["baseline"]
    assert found["frequencies", name]["copying"].value == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_knows_nothing_is_at_chance(found: dict, name: str) -> None:
    assert found["uniform", name]["infill"].value == pytest.approx(0.1)
    cloze = found["uniform", name]["cloze"].to_json()
    assert cloze["low"] <= 1 / COUNT <= cloze["high"]


def test_bits_per_byte_of_a_uniform_model_is_known(found: dict, items: Items) -> None:
    passages = items.passages(128, 160, 64)
    size = sum(len(items.text(p.ids[64:]).encode()) for p in passages)
    right = 64 * len(passages) * log2(COUNT + FIRST) / size
    for name in ("gpt", "prefix-lm", "t5", "bart"):
        outcome = found["uniform", name]["bits_per_byte"]
        assert outcome.value == pytest.approx(right)
        assert found["knowing", name]["bits_per_byte"].value < 0.05 < outcome.baseline
    assert "not_applicable" in found["uniform", "bert"]["bits_per_byte"]


def test_documents_are_read_whole_and_once(found: dict, items: Items) -> None:
    outcome = found["uniform", "gpt"]["bits_per_byte_documents"]
    size = sum(len(items.text(ids).encode()) for ids in items.documents)
    assert outcome.bottom.sum() == size  # every byte of every document, first tokens too
    tokens = sum(len(ids) for ids in items.documents)
    assert outcome.value == pytest.approx(tokens * log2(COUNT + FIRST) / size)
    assert "not_applicable" in found["uniform", "t5"]["bits_per_byte_documents"]


def test_copying_is_seen_where_it_happens(found: dict, items: Items) -> None:
    assert found["uniform", "gpt"]["copying"].value == pytest.approx(0, abs=1e-6)
    for name in NAMES:
        outcome = probe(Copying(), objective(name), items, names=["copying"])["copying"]
        assert isinstance(outcome, Outcome)
        assert outcome.value < -1, name
        assert outcome.to_json()["high"] < 0


def test_topic_reads_the_label_off_features(items: Items) -> None:
    labelled = Items(Corpus(labelled=True))
    for name in NAMES:
        outcome = probe(Uniform(), objective(name), labelled, names=["topic"])["topic"]
        assert isinstance(outcome, Outcome)
        assert outcome.value > 0.9 > outcome.baseline, name
    assert "not_applicable" in probe(Uniform(), objective("gpt"), items, names=["topic"])["topic"]


def test_items_are_the_same_for_all(found: dict) -> None:
    for probe_name in PROBES:
        rows = [f[probe_name].document for f in found.values() if isinstance(f[probe_name], Outcome)]
        assert all(np.array_equal(r, rows[0]) for r in rows), probe_name


def test_short_or_scarce_text_is_said_or_shortened() -> None:
    corpus = Corpus(documents=30)
    corpus.held_out.length = 40
    passages = Items(corpus).passages(128, 50, 64)
    assert {len(p) for p in passages} == {32}
    corpus.held_out.length = 9
    found = probe(Uniform(), objective("gpt"), Items(corpus))
    assert "not_applicable" in found["cloze"]
    assert "not_applicable" in found["infill"]


def test_one_long_document_is_drawn_by_passages() -> None:
    corpus = Corpus(documents=1)
    corpus.held_out.length = 4000
    items = Items(corpus)
    assert len({p.group for p in items.passages(64, 40)}) == 40
    value = probe(Knowing(), objective("gpt"), items, names=["cloze"])["cloze"].to_json()
    assert value["value"] == 1.0
    assert value["low"] > 0.8
