"""Text in any state: what is read is kept or counted, comes back as it was, and takes bounded memory."""

import gzip
import json
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskdial.data import prepare, read
from maskdial.data.reader import Reader
from maskdial.errors import UserError

from .conftest import write_jsonl
from .test_tokenizer import hostile_text

ODD = "\ufeffbom nul\x00 ls\u2028ps\u2029 nel\x85 ff\x0c esc\x1b vt\x0b cr\r us\x1f [MASK]</s><extra_id_0><|endoftext|> \U0010fffe end"
REASONS = ("documents", "empty", "malformed", "dropped", "unanswered")

#: a line of a file that claims to be JSON lines, as bytes
value = hostile_text | st.none() | st.integers() | st.lists(st.text(max_size=2), max_size=2) | st.just("same") | st.text(max_size=5)
columns = st.sampled_from(["text", "prompt", "completion", "messages", "label", "title", "language", "x"])
record = st.dictionaries(columns, value, max_size=5)
turns = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool"]), "content": value}), max_size=3)
line = (
    st.builds(lambda r: json.dumps(r).encode(), record | st.fixed_dictionaries({"messages": turns}))
    | st.builds(lambda r, b: json.dumps({"text": r}, ensure_ascii=False).encode("utf-8", "surrogatepass")[:-3] + b + b'"}', hostile_text,
                st.binary(max_size=4))
    | st.binary(max_size=20)
)  # fmt: skip


@pytest.mark.parametrize("errors", ["replace", "drop"])
@given(lines=st.lists(line, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_goes_in_is_kept_or_counted(tmp_path, errors, lines):
    data = b'{"text": "first"}\n' + b"\n".join(line.replace(b"\n", b"") for line in lines) + b"\n"
    (tmp_path / "a.jsonl").write_bytes(data)
    reader = Reader(errors=errors)
    found = list(read(str(tmp_path / "a.jsonl"), reader))
    tally = reader.tally.to_json()
    wanted = sum(bool(line.strip(b" \t\r\v\f\n")) for line in data.split(b"\n"))
    assert sum(tally[reason] for reason in REASONS) == wanted
    assert len(found) == tally["documents"]
    assert all(d.text.strip() and d.text.encode() for d in found)
    assert tally["replaced"] <= tally["documents"]


@given(texts=st.lists(hostile_text.filter(str.strip) | st.just("same text"), min_size=2, max_size=6))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_corpus_holds_what_was_kept_and_no_reserved_id(tmp_path_factory, texts):
    home = tmp_path_factory.mktemp("h")
    path = write_jsonl(home / "a.jsonl", [{"text": t} for t in texts])
    c = prepare(str(path), home / "c", tokenizer="bytes", held_out=0, duplicates="drop", progress="off")
    assert [c.train.text(i) for i in range(len(c.train))] == list(dict.fromkeys(texts))
    tally = c.manifest["tally"]
    assert len(c.train) == tally["documents"] - tally["duplicates"] - tally["long"] - tally["silent"]
    assert not any(set(c.train.document(i).tolist()) & c.vocab.special for i in range(len(c.train)))


def test_strange_characters_come_through_every_format(tmp_path):
    import csv

    write_jsonl(tmp_path / "a.jsonl", [{"text": ODD, "title": ODD, "label": ODD}])
    with (tmp_path / "b.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text", "title", "label"], [ODD] * 3])
    pq.write_table(pa.table({name: [ODD] for name in ("text", "title", "label")}), tmp_path / "c.parquet")
    (tmp_path / "d.txt").write_text(ODD, encoding="utf-8", newline="")
    c = prepare(str(tmp_path), tmp_path / "out", vocab_size=300, held_out=0, progress="off")
    assert [c.train.text(i) for i in range(4)] == [ODD] * 4
    assert [(c.train.title(i), c.train.label(i)) for i in range(3)] == [(ODD, ODD)] * 3
    assert c.manifest["tally"]["spelled"] == 4 * 4
    assert not any(set(c.train.document(i).tolist()) & c.vocab.special for i in range(4))


def test_huge_documents_are_documents(tmp_path):
    texts = ["x" * 10**6, "é" * 10**5, "\n" * 10**5 + ".", "word " * 200_000, "“" * 50_000, "\x00" * 10**5, "日本" * 30_000, "another"]
    began = time.process_time()
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": t} for t in texts])
    c = prepare(str(path), tmp_path / "c", vocab_size=300, held_out=0, workers=1, progress="off")
    assert [c.train.text(i) for i in range(len(c.train))] == texts
    assert time.process_time() - began < 30, "minutes when words of any length went into training"


