"""Corpus folders: whole or not there, the same to the byte, never with held-out text in training."""

import json
import os
import shutil

import numpy as np
import pytest

from maskdial.data import Corpus, load, open_or_prepare, prepare, read, verify
from maskdial.data import build as building
from maskdial.data.options import default_vocab_size
from maskdial.data.storage import read_manifest
from maskdial.errors import UserError

from .conftest import SHARED, needs_languages, write_jsonl


def test_documents_come_back_as_they_were(corpus, records):
    assert corpus.name == "small"
    found = {}
    for part in (corpus.train, corpus.held_out):
        for i in range(part.num_documents):
            assert part.num_bytes(i) == len(part.text(i).encode())
            found[part.text(i)] = (part.label(i), part.title(i))
    assert found == {r["text"]: (r["label"], r["title"]) for r in records}
    assert corpus.train.total_bytes + corpus.held_out.total_bytes == sum(len(r["text"].encode()) for r in records)
    with pytest.raises(IndexError):
        corpus.train.document(corpus.train.num_documents)


def test_stored_columns_are_the_tokenizer_s(corpus):
    for i in (0, 5, corpus.train.num_documents - 1):
        c = corpus.tokenizer.encode_columns(corpus.train.text(i))
        word, sentence = corpus.train.columns(i)
        assert np.array_equal(corpus.train.document(i), c.ids)
        assert np.array_equal(word, c.word)
        assert np.array_equal(sentence, c.sentence)
        assert sentence.sum() >= 2


def test_one_end_of_document_follows_each_document(corpus):
    part, eod = corpus.train, corpus.vocab.eod
    stream = part.shards[0].tokens.raw
    assert part.num_tokens == len(stream) == sum(len(part.document(i)) + 1 for i in range(part.num_documents))
    assert (stream == eod).sum() == part.num_documents
    assert not set(np.unique(stream).tolist()) & (corpus.vocab.special - {eod})


def test_no_held_out_text_is_in_training(corpus):
    held, train = ({p.text(i) for i in range(p.num_documents)} for p in (corpus.held_out, corpus.train))
    assert not held & train
    assert 25 <= len(held) <= 75, "a fifth of 240, give or take"


def test_a_document_s_side_depends_on_its_text_alone(corpus, records, tmp_path):
    shuffled = [*records[::-1], *records[:50], {"text": "a new one"}]
    other = prepare(str(write_jsonl(tmp_path / "b.jsonl", shuffled)), tmp_path / "b", tokenizer="bytes", held_out=0.2, progress="off")
    held = {other.held_out.text(i) for i in range(other.held_out.num_documents)} - {"a new one"}
    assert held == {corpus.held_out.text(i) for i in range(corpus.held_out.num_documents)}
    assert not held & {other.train.text(i) for i in range(other.train.num_documents)}


def test_the_tokenizer_never_saw_the_held_out_text(corpus, records, tmp_path):
    held = {corpus.held_out.text(i) for i in range(corpus.held_out.num_documents)}
    only = write_jsonl(tmp_path / "train.jsonl", [r for r in records if r["text"] not in held])
    other = prepare(str(only), tmp_path / "o", vocab_size=400, held_out=0, progress="off")
    assert other.tokenizer.sha256 == corpus.tokenizer.sha256
    assert other.held_out.num_documents == 0


@pytest.mark.parametrize("count", [2, 3, 5])
def test_a_few_documents_leave_something_on_both_sides(tmp_path, count):
    for share in (0.01, 0.99):
        path = write_jsonl(tmp_path / "few.jsonl", [{"text": f"document number {i} of these"} for i in range(count)] * 2)
        c = prepare(str(path), tmp_path / f"c{share}", tokenizer="bytes", held_out=share, progress="off")
        held, train = ({p.text(i) for i in range(p.num_documents)} for p in (c.held_out, c.train))
        assert held
        assert train
        assert not held & train


