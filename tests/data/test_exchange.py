"""To and from what others use: nanoGPT's files, and folders of Hugging Face's datasets."""

import json
import pickle
import shutil

import numpy as np
import pytest

from maskdial.data import prepare, read
from maskdial.data.reader import Reader
from maskdial.errors import UserError
from maskdial.interop import nanogpt

from .conftest import write_jsonl
from .test_commands import run  # noqa: F401
from .test_tokenizer import merged


def texts(part):
    return [part.text(i) for i in range(len(part))]


def ids(part):
    return [part.document(i).tolist() for i in range(len(part))]


@pytest.fixture(scope="module")
def exported(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nanogpt")
    nanogpt.export(corpus, folder)
    corpus.tokenizer.save(folder / "tokenizer")
    return folder


def test_nanogpt_reads_the_stream_as_it_is(corpus, exported):
    for name, part in (("train.bin", corpus.train), ("val.bin", corpus.held_out)):
        stream = np.fromfile(exported / name, dtype=np.uint16)
        wanted = [id for i in range(len(part)) for id in [*part.document(i), corpus.vocab.eod]]
        assert stream.tolist() == wanted
    meta = pickle.loads((exported / "meta.pkl").read_bytes())
    assert meta["vocab_size"] == corpus.vocab.size
    assert "".join(meta["itos"][i] for i in corpus.train.document(0)) == corpus.train.text(0)
    assert all(meta["itos"][id] == c for c, id in meta["stoi"].items())
    assert meta["stoi"]["\n"] == corpus.tokenizer.encode("\n")[0]


def test_what_nanogpt_holds_comes_back(corpus, exported, tmp_path):
    back = prepare(str(exported / "train.bin"), tmp_path / "c", tokenizer=str(exported / "tokenizer"), held_out=0, progress="off")
    assert ids(back.train) == ids(corpus.train)
    assert texts(back.train) == texts(corpus.train)
    assert back.manifest["tally"]["changed"] == 0
    assert back.manifest["tokenizer"]["sha256"] == corpus.manifest["tokenizer"]["sha256"]
    assert [back.train.columns(3)[k].tolist() for k in (0, 1)] == [corpus.train.columns(3)[k].tolist() for k in (0, 1)]


def test_ids_that_the_tokenizer_would_not_choose_are_counted(corpus, tmp_path, run):  # noqa: F811
    t = corpus.tokenizer
    spelled = [id for c in "Sentence" for id in t.encode(c)]
    assert t.decode(spelled) == "Sentence"
    assert t.encode("Sentence") != spelled
    t.save(tmp_path / "tokenizer")
    end = [t.vocab.eod]
    np.array([*spelled, *end, *t.encode("music"), *end, *end, *t.encode("no end")], dtype="<u2").tofile(tmp_path / "a.bin")
    words = ("--out", tmp_path / "c", "--tokenizer", tmp_path / "tokenizer", "--held-out", 0, "--json")
    answer = json.loads(run("prepare", tmp_path / "a.bin", *words).out)
    assert (answer["data"]["tally"]["documents"], answer["data"]["tally"]["empty"], answer["data"]["tally"]["changed"]) == (3, 1, 1)
    assert any("read as token ids" in w for w in answer["warnings"])


def test_a_stream_without_ends_is_one_document(tmp_path, monkeypatch):
    from maskdial.data import load

    t = load("bytes")
    np.array([*b"one text " * 40000], dtype="<u2").tofile(tmp_path / "a.bin")
    found = list(read(str(tmp_path / "a.bin"), Reader(tokenizer=t)))
    assert [d.text for d in found] == ["one text " * 40000]
    (tmp_path / "folder").mkdir()
    shutil.copy(tmp_path / "a.bin", tmp_path / "folder")
    with pytest.raises(UserError, match="holds no text"):
        list(read(str(tmp_path / "folder"), Reader(tokenizer=t)))


def test_files_of_ids_that_can_t_be(corpus, tmp_path):
    (tmp_path / "odd.bin").write_bytes(b"abc")
    np.array([5, 6, 7, 50_256, 8], dtype="<u2").tofile(tmp_path / "far.bin")
    for name, message in (("odd.bin", "odd number of bytes"), ("far.bin", r"far\.bin: token 3 is id 50,256, but the tokenizer has 546")):
        with pytest.raises(UserError, match=message) as caught:
            prepare(str(tmp_path / name), tmp_path / "c", tokenizer=str(corpus.folder / "tokenizer"), progress="off")
        assert caught.value.exit == 2
        assert not (tmp_path / "c").exists()
    for tokenizer in (None, "words"):
        with pytest.raises(UserError, match="token ids, not text") as caught:
            prepare(str(tmp_path / "far.bin"), tmp_path / "c", tokenizer=tokenizer, progress="off")
        assert "--tokenizer" in caught.value.hint


def test_more_ids_than_nanogpt_has_are_refused(corpus, tmp_path, monkeypatch):
    from dataclasses import replace

    monkeypatch.setattr(corpus.tokenizer, "vocab", replace(corpus.vocab, size=66_000))
    with pytest.raises(UserError, match="66,000 ids") as caught:
        nanogpt.export(corpus, tmp_path)
    assert caught.value.exit == 4


def test_the_command_exports_what_it_made_or_what_is_there(run, text_file, tmp_path):  # noqa: F811
    words = ("prepare", text_file, "--out", tmp_path / "c", "--tokenizer", "bytes")
    first = json.loads(run(*words, "--export", f"nanogpt={tmp_path / 'n'}", "--json").out)["data"]["exported"]
    assert first == {"nanogpt": [str(tmp_path / "n" / name) for name in ("train.bin", "val.bin", "meta.pkl", "tokenizer")]}
    said = run("prepare", "--out", tmp_path / "c", "--export", f"nanogpt={tmp_path / 'm'}").out
    assert str(tmp_path / "m" / "val.bin") in said
    assert (tmp_path / "n" / "train.bin").read_bytes() == (tmp_path / "m" / "train.bin").read_bytes()
    with pytest.raises(UserError, match="there already") as caught:
        run("prepare", "--out", tmp_path / "c", "--export", f"nanogpt={tmp_path / 'm'}")
    assert caught.value.exit == 4
    with pytest.raises(UserError, match="no prepared corpus"):
        run("prepare", "--out", tmp_path / "none", "--export", f"nanogpt={tmp_path / 'o'}")


def test_no_pickle_is_read(exported, tmp_path):
    """A folder of nanoGPT's is read without its `meta.pkl`, whatever that would do."""
    copy = tmp_path / "n"
    shutil.copytree(exported, copy)
    (copy / "meta.pkl").write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "harm").encode() + b"'\ntR.")
    prepare(str(copy / "val.bin"), tmp_path / "c", tokenizer=str(copy / "tokenizer"), progress="off")
    assert not (tmp_path / "harm").exists()


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    library = pytest.importorskip("datasets", reason="datasets is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        library.disable_progress_bars()
        yield library


def test_datasets_open_what_was_exported_and_it_comes_back(corpus, tmp_path, datasets):
    from maskdial.interop import datasets as guest

    (tmp_path / "d").mkdir()
    guest.export(corpus, tmp_path / "d")
    loaded = datasets.load_from_disk(str(tmp_path / "d"))
    assert {name: len(part) for name, part in loaded.items()} == {"train": len(corpus.train), "validation": len(corpus.held_out)}
    assert loaded["train"]["text"][:] == texts(corpus.train)
    assert loaded["train"]["input_ids"][:] == ids(corpus.train)
    assert loaded["train"].column_names == ["text", "input_ids", "label", "title", "language"]
    with pytest.raises(UserError, match="splits: train, validation") as caught:
        list(read(str(tmp_path / "d")))
    assert "SPLIT" in caught.value.hint
    back = list(read(str(tmp_path / "d" / "train")))
    assert [d.text for d in back] == texts(corpus.train)
    assert [(d.label, d.title) for d in back] == [(corpus.train.label(i), corpus.train.title(i)) for i in range(len(corpus.train))]


def test_supervised_corpora_tell_what_answers(tmp_path, datasets):
    from maskdial.interop import datasets as guest

    path = write_jsonl(tmp_path / "a.jsonl", [{"prompt": "ab", "completion": "cde"}])
    c = prepare(str(path), tmp_path / "c", tokenizer="bytes", held_out=0, progress="off")
    (tmp_path / "d").mkdir()
    guest.export(c, tmp_path / "d")
    (row,) = datasets.load_from_disk(str(tmp_path / "d"))["train"]
    assert (row["input_ids"], row["completion_mask"], row["label"]) == ([*b"abcde"], [0, 0, 1, 1, 1], None)


def test_a_saved_dataset_is_read_without_what_is_cached_beside_it(tmp_path, datasets):
    rows = {"text": [f"text {i}" for i in range(50)], "label": [i % 3 for i in range(50)]}
    table = datasets.Dataset.from_dict(rows).select(range(10, 40))
    table.save_to_disk(str(tmp_path / "d"), num_shards=3)
    again = datasets.load_from_disk(str(tmp_path / "d"))
    again.map(lambda r: {"text": "cached " + r["text"]})
    assert any(p.name.startswith("cache-") for p in (tmp_path / "d").iterdir())
    assert [d.text for d in read(str(tmp_path / "d"))] == rows["text"][10:40]
    assert [d.label for d in read(str(tmp_path / "d"))] == [str(x) for x in rows["label"][10:40]]
    (tmp_path / "d" / "data-00001-of-00003.arrow").unlink()
    with pytest.raises(UserError, match=r"data-00001-of-00003\.arrow is missing"):
        list(read(str(tmp_path / "d")))
    (tmp_path / "d" / "state.json").write_text("{}")
    with pytest.raises(UserError, match="does not list"):
        list(read(str(tmp_path / "d")))
    state = {"_data_files": [{"filename": "../../data-00000-of-00003.arrow"}], "_indices_data_files": [{"filename": "x"}]}
    (tmp_path / "d" / "state.json").write_text(json.dumps(state))
    with pytest.raises(UserError, match="selection of rows"):
        list(read(str(tmp_path / "d")))


def test_what_load_dataset_finds_is_prepared(tmp_path, datasets):
    """`hf:` takes whatever the library loads; here a folder, since nothing is fetched in tests."""
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data" / "train.jsonl", [{"text": f"text number {i}", "label": "x"} for i in range(30)])
    write_jsonl(tmp_path / "data" / "test.jsonl", [{"text": "held"}])
    c = prepare(f"hf:{tmp_path / 'data'}", tmp_path / "c", tokenizer="bytes", held_out=0, progress="off")
    assert texts(c.train) == [f"text number {i}" for i in range(30)]
    assert len(c.manifest["sources"][0]["sha256"]) == 64
    assert [d.text for d in read(f"hf:{tmp_path / 'data'}@test")] == ["held"]
    with pytest.raises(UserError, match="part of a split"):
        list(read(f"hf:{tmp_path / 'data'}@train[:5]"))
    with pytest.raises(UserError, match="can't be loaded"):
        list(read(f"hf:{tmp_path / 'data'}@none"))


def test_the_library_is_only_needed_when_it_is_asked_for(corpus, tmp_path, monkeypatch):
    import sys

    from maskdial.interop import datasets as guest

    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="needs the datasets library"):
        guest.export(corpus, tmp_path)


def test_a_special_token_in_a_stream_of_ids_becomes_text(tmp_path):
    """Only the end-of-document id is taken for what it means; another special id is spelled, and its text encoded as text."""
    from maskdial.data.tokenizer import Tokenizer

    t = Tokenizer(merged(), "merged")
    t.grow("eod")
    t.save(tmp_path / "t")
    special = t.id_of("<s>")
    np.array([special, *t.encode("a b"), t.vocab.eod], dtype="<u2").tofile(tmp_path / "a.bin")
    c = prepare(str(tmp_path / "a.bin"), tmp_path / "c", tokenizer=str(tmp_path / "t"), held_out=0, progress="off")
    assert special not in c.train.document(0)
    assert c.train.text(0) == "<s>a b"
    assert (c.manifest["tally"]["changed"], c.manifest["tally"]["spelled"]) == (1, 1)
