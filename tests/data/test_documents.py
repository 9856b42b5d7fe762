"""What is read from files, in whatever state they are."""

import csv
import gzip
import json
import sys
import types

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from maskdial.data import prepare, read
from maskdial.data.documents import Walk
from maskdial.data.files import expand
from maskdial.data.reader import Reader
from maskdial.errors import UserError

from .conftest import write_jsonl


def write_arrow(path, columns, rows=None, footer=False):
    table = pa.table(columns)
    make = pa.ipc.new_file if footer else pa.ipc.new_stream
    with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=rows)


def texts(path, **options):
    reader = Reader(**options)
    return [d.text for d in read(str(path), reader)], reader.tally


def test_a_blank_line_ends_a_document(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\n\none\ntwo\r\n \t\r\nthree\n\n\n\nfour")
    assert texts(path)[0] == ["one\ntwo\r\n", "three\n", "four"]


def test_every_format_gives_the_same_documents(tmp_path):
    wanted = ["first, \"quoted\"\nwith two lines", "zweites Dokument – ünï", "第三"]
    write_jsonl(tmp_path / "a.jsonl", [{"text": t, "label": i, "title": f"t{i}"} for i, t in enumerate(wanted)])
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["label", "text", "title"], *([i, t, f"t{i}"] for i, t in enumerate(wanted))])
    pq.write_table(pa.table({"text": wanted, "label": [0, 1, 2], "title": ["t0", "t1", "t2"]}), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        data = (tmp_path / name).read_bytes()
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
        (tmp_path / f"{name}.zst").write_bytes(zstandard.compress(data[:50]) + zstandard.compress(data[50:]))
        for packed in ("", ".gz", ".zst"):
            found = list(read(str(tmp_path / (name + packed))))
            assert [d.text for d in found] == wanted, name + packed
            assert [d.label for d in found] == ["0", "1", "2"]
            assert [d.title for d in found] == ["t0", "t1", "t2"]


def test_folders_and_globs_are_read_in_a_fixed_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/2.txt", "a.txt", "c.md", ".hidden.txt", "b/skip.bin"):
        (tmp_path / name).write_text(f"text of {name}")
    assert texts(tmp_path)[0] == ["text of a.txt", "text of b/2.txt", "text of c.md"]
    assert texts(tmp_path / "**" / "*.txt")[0] == ["text of a.txt", "text of b/2.txt"]


def test_one_bad_byte_costs_at_most_its_document(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"good one\n\nbad \xff byte\n\ngood two\n")
    (tmp_path / "a.jsonl").write_bytes(b'{"text": "good one"}\n{"text": "bad \xff byte"}\n{"text": "good two"}\n')
    (tmp_path / "a.csv").write_bytes(b'text,n\ngood one,1\n"bad \xff byte",2\ngood two,3\n')
    raw = pa.array([b"good one", b"bad \xff byte", b"good two"])
    pq.write_table(pa.table({"text": raw}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": raw.view(pa.string())}), tmp_path / "b.parquet")
    for name in ("a.txt", "a.jsonl", "a.csv", "a.parquet", "b.parquet"):
        found, tally = texts(tmp_path / name)
        assert [t.strip() for t in found] == ["good one", "bad \ufffd byte", "good two"], name
        assert (tally.documents, tally.replaced) == (3, 1)
        found, tally = texts(tmp_path / name, errors="drop")
        assert [t.strip() for t in found] == ["good one", "good two"]
        assert (tally.documents, tally.dropped) == (2, 1)
        with pytest.raises(UserError, match="UTF-8"):
            texts(tmp_path / name, errors="error")


def test_what_is_no_surrogate_pair_is_replaced(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "lone \\ud800 end"}\n{"text": "pair \\ud83d\\ude00"}\n')
    found, tally = texts(tmp_path / "a.jsonl")
    assert found[1] == "pair 😀"
    assert found[0].startswith("lone \ufffd")
    assert tally.replaced == 1


def test_strange_characters_are_kept(tmp_path):
    odd = "\ufeffbom nul\x00 ls\u2028ps\u2029 nel\x85 ff\x0c esc\x1b vt\x0b cr\r end"
    write_jsonl(tmp_path / "a.jsonl", [{"text": odd}, {"text": "next"}])
    assert texts(tmp_path / "a.jsonl")[0] == [odd, "next"]
    (tmp_path / "a.txt").write_text(odd + "\n\nnext", encoding="utf-8", newline="")
    assert texts(tmp_path / "a.txt")[0] == [odd + "\n", "next"]


def test_a_byte_order_mark_before_json_or_a_header_is_no_text(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "one"}\n')
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbftext,label\none,x\n")
    assert texts(tmp_path / "a.jsonl")[0] == texts(tmp_path / "a.csv")[0] == ["one"]


def test_bad_records_are_skipped_and_counted(tmp_path):
    lines = ['{"text": "one"}', "{broken", "[1, 2]", '{"other": "x"}', '{"text": 5}', '{"text": null}', '{"text": "  "}', "", "[" * 10000]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    found, tally = texts(tmp_path / "a.jsonl")
    assert found == ["one"]
    assert (tally.documents, tally.malformed, tally.empty) == (1, 5, 2)
    with pytest.raises(UserError, match=r"a\.jsonl:2"):
        texts(tmp_path / "a.jsonl", errors="error")


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_a_missing_column_names_those_found(tmp_path, name):
    record = {"body": "one", "label": "x"}
    if name.endswith("jsonl"):
        write_jsonl(tmp_path / name, [record])
    elif name.endswith("csv"):
        (tmp_path / name).write_text("body,label\none,x\n")
    else:
        pq.write_table(pa.table({k: [v] for k, v in record.items()}), tmp_path / name)
    with pytest.raises(UserError, match="body, label") as caught:
        texts(tmp_path / name)
    assert "--text-column" in caught.value.hint
    assert texts(tmp_path / name, text_column="body")[0] == ["one"]


def test_a_fifty_megabyte_line_is_one_document(tmp_path):
    text = "word " * 2_000_000
    (tmp_path / "a.txt").write_text(text)
    found, tally = texts(tmp_path / "a.txt")
    assert found == [text]
    assert tally.documents == 1


def test_paths_that_are_no_text(tmp_path):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "photo.png").write_bytes(b"x")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "wide.txt").write_bytes("two bytes".encode("utf-16"))
    for path, message in {
        "missing.txt": "there is no", "empty.txt": "empty", "photo.png": "no format", "nothing": "no text", "*.csv": "no file matches",
        "wide.txt": "UTF-16",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=message) as caught:
            texts(tmp_path / path)
        assert caught.value.exit == 2
        assert caught.value.hint


def test_truncated_packed_files_are_named(tmp_path):
    data = json.dumps({"text": "x" * 10000}).encode() + b"\n"
    noise = b"".join(json.dumps({"text": str(i * 2654435761 % 2**32)}).encode() + b"\n" for i in range(20000))
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(data + noise)[:-2000])
    (tmp_path / "a.jsonl.zst").write_bytes(zstandard.compress(data + noise)[:-2000])
    (tmp_path / "b.jsonl.gz").write_bytes(b"not gzip at all")
    (tmp_path / "b.jsonl.zst").write_bytes(b"not zstd at all")
    (tmp_path / "b.parquet").write_bytes(b"not parquet at all")
    for name in ("a.jsonl.gz", "a.jsonl.zst", "b.jsonl.gz", "b.jsonl.zst", "b.parquet"):
        with pytest.raises(UserError, match=name.split(".")[0]) as caught:
            texts(tmp_path / name)
        assert name in caught.value.message