def test_of_a_few_documents_the_one_of_the_wanted_size_is_held_out(tmp_path):
    sizes = [4000, 9000, 300, 700]
    path = write_jsonl(tmp_path / "few.jsonl", [{"text": str(i) * n} for i, n in enumerate(sizes)])
    c = prepare(str(path), tmp_path / "c", tokenizer="bytes", held_out=0.05, progress="off")
    assert [c.held_out.num_bytes(i) for i in range(len(c.held_out))] == [700]


def test_a_single_document_gives_its_tail(tmp_path):
    text = " ".join(f"word{i}" for i in range(1000))
    path = write_jsonl(tmp_path / "one.jsonl", [{"text": text}] * 2)
    c = prepare(str(path), tmp_path / "c", tokenizer="bytes", held_out=0.1, progress="off")
    assert c.train.text(0) + c.held_out.text(0) == text
    assert len(c.held_out.text(0)) == pytest.approx(0.1 * len(text), rel=0.02)
    tiny = prepare(str(write_jsonl(tmp_path / "tiny.jsonl", [{"text": "x"}])), tmp_path / "t", tokenizer="bytes", progress="off")
    assert (tiny.train.text(0), tiny.held_out.num_documents) == ("x", 0)


def test_preparing_again_changes_no_byte(corpus, text_file, tmp_path, folder_of):
    again = prepare(str(text_file), tmp_path / "again", vocab_size=400, held_out=0.2, progress="off")
    assert folder_of(again.folder) == folder_of(corpus.folder)
    assert again.fingerprint == corpus.fingerprint
    before = {p: p.stat().st_mtime_ns for p in again.folder.rglob("*")}
    prepare(str(text_file), tmp_path / "again", vocab_size=400, held_out=0.2, progress="off")
    assert {p: p.stat().st_mtime_ns for p in again.folder.rglob("*")} == before, "what matches is reused"


def test_another_corpus_is_not_overwritten_unasked(text_file, tmp_path, folder_of):
    out = tmp_path / "c"
    prepare(str(text_file), out, tokenizer="bytes", progress="off")
    before = folder_of(out)
    with pytest.raises(UserError, match=r"held_out was 0\.05, now 0\.5") as caught:
        prepare(str(text_file), out, tokenizer="bytes", held_out=0.5, progress="off")
    assert caught.value.exit == 4
    assert folder_of(out) == before
    other = prepare(str(text_file), out, tokenizer="bytes", held_out=0.5, overwrite=True, progress="off")
    assert other.held_out.num_documents > 60
    assert verify(out) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(UserError, match=r"thesis\.txt"):
            prepare(str(text_file), tmp_path / "mine", overwrite=overwrite, progress="off")


def test_two_at_once_don_t_write_one_shard(text_file, tmp_path):
    with building._workspace(tmp_path / "c", 0), pytest.raises(UserError, match="another prepare") as caught:
        prepare(str(text_file), tmp_path / "c", progress="off")
    assert caught.value.exit == 4


@pytest.mark.parametrize("name", ["held-out-00000.bin", *(f"shard-00000.{s}" for s in ("bin", "word", "sent", "label", "bytes"))])
def test_a_flipped_byte_is_found_and_named(corpus, tmp_path, name):
    shutil.copytree(corpus.folder, tmp_path / "c")
    path = tmp_path / "c" / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (problem,) = verify(tmp_path / "c")
    assert name in problem
    assert "block 0" in problem
    broken = Corpus.open(tmp_path / "c")
    part = broken.train if name.startswith("shard") else broken.held_out
    look = lambda i: (part.document(i), part.columns(i), part.label(i), part.num_bytes(i))  # noqa: E731
    with pytest.raises(UserError, match="block 0") as caught:
        look(0)
    assert name in caught.value.message
    assert caught.value.exit == 1


def test_the_damaged_block_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("maskdial.data.storage.BLOCK", 1024)
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": f"{i:04d} " * 200} for i in range(20)])
    c = prepare(str(path), tmp_path / "c", tokenizer="bytes", progress="off")
    file = c.folder / "shard-00000.bin"
    data = bytearray(file.read_bytes())
    data[5 * 1024 + 3] ^= 64
    file.write_bytes(data)
    assert [p for p in verify(c.folder) if "block 5" in p]
    broken = Corpus.open(c.folder)
    broken.rows(64, 0, 8, seed=0, shuffle=False)  # these lie before the damage
    with pytest.raises(UserError, match="block 5"):
        broken.rows(64, 32, 20, seed=0, shuffle=False)


