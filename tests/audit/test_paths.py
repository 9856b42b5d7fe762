"""Text on disk, and the command: what is audited is what training would read, and the exit status says what was found."""

import json
from importlib import import_module

import numpy as np
import pytest

import maskdial as md
from maskdial.data import open_or_prepare
from maskdial.train import TrainConfig, train
from tests.cli.run import maskdial
from tests.train.helpers import SMALL


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a chat file, a text file and a cache of its own."""
    folder = tmp_path_factory.mktemp("audit")
    talks = [[("user", f"What is {i} plus {i}?"), ("assistant", f"It is {2 * i}.")] for i in range(12)]
    lines = [json.dumps({"messages": [{"role": role, "content": said} for role, said in talk]}) for talk in talks]
    (folder / "chats.jsonl").write_text("\n".join(lines))
    notes = [f"The cat number {i} sat on the mat. It was warm, so it slept for {i} hours." for i in range(80)]
    (folder / "notes.txt").write_text("\n\n".join(notes))
    with pytest.MonkeyPatch.context() as patch:  # the variable would move the compiled kernels too
        for module in ("maskdial.data.cache", "maskdial.audit.paths"):
            patch.setattr(import_module(module), "cache_folder", lambda: folder / "cache")
        yield folder


def test_records_are_rows_and_only_answers_are_scored(place):
    audit = md.audit(place / "chats.jsonl")
    assert (audit.objective, audit.ok, audit.form) == ("sft", True, "next")
    assert audit["end of sequence"].level == audit["truncated answers"].level == audit["round trip"].level == "ok"
    assert audit.rows[0]["text"].startswith("user: What is ")
    corpus = open_or_prepare(place / "chats.jsonl", progress="off")
    assert audit["size"].say.startswith(f"{len(corpus.train)} rows")
    scored = sum(int(corpus.train.answers(i).sum()) for i in range(len(corpus.train)))
    assert f"{scored:,} scored" in audit["size"].say


@pytest.mark.parametrize("name", ["gpt", "bert", "t5", "bert-nsp", "ul2"])
def test_text_is_read_in_windows_as_training_reads_it(place, name):
    audit = md.audit(place / "notes.txt", name, rows=6)
    assert audit.ok, str(audit)
    assert audit["round trip"].level == "ok"
    assert "documents" in audit.notes[0]


def test_a_run_is_audited_with_what_it_read(place):
    corpus = open_or_prepare(place / "notes.txt", progress="off")
    train(TrainConfig().with_overrides(SMALL | {"budget": "1steps"}), md.objective("bert", rate=0.3), corpus, place / "run", progress="off")
    audit = md.audit(place / "run", rows=5)
    assert (audit.objective, audit.ok) == ("bert", True)
    assert "30 % was asked for" in audit["corruption rate"].say
    raw = json.loads((place / "run" / "config.json").read_text())["corpus"]["raw"]
    assert f"{5 * (raw + 2):,} tokens read" in audit["size"].say
    other = json.loads((place / "run" / "config.json").read_text())
    other["corpus"]["fingerprint"] = "0" * 64
    (place / "run" / "config.json").write_text(json.dumps(other))
    status, _, said = maskdial("audit", place / "run")
    assert status == 2
    assert "is not in the cache" in said


def test_a_saved_dataset_of_ids_is_read_from_outside(place):
    datasets = pytest.importorskip("datasets")
    ids = np.random.default_rng(0).integers(0, 200, (6, 20))
    ahead = np.append(ids[:, 1:], np.full((6, 1), -100), axis=1)
    for name, labels in (("right", ids), ("ahead", ahead)):
        datasets.Dataset.from_dict({"input_ids": ids.tolist(), "labels": labels.tolist()}).save_to_disk(place / name)
    assert maskdial("audit", place / "right", "--strict")[0] == 0
    status, out, _ = maskdial("audit", place / "ahead", "--strict")
    assert status == 3
    assert "✕ shifted labels" in out
    assert maskdial("audit", place / "ahead")[0] == 0, "without --strict the answer is the answer"
    corpus = open_or_prepare(place / "chats.jsonl", progress="off")
    datasets.DatasetDict(train=datasets.Dataset.from_dict({"input_ids": ids.tolist()})).save_to_disk(place / "bare")
    assert maskdial("audit", place / "bare")[0] == 2, "which ids are special is not known"
    status, out, _ = maskdial("audit", place / "bare", "--tokenizer", corpus.folder / "tokenizer", "--json")
    found = json.loads(out)
    assert (status, found["schema"], found["ok"], found["data"]["objective"]) == (0, "audit/1", True, "gpt")
    assert found["data"]["checks"][0]["say"].startswith("6 rows, 120 tokens")


@pytest.mark.parametrize("words", [["nothing.txt"], ["notes.txt", "-o", "brt"], ["notes.txt", "--rows", "0"],
                                   ["notes.txt", "--tokenizer", "no"]])  # fmt: skip
def test_mistakes_leave_with_2(place, words):
    status, out, said = maskdial("audit", place / words[0], *words[1:])
    assert (status, out) == (2, "")
    assert "error: " in said


def test_a_warning_is_no_failure(place):
    (place / "cut.jsonl").write_text("".join(json.dumps({"prompt": f"{i}?", "completion": f" {i}"}) + "\n" for i in range(9)))
    corpus = open_or_prepare(place / "cut.jsonl", progress="off")
    audit = md.audit(corpus.folder, md.objective("bert", rate=0.5), rows=4, rate=0.5)
    assert audit.worst in ("ok", "warn")
    assert maskdial("audit", corpus.folder, "-o", "bert:rate=0.5", "--rows", "4", "--strict")[0] == 0


def test_what_preparing_left_out_is_said(place):
    lines = [{"prompt": f"What is {i} + 1?", "completion": "" if i % 5 == 0 else f" {i + 1}"} for i in range(40)]
    (place / "holes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    said = {f.name: f for f in md.audit(str(place / "holes.jsonl")).findings}["left out"]
    assert said.level == "warn"
    assert "8 supervised records have no completion and were left out" in said.say
