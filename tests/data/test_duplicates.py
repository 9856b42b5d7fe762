"""Documents that came before: found exactly, by any number of processes, and counted, left out or left alone as was asked."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskdial.data import merge, prepare
from maskdial.data.build import prepare_shard
from maskdial.data.document import Document
from maskdial.data.notices import notices
from maskdial.data.options import Options
from maskdial.data.split import ROW, SPACE, repeated, row_of, sample_floor, settle, text_hash

from .conftest import write_jsonl


def texts(part):
    return [part.text(i) for i in range(len(part))]


@pytest.fixture(scope="module")
def sources(tmp_path_factory, records):
    """Two files that share documents, with other labels at the second place."""
    home = tmp_path_factory.mktemp("twice")
    again = [{**r, "label": "again"} for r in records[10:60]]
    found = {"a.jsonl": [*records[:100], *again[:20]], "b.jsonl": [*again, *records[100:160]]}
    return [str(write_jsonl(home / name, these)) for name, these in found.items()]


def test_what_came_before_is_counted_left_out_or_left_alone(sources, records, tmp_path):
    made = {how: prepare(sources, tmp_path / how, vocab_size=300, held_out=0.2, duplicates=how, progress="off")
            for how in ("report", "drop", "keep")}  # fmt: skip
    assert [c.manifest["tally"]["duplicates"] for c in made.values()] == [70, 70, 0]
    assert [len(c.train) + len(c.held_out) for c in made.values()] == [230, 160, 230]
    assert [c.manifest["tally"]["documents"] for c in made.values()] == [230, 230, 230]
    assert texts(made["report"].train) == texts(made["keep"].train)
    assert "70 documents have the same text as one before them (--duplicates drop leaves them out)" in notices(made["report"].manifest)
    assert "70 documents have the same text as one before them and were left out" in notices(made["drop"].manifest)
    assert notices(made["keep"].manifest) == []
    labels = {made["drop"].train.label(i) for i in range(len(made["drop"].train))}
    assert "again" not in labels, "the first of them stays"


def test_leaving_them_out_is_as_if_they_had_never_been_there(sources, records, tmp_path, folder_of):
    """The same bytes but for the manifest: tokenizer, split and order see first occurrences alone."""
    once = str(write_jsonl(tmp_path / "once.jsonl", records[:160]))
    dropped = prepare(sources, tmp_path / "d", vocab_size=300, held_out=0.2, duplicates="drop", progress="off")
    plain = prepare(once, tmp_path / "p", vocab_size=300, held_out=0.2, progress="off")
    mine, other = folder_of(dropped.folder), folder_of(plain.folder)
    assert mine.pop("manifest.json") != other.pop("manifest.json")
    assert mine == other


def test_neither_workers_nor_machines_change_what_is_left_out(sources, tmp_path, small_shards, folder_of):
    options = Options(vocab_size=300, duplicates="drop")
    one = prepare(sources, tmp_path / "one", vocab_size=300, duplicates="drop", workers=1, progress="off")
    two = prepare(sources, tmp_path / "two", vocab_size=300, duplicates="drop", workers=2, progress="off")
    for number in (2, 0, 1):
        prepare_shard(sources, tmp_path / "three", options, number, 3, workers=1, progress="off")
    assert folder_of(one.folder) == folder_of(two.folder) == folder_of(merge(tmp_path / "three").folder)
    assert len(one.train.shards) > 5
    assert len(set(texts(one.train))) == len(one.train)


def test_the_same_text_asked_otherwise_is_another_document(tmp_path):
    asked = [{"prompt": "two and ", "completion": "two"}, {"prompt": "two ", "completion": "and two"}, {"text": "two and two"}]
    c = prepare(str(write_jsonl(tmp_path / "a.jsonl", [*asked, asked[0]])), tmp_path / "c", tokenizer="bytes", held_out=0,
                duplicates="drop", progress="off")  # fmt: skip
    assert (len(c.train), c.manifest["tally"]["duplicates"]) == (3, 1)


def rows(found):
    return [np.array(file, dtype=ROW) for file in found]


few = st.integers(0, 5) | st.sampled_from([SPACE - 1, SPACE - 2, 1 << 63])
files = st.lists(st.lists(st.tuples(few, st.integers(0, 2), st.integers(1, 9)), max_size=12), min_size=1, max_size=4)


@given(found=files, most=st.integers(1, 40))
@settings(max_examples=120, deadline=None)
def test_every_later_one_is_found_and_nothing_else(found, most):
    seen, wanted = set(), []
    for file in found:
        wanted.append([(row[:2] in seen, seen.add(row[:2]))[0] for row in file])
    assert [marks.tolist() for marks in repeated(rows(found), most)] == wanted


hashed = st.lists(st.lists(st.tuples(st.integers(0, SPACE - 1) | few, st.just(0), st.integers(1, 50)), max_size=12), min_size=1,
                  max_size=4).filter(any)  # fmt: skip


@given(found=hashed, budget=st.integers(1, 900))
@settings(max_examples=120, deadline=None)
def test_the_sample_is_the_largest_hashes_that_fit(found, budget):
    """As a floor that rises by an eighth until what is left fits, one document at least."""
    every = [row for file in found for row in file]
    floor = sample_floor(rows(found), None, budget)
    kept, at = every, 0
    while sum(r[2] for r in kept) > budget and len(kept) > 1 and (SPACE - at) // 8:
        at += (SPACE - at) // 8
        kept = [r for r in every if r[0] >= at]
    if not kept or sum(r[2] for r in kept) > budget:  # they have one hash
        kept = [r for r in every if r[0] == max(every)[0]]
    assert [r for r in every if r[0] >= floor] == kept


@given(found=hashed, share=st.sampled_from([0.0, 0.01, 0.2, 0.99]))
@settings(max_examples=120, deadline=None)
def test_the_split_leaves_something_on_both_sides(found, share):
    every = [row for file in found for row in file]
    split = settle(share, rows(found), None, sum(r[2] for r in every))
    sides = {split.side(r[0]) for r in every}
    if share and len({r[0] for r in every}) > 1:
        assert sides == {"train", "held_out"}
    assert split.trains(np.array([r[0] for r in every], dtype=np.uint64)).tolist() == [split.side(r[0]) == "train" for r in every]
    if split.chosen >= 0:
        off = [(abs(r[2] - share * sum(r[2] for r in every)), r[0]) for r in every]
        assert min(off)[0] == min(o for o, side in off if side == split.chosen)


def test_a_row_tells_side_content_and_size():
    plain = Document("ab é")
    assert row_of(plain) == row_of(Document("ab é", label="x", title="t", source="s"))
    assert row_of(plain)[0] == text_hash("ab é")
    assert row_of(plain)[2] == 5
    assert row_of(plain)[1] != row_of(Document("ab é", prompt=0))[1] != row_of(Document("ab é", prompt=2))[1]


def test_one_text_again_and_again_is_a_small_sample(tmp_path, monkeypatch):
    from maskdial.data import planning

    monkeypatch.setattr(planning, "SAMPLE_BYTES", 1000)
    seen = []
    real = planning.picked
    monkeypatch.setattr(planning, "picked", lambda paths: (seen.append(x) or x for x in real(paths)))
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "the same text " * 10}] * 200)
    prepare(str(path), tmp_path / "c", vocab_size=300, held_out=0, progress="off")
    assert 1000 < sum(map(len, seen)) <= 1140


def test_hashes_do_not_depend_on_the_process(tmp_path):
    import subprocess
    import sys

    code = "from maskdial.data.split import row_of; from maskdial.data.document import Document; print(row_of(Document('some text')))"
    said = {subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONHASHSEED": s}).stdout for s in "12"}
    assert said == {f"{row_of(Document('some text'))}\n"}
    assert json.loads(said.pop().replace("(", "[").replace(")", "]"))[0] == text_hash("some text")