def damaged_files(home):
    noise = "".join(json.dumps({"text": f"{i * 2654435761 % 2**32} and {i * 40503 % 2**16}"}) + "\n" for i in range(20_000)).encode()
    table = pa.table({"text": [f"{i * 2654435761 % 2**32} and more" for i in range(20_000)]})
    pq.write_table(table, home / "whole.parquet", row_group_size=5000)
    parquet = (home / "whole.parquet").read_bytes()
    (home / "whole.parquet").unlink()
    return {
        "a.jsonl.gz": gzip.compress(noise)[:-2000], "b.jsonl.zst": zstandard.compress(noise)[:-2000], "c.parquet": parquet[:-1000],
        "d.parquet": parquet[: len(parquet) // 2] + bytes(2000) + parquet[len(parquet) // 2 + 2000 :],
        "e.parquet.gz": gzip.compress(parquet)[:-100], "f.parquet": parquet[:100] + b"\xff" * 300 + parquet[400:],
    }  # fmt: skip


def test_a_damaged_file_is_named_and_nothing_is_made(tmp_path):
    for name, data in damaged_files(tmp_path).items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError, match=name) as caught:
            prepare(str(tmp_path / name), tmp_path / "c", tokenizer="bytes", progress="off")
        assert caught.value.exit == 2, name
        assert caught.value.where, name
        assert not (tmp_path / "c").exists()


def test_file_names_of_any_bytes(tmp_path):
    import os

    folder = os.fsencode(tmp_path) + b"/in"
    os.mkdir(folder)
    for name in (b"\xff\xfe.txt", "ünï\u2028.txt".encode()):
        with open(folder + b"/" + name, "w") as file:
            file.write("some text")
    c = prepare(str(tmp_path / "in"), tmp_path / "c", tokenizer="bytes", held_out=0, progress="off")
    assert sorted(s["name"] for s in c.manifest["sources"]) == ["??.txt", "ünï\u2028.txt"]


PEAK = """
import re, sys
from pathlib import Path
from maskdial.data import prepare
prepare(sys.argv[1], sys.argv[2], tokenizer=sys.argv[3], workers=1, progress="off")
print(re.search("VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def write_text(path, size, first=0):
    """About `size` bytes in documents of 6 KB whose words are few, so that they are quickly encoded."""
    words = [f"{'abcdefghijklmnop'[i % 16 :]}{i}".ljust(13, "z") for i in range(500)]
    with path.open("w") as file:
        for n in range(first, first + size // 6300):
            text = " ".join(words[(n * (k + 1)) % 500] for k in range(450))
            file.write(json.dumps({"text": f"{n} {text}"}) + "\n")


def test_memory_does_not_grow_with_the_text(tmp_path, corpus):
    """10 MB more of text take less than half of it more memory."""
    peaks = []
    for size in (3_000_000, 13_000_000):
        path = tmp_path / f"{size}.jsonl"
        write_text(path, size)
        words = [sys.executable, "-c", PEAK, str(path), str(tmp_path / str(size)), str(corpus.folder / "tokenizer")]
        peaks.append(int(subprocess.run(words, capture_output=True, text=True, check=True).stdout) / 1024)
    assert peaks[1] - peaks[0] < 10 / 2, f"{peaks} MB"


@pytest.mark.slow
def test_two_gigabytes_fit_in_one_of_memory(tmp_path):
    """All processes together, tokenizer's training included."""
    import threading

    import psutil

    for n in range(8):
        write_text(tmp_path / f"{n}.jsonl", 250_000_000, n * 1_000_000)
    command = [sys.executable, "-m", "maskdial", "prepare", str(tmp_path), "--vocab-size", "4096", "--workers", "2", "--out",
               str(tmp_path / "c"), "--duplicates", "drop"]  # fmt: skip
    process, peak = psutil.Popen(command, stdout=subprocess.DEVNULL), 0

    def resident(one):
        try:
            return one.memory_info().rss
        except psutil.Error:
            return 0

    def watch():
        nonlocal peak
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            peak = max(peak, sum(map(resident, [process, *process.children()])))
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.wait() == 0
    watcher.join()
    assert peak < 1 << 30, f"{peak / 2**20:.0f} MiB"