def test_damage_is_refused_at_open(corpus, tmp_path):
    def broken(change):
        shutil.rmtree(tmp_path / "c", ignore_errors=True)
        shutil.copytree(corpus.folder, tmp_path / "c")
        change(tmp_path / "c")
        with pytest.raises(UserError) as caught:
            Corpus.open(tmp_path / "c")
        return caught.value.message

    def edit(key, value):
        def change(folder):
            manifest = json.loads((folder / "manifest.json").read_text())
            home = manifest["tokenizer"] if key in manifest["tokenizer"] else manifest
            home[key] = value
            (folder / "manifest.json").write_text(json.dumps(manifest))

        return change

    cut = lambda name: lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - 2)  # noqa: E731
    assert "shard-00000.bin" in broken(cut("shard-00000.bin"))
    assert "held-out-00000.idx" in broken(cut("held-out-00000.idx"))
    assert "missing" in broken(lambda f: (f / "shard-00000.sent").unlink())
    assert "tokenizer" in broken(lambda f: load("bytes").save(f / "tokenizer"))
    assert "no manifest" in broken(lambda f: (f / "manifest.json").write_text("{"))
    assert "format" in broken(edit("format", "maskdial-corpus/9"))
    assert "does not fit" in broken(edit("dtype", "<u4")) or "disagree" in broken(edit("dtype", "<u4"))
    assert "largest id 70,000" in broken(edit("largest_id", 70_000))


def test_text_that_spells_special_tokens_is_counted(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a [MASK] and <extra_id_0></s> here"}, {"text": "plain"}, {"text": " "}])
    c = prepare(str(path), tmp_path / "c", vocab_size=256, progress="off")
    assert c.manifest["tally"] == {"documents": 2, "empty": 1, "malformed": 0, "replaced": 0, "dropped": 0, "spelled": 3,
                                   "unanswered": 0, "long": 0, "silent": 0, "merged": 0, "changed": 0, "duplicates": 0}  # fmt: skip


def test_large_vocabularies_take_four_bytes(tmp_path):
    from tokenizers import Tokenizer as Engine
    from tokenizers import models, pre_tokenizers

    engine = Engine(models.WordLevel({f"w{i}": i for i in range(70_000)}, unk_token="w0"))
    engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    engine.save(str(tmp_path / "tokenizer.json"))
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "w69999 w7"}, {"text": "w65536"}])
    c = prepare(str(path), tmp_path / "c", tokenizer=str(tmp_path / "tokenizer.json"), held_out=0, progress="off")
    assert c.manifest["dtype"] == "<u4"
    assert [c.train.document(i).tolist() for i in range(2)] == [[69999, 7], [65536]]


def test_a_given_tokenizer_is_grown_only_when_asked(tmp_path):
    from tokenizers import Tokenizer as Engine
    from tokenizers import models, pre_tokenizers

    engine = Engine(models.WordLevel({"some": 0, "words": 1, "[UNK]": 2}, unk_token="[UNK]"))
    engine.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    engine.save(str(tmp_path / "tokenizer.json"))
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "some words"}, {"text": "words some"}])
    plain = prepare(str(path), tmp_path / "c", tokenizer=str(tmp_path / "tokenizer.json"), progress="off")
    assert plain.manifest["tokenizer"]["added"] == {"<|endoftext|>": 3}
    grown = prepare(str(path), tmp_path / "g", tokenizer=str(tmp_path / "tokenizer.json"), grow=["mask", "pad"], progress="off")
    assert grown.manifest["tokenizer"]["added"] == {"[MASK]": 3, "[PAD]": 4, "<|endoftext|>": 5}
    assert (grown.vocab.mask, grown.vocab.eod) == (3, 5)