def test_a_corpus_with_nothing_left_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text(" \n\n\t\n")
    with pytest.raises(UserError, match="no document is left") as caught:
        prepare(str(tmp_path / "a.txt"), tmp_path / "out", progress="off")
    assert caught.value.exit == 2
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_the_hub_needs_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match="datasets library") as caught:
        list(read("hf:some/name"))
    assert "maskdial[hf]" in caught.value.hint


def test_the_hub_through_its_library(monkeypatch, tmp_path):
    asked = []

    class Table:
        cache_files = ({"filename": str(tmp_path / "0.arrow")}, {"filename": str(tmp_path / "1.arrow")})

        def __len__(self):
            return 3

    for n, texts_ in enumerate((["one", ""], ["three"])):
        write_arrow(tmp_path / f"{n}.arrow", {"text": texts_, "label": [n] * len(texts_)})

    def load_dataset(path, split, keep_in_memory):
        asked.append((path, split, keep_in_memory))
        return Table()

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    found = list(read("hf:some/name@test"))
    assert [(d.text, d.label, d.source) for d in found] == [
        ("one", "0", "hf:some/name@test/00000"), ("three", "1", "hf:some/name@test/00001"),
    ]  # fmt: skip
    assert asked == [("some/name", "test", False)]
    Table.cache_files = Table.cache_files[:1]
    with pytest.raises(UserError, match="part of a split"):
        list(read("hf:some/name@train[:2]"))


