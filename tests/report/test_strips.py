"""One text under every recipe as a reader sees it: nothing is left out, nothing lies on something else."""

from __future__ import annotations

import json
import re

import pytest

import maskdial as md
from maskdial.report.strips import LONGEST, picture, read_out, strips, told
from maskdial.view import view

TEXT = "Thank you for inviting me to your party last week . It was warm and the food was good . We came home late ."


def seen(name, text=TEXT):
    return json.loads(json.dumps(view(md.sample(text, name, seed=1))))


@pytest.mark.parametrize("name", md.recipes())
def test_every_token_and_every_question_is_drawn(name):
    one = seen(name)
    made = strips(one)
    streams = one["streams"] + one.get("second", {"streams": []})["streams"]
    assert sum(len(s.tokens) + s.left_out for s in made) == sum(len(s["tokens"]) for s in streams)
    if all(len(s["tokens"]) <= LONGEST for s in streams):
        marked = sum(t.scored for s in made for t in s.tokens)
        assert marked == sum(any(head[i] for head in s["loss"]) for s in streams for i in range(len(s["tokens"])))
    assert all(len(t.targets) == len(made[0].tokens[0].targets) for s in made[: len(one["streams"])] for t in s.tokens)
    assert "scored" in read_out(one)
    assert "positions are scored" in told(name, one)


@pytest.mark.parametrize("name", md.recipes())
def test_labels_of_a_picture_do_not_meet(name):
    drawn = picture(name, seen(name, TEXT.partition(".")[0]))
    width = float(re.search(r'viewBox="0 0 ([\d.]+)', drawn)[1])
    labels = [(float(x), text) for x, text in re.findall(r'<text x="([\d.]+)" y="10">(\w+)</text>', drawn)]
    ends = [x + 5 * len(text) for x, text in labels]
    assert all(end < x for end, (x, _) in zip(ends, labels[1:], strict=False))
    assert max(ends, default=0) <= width


@pytest.mark.parametrize("name", ["xlnet", "glm", "block-diffusion"])
def test_answer_slots_stand_apart(name):
    text, slots = strips(seen(name))
    assert (text.label, slots.label) == ("Text", "Answer slots")
    assert not text.asks
    assert slots.asks
    assert [s.label for s in strips(seen("gpt"))] == ["Input"]
    assert [s.label for s in strips(seen("sigma-gpt"))] == ["Input"]


def test_further_questions_are_named():
    (pair,) = strips(seen("bert-nsp"))
    assert pair.label.endswith("line by line: token and next_sentence")
    assert pair.tokens[0].targets[1] in ("0", "1")
    assert pair.tokens[0].scored
    judged = strips(seen("electra"))[-1]
    assert judged.label == "What the second network reads"
    assert all(t.scored for t in judged.tokens)
    assert read_out(seen("ul2")).startswith("Shown as its member ")