def test_open_or_prepare_takes_anything_and_remembers(corpus, text_file, tmp_path, monkeypatch):
    monkeypatch.setenv("MASKDIAL_CACHE", str(tmp_path / "cache"))
    assert open_or_prepare(corpus.folder).fingerprint == corpus.fingerprint
    first = open_or_prepare(str(text_file), progress="off", tokenizer="bytes")
    assert first.folder.parent == tmp_path / "cache" / "corpora"
    monkeypatch.setattr("maskdial.data.cache.prepare", None)  # the second time nothing is made
    assert open_or_prepare(str(text_file), tokenizer="bytes").fingerprint == first.fingerprint
    monkeypatch.undo()
    monkeypatch.setenv("MASKDIAL_CACHE", str(tmp_path / "cache"))
    moved = tmp_path / "elsewhere" / text_file.name
    moved.parent.mkdir()
    shutil.copy(text_file, moved)
    assert open_or_prepare(moved, tokenizer="bytes").folder == first.folder, "content names it, not its place"
    (first.folder / "shard-00000.bin").write_bytes(b"")
    assert open_or_prepare(moved, progress="off", tokenizer="bytes").fingerprint == first.fingerprint, "a damaged one is made again"
    moved.write_text(moved.read_text() + '{"text": "more"}\n')
    assert open_or_prepare(moved, progress="off", tokenizer="bytes").folder != first.folder
    with pytest.raises(UserError, match="prepared already"):
        open_or_prepare(corpus.folder, vocab_size=300)
    with pytest.raises(UserError, match="there is no"):
        open_or_prepare(tmp_path / "missing.txt")


def test_pydocs_is_found_in_the_cache_without_reading_it(tmp_path, monkeypatch):
    from maskdial.data import embedded

    monkeypatch.setattr(embedded, "_docstrings", lambda: iter(()))  # the topics alone: quick
    embedded.pydocs.cache_clear()
    first = open_or_prepare("pydocs", cache=tmp_path, progress="off", tokenizer="bytes")
    assert first.name == "pydocs"
    assert first.manifest["sources"] == [{"name": "pydocs", "sha256": embedded.fingerprint()}]
    embedded.pydocs.cache_clear()
    monkeypatch.setattr(embedded, "_topics", None)
    assert open_or_prepare("pydocs", cache=tmp_path, tokenizer="bytes").fingerprint == first.fingerprint


@pytest.mark.parametrize(("size", "wanted"), [(0, 512), (10_000, 512), (2_030_000, 2048), (16_000_000, 16384), (10**12, 32768)])
def test_the_default_vocabulary_follows_the_text(size, wanted):
    assert default_vocab_size(size) == wanted


@pytest.mark.parametrize(("options", "message"), [
    ({"held_out": 1.0}, "share"), ({"errors": "ignore"}, "replace, drop"), ({"tokenizer": "bytes", "vocab_size": 300}, "one was given"),
    ({"vocab_size": 10}, "256"), ({"tokenizer": "/none"}, "no tokenizer"),
])  # fmt: skip
def test_options_that_can_t_be(text_file, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as caught:
        prepare(str(text_file), tmp_path / "c", progress="off", **options)
    assert caught.value.exit == 2
    assert not (tmp_path / "c").exists()


def test_an_out_that_is_a_file_or_can_t_be_made(text_file, tmp_path):
    (tmp_path / "f").write_text("x")
    for out in (tmp_path / "f", tmp_path / "f" / "below"):
        with pytest.raises(UserError, match="f"):
            prepare(str(text_file), out, progress="off")
    with pytest.raises(UserError, match="no prepared corpus"):
        read_manifest(tmp_path)


@needs_languages
def test_real_text_in_many_languages_comes_back(tmp_path):
    records = [d for n, d in enumerate(read(str(SHARED / "multilingual.jsonl.gz"))) if n % 10 == 0]
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": d.text, "label": d.label} for d in records])
    c = prepare(str(path), tmp_path / "c", vocab_size=512, held_out=0, progress="off")
    assert [c.train.text(i) for i in range(len(c.train))] == [d.text for d in records]
    assert [c.train.label(i) for i in range(len(c.train))] == [d.label for d in records]
    assert all(c.train.columns(i)[0].sum() >= c.train.columns(i)[1].sum() >= 1 for i in range(len(c.train)))