def test_arrow_files_of_both_kinds_are_read(tmp_path):
    wanted = [f"text {i}" for i in range(700)]
    write_arrow(tmp_path / "a.arrow", {"text": wanted, "title": wanted}, rows=300)
    write_arrow(tmp_path / "b.arrow", {"text": wanted, "title": wanted}, rows=300, footer=True)
    (tmp_path / "c.arrow.gz").write_bytes(gzip.compress((tmp_path / "a.arrow").read_bytes()))
    for name in ("a.arrow", "b.arrow", "c.arrow.gz"):
        assert [(d.text, d.title) for d in read(str(tmp_path / name))] == [(t, t) for t in wanted], name
    (tmp_path / "d.arrow").write_bytes((tmp_path / "a.arrow").read_bytes()[:-3000])
    (tmp_path / "e.arrow").write_bytes(b"not arrow at all")
    for name in ("d.arrow", "e.arrow"):
        with pytest.raises(UserError, match=name):
            texts(tmp_path / name)


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv", "a.parquet", "a.arrow", "a.jsonl.gz"])
def test_a_piece_of_a_file_is_what_stands_there(tmp_path, name):
    """Wherever a piece begins and ends, read on from another piece or anew."""
    wanted = [f"text {i}" if i % 7 else " " for i in range(1000)]
    if name == "a.txt":
        (tmp_path / name).write_text("\n\n".join(f"text {i}" for i in range(1000)))
        wanted = [f"text {i}" for i in range(1000)]
    elif name == "a.csv":
        with (tmp_path / name).open("w", newline="") as file:
            csv.writer(file).writerows([["text"], *([t] for t in wanted)])
    elif name == "a.parquet":
        pq.write_table(pa.table({"text": wanted}), tmp_path / name, row_group_size=90)
    elif name == "a.arrow":
        write_arrow(tmp_path / name, {"text": wanted}, rows=90)
    else:
        data = "".join(json.dumps({"text": t}) + "\n" for t in wanted).encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    (file,) = expand(str(tmp_path / name))
    pieces = [(0, 100), (100, 101), (101, 350), (350, 350), (640, 900), (20, 25), (899, None), (999, None), (1000, None)]
    walk = Walk(Reader())
    for first, stop in pieces:
        found = [(n, d.text.strip()) for n, d in walk.documents(file, first, stop)]
        assert found == [(n, t) for n, t in enumerate(wanted[:stop]) if n >= first and t.strip()], (first, stop)


def test_pydocs_is_the_documentation_of_this_python():
    from maskdial.data import pydocs

    found = pydocs()
    assert 3000 < len(found) < 7000
    assert 1_200_000 < sum(len(d.text.encode()) for d in found) < 3_500_000
    assert len({d.text for d in found}) == len(found)
    labels = {d.label for d in found}
    assert {"language", "asyncio", "json", "email"} <= labels
    assert not labels & {"test", "site-packages"}
    assert next(d for d in found if d.title == "json.dumps").text.startswith("Serialize ``obj`` to a JSON formatted")


def test_pydocs_runs_no_module():
    import subprocess

    loud = ("antigravity", "tkinter", "turtle", "idlelib")
    code = f"import sys, maskdial.data.embedded as e; e.pydocs(); print([m for m in {loud} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
