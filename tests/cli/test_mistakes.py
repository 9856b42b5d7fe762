"""Every mistake ends in one clear message, the right exit status and no traceback."""

import json

import pytest

from tests.cli.run import fresh, maskdial

TEXT = "The cat sat on the mat ."

MISTAKES = [
    (["show", TEXT, "-o", "brt"], 2, "did you mean 'bert'"),
    (["show", TEXT, "-o", "bert", "--set", "rte=0.3"], 2, "did you mean 'rate'"),
    (["show", TEXT, "-o", "bert", "--set", "rate=-0.1"], 2, "rate='-0.1' is not allowed"),
    (["show", TEXT, "-o", "bert", "--set", "rate=nan"], 2, "is not allowed"),
    (["show", TEXT, "-o", "bert", "--set", "rate"], 2, "KEY=VALUE"),
    (["show", TEXT, "-o", "bert", "--hide", "99"], 2, "can't hide token 99: the text has 7 tokens"),
    (["show", TEXT, "-o", "bert", "--hide", "two"], 2, "--hide wants token numbers"),
    (["show", TEXT, "-o", "gpt", "--hide", "1"], 2, "hides nothing"),
    (["show", TEXT, "-o", "gpt", "--force", "split=3"], 2, "makes no decision named 'split'"),
    (["show", TEXT, "-o", "prefix-lm", "--force", "split=99"], 2, "outside the text"),
    (["show", TEXT, "-o", "t5", "--force", "spans=0:3,2:2"], 2, "must not overlap"),
    (["show", TEXT, "-o", "bart", "--force", "sentences=3,1"], 2, "must be an order of"),
    (["show", "", "-o", "gpt"], 2, "the text is empty"),
    (["show", TEXT], 2, "--objective"),
    (["show", TEXT, "-o", "gpt", "--tokenizer", "/nowhere/at/all"], 2, "/nowhere/at/all"),
    (["show", TEXT, "-o", "gpt", "--visibility", "sideways"], 2, "bidirectional"),
    (["shwo", TEXT], 2, "shwo"),
    (["list", "bird"], 2, "did you mean"),
    (["prepare", "/nowhere/at/all", "--out", "OUT"], 2, "/nowhere/at/all"),
    (["train", "-o", "gpt", "--data", "/nowhere/at/all", "--out", "OUT"], 2, "/nowhere/at/all"),
    (["train", "-o", "gpt", "--data", "pydocs", "--out", "OUT", "modl.d=64"], 2, "model.d"),
    (["train", "-o", "gpt", "--data", "pydocs", "--out", "OUT", "--budget", "soon"], 2, "soon"),
    (["compare", "-o", "bert:whole=true", "--out", "OUT"], 2, "whole_word"),
    (["report", "/nowhere/at/all"], 2, "/nowhere/at/all"),
    (["card", "nobody"], 2, "nobody"),
    (["ask", "/nowhere/at/all", "hello"], 2, "/nowhere/at/all"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "status", "says"), MISTAKES, ids=[" ".join(m[0])[:60] for m in MISTAKES])
def test_a_clear_message_and_status(words, status, says, tmp_path):
    words = [str(tmp_path / "out") if w == "OUT" else w for w in words]
    found, out, err = maskdial(*words)
    assert found == status, err
    assert says in err
    assert err.startswith("error: ")
    assert "Traceback" not in err + out
    assert out == ""


@pytest.mark.parametrize(("words", "status", "says"), MISTAKES[:5], ids=[" ".join(m[0])[:60] for m in MISTAKES[:5]])
def test_json_errors_are_json(words, status, says):
    found, out, _ = maskdial(*words, "--json")
    assert found == status
    error = json.loads(out)
    assert error["ok"] is False
    assert says in error["error"]["message"] + error["error"]["hint"]


def test_debug_shows_the_traceback():
    done = fresh("--debug", "show", TEXT, "-o", "brt")
    assert done.returncode == 2
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("command", ["list", "show", "prepare", "verify", "train", "runs", "compare", "report", "card", "ask", "env"])
def test_help_says_what_and_gives_three_examples(command):
    status, out, _ = maskdial(command, "--help")
    assert status == 0
    assert out.count(f"maskdial {command}") >= 3, "usage and examples"
