"""Several corpora by weight: shares, order and windows follow from the sample's number alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import maskdial as md
from maskdial.data import prepare
from maskdial.errors import UserError
from maskdial.train import load, train
from maskdial.train.feed import Feed
from maskdial.train.mixed_corpus import MixedCorpus, concatenated, open_data, weighed
from tests.train.helpers import FakeCorpus, config


def mixed(*weights: float) -> MixedCorpus:
    return MixedCorpus([FakeCorpus(11 + n, name=f"fake {n}") for n in range(len(weights))], weights)


def table(rows: Any) -> list[bytes]:
    return [row.tobytes() for row in np.split(rows.tokens, rows.offsets[1:-1])]


def test_every_corpus_has_its_share_and_its_own_windows_in_their_order() -> None:
    corpus = mixed(3, 1)
    who, number = corpus.turns.at(np.arange(400, dtype=np.uint64))
    assert np.bincount(who).tolist() == [300, 100]
    rows = corpus.rows(16, 0, 400, seed=5)
    assert rows.index.tolist() == list(range(400)), "the noise has the run's own numbers"
    assert (np.diff(rows.offsets) == 16).all()
    for i, own in enumerate(corpus.corpora):
        assert number[who == i].tolist() == list(range((who == i).sum()))
        mine = [row for row, owner in zip(table(rows), who, strict=True) if owner == i]
        assert mine == table(own.rows(16, 0, len(mine), seed=5))


def test_any_cut_of_the_samples_gives_the_same_rows() -> None:
    corpus = mixed(2, 1, 1)
    whole = table(corpus.rows(16, 0, 100, seed=1))
    parts = [row for first in range(0, 100, 7) for row in table(corpus.rows(16, first, min(7, 100 - first), seed=1))]
    assert parts == whole
    feed = Feed(md.objective("bert"), corpus, 30, seed=1, packing="joined")
    assert [len(batch["read"]) for batch in feed.batches(0, 100)] == [100], "one epoch: every sample has a noise of its own"


def test_the_fingerprint_names_the_corpora_and_their_shares() -> None:
    assert mixed(1, 1).fingerprint == mixed(2, 2).fingerprint != mixed(2, 1).fingerprint
    assert mixed(3, 1).name == "0.75 fake 0 + 0.25 fake 1"
    other = MixedCorpus([FakeCorpus(11, name="fake 0"), FakeCorpus(13, name="fake 1")], (1, 1))
    assert other.fingerprint != mixed(1, 1).fingerprint


def test_text_without_parts_among_text_with_parts_answers_throughout() -> None:
    one = md.rows([[7, 8, 9]], index=[4], part=[[0, 0, 1]], language=[[3, 3, 3]], word=[[1, 0, 1]])
    two = md.rows([[5, 6]], index=[9], word=[[1, 1]])
    made = concatenated([one, two])
    assert made.part is not None
    assert made.word is not None
    assert (made.tokens.tolist(), made.offsets.tolist(), made.index.tolist()) == ([7, 8, 9, 5, 6], [0, 3, 5], [4, 9])
    assert (made.part.tolist(), made.word.tolist(), made.language) == ([0, 0, 1, 1, 1], [1, 0, 1, 1, 1], None)


def test_a_run_over_two_corpora_goes_on_and_refuses_other_shares(tmp_path: Path) -> None:
    settings = config(budget="12steps", checkpoint__every=5, deterministic=True)
    whole = train(settings, md.objective("t5"), mixed(2, 1), tmp_path / "whole", progress="off")
    train(settings, md.objective("t5"), mixed(2, 1), tmp_path / "rest", resume=str(whole.path / "checkpoints" / "step-10"), progress="off")
    one, two = (load(tmp_path / name).model.embedding for name in ("whole", "rest"))
    assert one.equal(two)
    with pytest.raises(UserError, match=r"corpus\.fingerprint") as caught:
        train(settings, md.objective("t5"), mixed(1, 1), tmp_path / "whole", progress="off")
    assert caught.value.exit == 4


def test_a_mixture_of_objectives_over_a_mixture_of_corpora(tmp_path: Path) -> None:
    objectives = md.mixture({name: md.objective(name) for name in ("gpt", "bert")}, mode_tokens=False)
    assert train(config(), objectives, mixed(1, 3), tmp_path / "run", progress="off").loss


@pytest.mark.parametrize(("source", "wanted"), [
    ("corpus/:0.3", ("corpus/", 0.3)), ("pydocs", ("pydocs", 1.0)), ("hf:name", ("hf:name", 1.0)), ("hf:name:2", ("hf:name", 2.0)),
    ("a:b.txt", ("a:b.txt", 1.0)), ("notes.txt:1e-2", ("notes.txt", 0.01)),
])  # fmt: skip
def test_sources_with_weights(source: str, wanted: tuple[str, float]) -> None:
    assert weighed(source) == wanted


def test_a_folder_whose_name_ends_in_a_number_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run:2").mkdir()
    assert weighed("run:2") == ("run:2", 1.0)


@pytest.mark.parametrize("source", ["a:0", "a:-1", "a:nan", "a:inf"])
def test_a_weight_is_above_nothing(source: str) -> None:
    with pytest.raises(UserError, match="a weight is a number above 0") as caught:
        weighed(source)
    assert caught.value.exit == 2


def test_raw_text_takes_the_tokenizer_of_the_first_and_another_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASKDIAL_CACHE", str(tmp_path / "cache"))
    for name, text in (("one", "a bird sat on a stone and sang of stones"), ("two", "no stone was left alone by any bird at all")):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"{text} {n}" for n in range(120)))
    first = prepare([str(tmp_path / "one.txt")], tmp_path / "first", tokenizer="bytes", progress="off")
    second = prepare([str(tmp_path / "two.txt")], tmp_path / "second", tokenizer="words", progress="off")
    opened = open_data([str(first.folder), f"{tmp_path / 'two.txt'}:0.5"])
    assert opened.corpora[1].tokenizer.sha256 == first.tokenizer.sha256
    rows = opened.rows(24, 0, 9, seed=0, part="train")
    assert rows.word is not None
    with pytest.raises(UserError, match="different tokenizers"):
        open_data([str(first.folder), str(second.folder)])
    with pytest.raises(UserError, match="at least 1 in"):
        MixedCorpus([first, first], [1.0, 1e-9])
