"""`maskdial bench`: what it prints, not how fast."""

import json
from dataclasses import replace

import maskdial as md
from maskdial.bench import samples
from tests.cli.run import maskdial


def test_every_recipe_gets_a_figure():
    status, out, _ = maskdial("bench", "samples", "--rows", 4, "--length", 64, "--calls", 1, "--threads", 2, "--json")
    assert status == 0
    found = json.loads(out)
    assert found["schema"] == "bench/1"
    ours = {one["name"]: one for one in found["data"] if not one.get("peer")}
    assert set(ours) == set(md.recipes())
    for name, one in ours.items():
        assert 0 < one["mtok_s"] <= one["best_mtok_s"], name
        assert one["threads"]["2"] > 0, name


def test_a_choice_of_recipes_and_provenance_in_words():
    chosen = ["-o", "bert,gpt", "-o", "bert:whole_word=true,name=wwm"]
    status, out, _ = maskdial("bench", "samples", *chosen, "--rows", 2, "--length", 32, "--calls", 1, "--provenance")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[2:5]] == ["bert", "gpt", "wwm"]


def test_what_an_objective_refuses_is_said(monkeypatch):
    whole = md.Vocab.with_every_role(samples.SIZE)
    monkeypatch.setattr(md.Vocab, "with_every_role", staticmethod(lambda size: replace(whole, mask=None)))
    status, out, _ = maskdial("bench", "samples", "-o", "bert,gpt", "--rows", 2, "--length", 32, "--calls", 1, "--json")
    assert status == 0
    ours = {one["name"]: one for one in json.loads(out)["data"]}
    assert "bert needs a mask token" in ours["bert"]["refused"]
    assert ours["gpt"]["mtok_s"] > 0


def test_mistakes():
    assert maskdial("bench", "sample")[0] == 2
    assert maskdial("bench", "samples", "-o", "brt")[0] == 2
