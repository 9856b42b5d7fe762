"""`maskdial prepare` and `maskdial verify`, as a person or a script calls them."""

import json
import sys

import pytest
import typer

from maskdial.cli import prepare as preparing
from maskdial.cli import verify as verifying
from maskdial.errors import UserError

from .conftest import write_jsonl


@pytest.fixture
def run(capsys):
    app = typer.Typer()
    app.command(name="prepare")(preparing.prepare)
    app.command(name="verify")(verifying.verify)
    command = typer.main.get_command(app)

    def call(*words):
        command.main([str(w) for w in words], standalone_mode=False)
        return capsys.readouterr()

    return call


def test_prepare_prints_the_answer_on_stdout_and_progress_on_stderr(run, text_file, tmp_path):
    done = run("prepare", text_file, "--out", tmp_path / "c", "--vocab-size", 400)
    assert "240" not in done.out
    assert "400 body ids + 146 special" in done.out
    assert "encode: 240/240 documents" in done.err
    again = run("prepare", text_file, "--out", tmp_path / "c", "--vocab-size", 400, "--json", "--progress", "off")
    assert again.err == ""
    answer = json.loads(again.out)
    assert (answer["schema"], answer["ok"], answer["warnings"]) == ("prepare/1", True, [])
    data = answer["data"]
    assert data["train"]["documents"] + data["held_out"]["documents"] == 240
    assert data["tokenizer"]["name"] == "bytebpe-400"
    checked = json.loads(run("verify", tmp_path / "c", "--json").out)
    assert (checked["schema"], checked["data"]["problems"]) == ("verify/1", [])
    assert "all as they were written" in run("verify", tmp_path / "c").out


def test_notes_say_what_happened_to_the_text(run, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "a [MASK] b"}\n{"text": ""}\n{broken\n{"text": "bad \xff"}\n')
    warnings = json.loads(run("prepare", path, "--out", tmp_path / "c", "--tokenizer", "bytes", "--json").out)["warnings"]
    assert len(warnings) == 4
    assert warnings[0].startswith("1 blank")
    assert "special token" in warnings[-1]
    assert "note: 1 records" in run("prepare", path, "--out", tmp_path / "c", "--tokenizer", "bytes").out


def test_shards_count_from_zero_or_from_one(run, text_file, tmp_path, small_shards):
    for home, names in (("zero", ("0/2", "1/2")), ("one", ("1/2", "2/2"))):
        for name in names:
            said = run("prepare", text_file, "--out", tmp_path / home, "--tokenizer", "bytes", "--workers", 1, "--shard", name).out
            assert "of 2" in said
        run("prepare", "--merge", "--out", tmp_path / home)
    assert (tmp_path / "zero" / "manifest.json").read_bytes() == (tmp_path / "one" / "manifest.json").read_bytes()
    words = ("--out", tmp_path / "part", "--tokenizer", "bytes", "--workers", 1, "--shard", "1/2", "--json")
    done = json.loads(run("prepare", text_file, *words).out)["data"]
    assert done["shard"] == [1, 2]
    assert done["made"] == [*range(done["made"][0], done["made"][-1] + 1)]
    with pytest.raises(UserError, match="lacks shard 0/2"):
        run("prepare", "--merge", "--out", tmp_path / "part")


@pytest.mark.parametrize(("words", "message"), [
    (("--shard", "3/2"), "I/N"), (("--shard", "x"), "I/N"), (("--shard", "1/0"), "I/N"), (("--errors", "ignore"), "--errors is"),
    (("--progress", "loud"), "--progress is"), (("--merge",), "takes no text"), (("--held-out", "1.5"), "share"),
    (("--workers", "0"), "1 or more"), (("--duplicates", "dorp"), "--duplicates is"), (("--export", "nanogtp=x"), "nanogpt=DIR"),
    (("--export", "nanogpt"), "nanogpt=DIR"), (("--export", "nanogpt=x", "--shard", "1/2"), "whole corpus"),
])  # fmt: skip
def test_options_that_can_t_be(run, text_file, tmp_path, words, message):
    with pytest.raises(UserError, match=message) as caught:
        run("prepare", text_file, "--out", tmp_path / "c", *words)
    assert caught.value.exit == 2


def test_nothing_to_prepare(run, tmp_path):
    with pytest.raises(UserError, match="nothing to prepare"):
        run("prepare", "--out", tmp_path / "c")


def test_a_damaged_corpus_has_status_three(run, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "some text"}])
    run("prepare", path, "--out", tmp_path / "c", "--tokenizer", "bytes")
    file = tmp_path / "c" / "shard-00000.word"
    file.write_bytes(b"\x02" + file.read_bytes()[1:])
    with pytest.raises(UserError, match=r"shard-00000\.word: block 0") as caught:
        run("verify", tmp_path / "c")
    assert caught.value.exit == 3
    with pytest.raises(UserError, match="no prepared corpus") as caught:
        run("verify", tmp_path)
    assert caught.value.exit == 2


def test_the_public_names_cost_nothing_until_used():
    import subprocess

    heavy = ("numpy", "tokenizers", "pyarrow", "rich")
    code = f"import sys, maskdial.data, maskdial.progress; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    import maskdial.data

    for name in maskdial.data.__all__:
        assert callable(getattr(maskdial.data, name)), name
