"""`list`, `show` and `env` as a person sees them."""

import json

import pytest

import maskdial as md
from tests.cli.run import fresh, maskdial

TEXT = "The cat sat on the mat because it was warm ."


def spelled(stream, kinds=None):
    return " ".join(t["t"] for t in stream["tokens"] if kinds is None or t["kind"] in kinds)


def said(stream):
    return " ".join(t["t"] for t in stream["targets"][0] if t)


def test_show_json_is_one_sample_view_a_recipe():
    status, out, err = maskdial("show", TEXT, "-o", "gpt,bert", "-o", "t5", "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["schema"] == "show/1"
    assert found["ok"] is True
    assert [v["objective"] for v in found["data"]] == ["gpt", "bert", "t5"]
    for view in found["data"]:
        assert view["schema"] == "sample-view/1"
        assert view["text"] == TEXT
        for stream in view["streams"]:
            n = len(stream["tokens"])
            assert all(len(head) == n for head in [*stream["targets"], *stream["loss"]])
            for token in stream["tokens"]:
                if token["kind"] == "kept" and token["src"]:
                    assert TEXT[slice(*token["src"])] == token["t"].strip()
        for panel in view["attn"]:
            streams = {s["id"]: s for s in view["streams"]}
            assert len(panel["rows"]) == len(streams[panel["q"]]["tokens"])
            assert all(0 <= a < b <= len(streams[panel["k"]]["tokens"]) for row in panel["rows"] for a, b in row)
    assert [s["id"] for s in found["data"][2]["streams"]] == ["source", "answer"]
    assert {p["id"] for p in found["data"][2]["attn"]} == {"source.self", "answer.self", "answer.source"}


def test_the_prefix_picture_of_the_paper():
    _, out, _ = maskdial("show", "a b c d e f", "-o", "prefix-lm", "--force", "split=3", "--json")
    rows = json.loads(out)["data"][0]["attn"][0]["rows"]
    assert ["".join("1" if any(a <= k < b for a, b in row) else "." for k in range(6)) for row in rows] == [
        "111...", "111...", "111...", "1111..", "11111.", "111111",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "shows"), [("gpt", "▒"), ("bert", "█"), ("prefix-lm", "█"), ("t5", "<extra_id_0>"), ("bart", "[MASK]")])
def test_show_draws_strips_and_sight(name, shows):
    status, out, _ = maskdial("show", TEXT, "-o", name, "--seed", "3")
    assert status == 0
    for word in ("pos", "read", "target", "scored", "▲", "row looks at column", "must say", shows):
        assert word in out, word


def test_show_says_how_to_get_the_same_sample_again():
    _, out, _ = maskdial("show", TEXT, "-o", "t5", "--hide", "2,3", "--set", "rate=0.3", "--json")
    view = json.loads(out)["data"][0]
    again = eval(view["code"]["python"], {"md": md}).to_json()
    assert again["streams"] == view["streams"]
    assert "--hide 2,3" in view["code"]["cli"]
    assert "--set rate=0.3" in view["code"]["cli"]


def test_turning_the_dial_shows_the_leak():
    _, out, _ = maskdial("show", TEXT, "-o", "gpt", "--visibility", "bidirectional", "--json")
    stats = json.loads(out)["data"][0]["stats"]
    assert stats["leaks"] == stats["scored"] == 10
    _, out, _ = maskdial("show", TEXT, "-o", "gpt", "--visibility", "bidirectional")
    assert "LEAK" in out


def test_blanks_and_control_characters_stay_visible():
    status, out, _ = maskdial("show", "a\tb\x00c\n\x1b[31mred", "-o", "gpt", "--tokenizer", "bytes")
    assert status == 0
    assert "\x1b" not in out
    assert "\x00" not in out
    assert "⇥" in out
    assert "⏎" in out


def test_text_that_spells_special_tokens_is_plain_text():
    hostile = "[MASK] <extra_id_0> </s> [CLS] x"
    for tokenizer in ("words", "bytes"):
        one = md.sample(hostile, "gpt", tokenizer=tokenizer)
        vocab = one.context["tokenizer"].vocab
        assert not set(one.read.tolist()) & vocab.special


def test_list_names_the_dials():
    status, out, _ = maskdial("list")
    assert status == 0
    for name in md.recipes():
        assert name in out
    for word in ("HIDE", "SEE", "SCORE"):
        assert word in out
    _, out, _ = maskdial("list", "--json")
    found = json.loads(out)
    assert [r["name"] for r in found["data"]] == md.recipes()
    assert all(r["formula"] and r["source"] and r["url"].startswith("http") for r in found["data"])
    _, out, _ = maskdial("list", "bart")
    assert "poisson_lambda" in out
    assert "compat=fairseq" in out


def test_env_prints_versions():
    status, out, _ = maskdial("env", "--json")
    assert status == 0
    assert json.loads(out)["data"]["torch"].startswith("2.")


def test_show_from_standard_input_and_hash_seeds_agree():
    outs = [fresh("show", TEXT, "-o", "bart,t5,bert", "--json", "--seed", "9", PYTHONHASHSEED=s).stdout for s in ("0", "77")]
    assert outs[0] == outs[1]
    assert json.loads(outs[0])["ok"]
