"""The worked example in each recipe's docstring is what the recipe does."""

import numpy as np
import pytest

import maskdial as md
from maskdial.corruption.render import REMOVED
from maskdial.corruption.text import Spans
from tests.golden.words import Words, example, worked


def test_every_recipe_draws_its_worked_example():
    for name in md.recipes():
        assert len(worked(name)) >= 3, f"{name}'s docstring has no worked example"


def test_gpt():
    drawn = example("gpt")
    words = Words(drawn["text"])
    one = words.build("gpt")
    assert words.spelled(one.read) == drawn["read"]
    assert " ".join(map(str, one.order)) == drawn["order"]
    assert words.spelled(one.target) == drawn["target"]
    assert (one.visible() == np.tri(8, dtype=bool)).all()
    assert one.leaks == 0


def test_bert():
    drawn = example("bert")
    words = Words(drawn["text"])
    one = words.build("bert", hide=[2, 5])
    assert words.spelled(one.read) == drawn["read"]
    assert words.spelled(one.target) == drawn["target"]
    assert np.flatnonzero(one.weight).tolist() == [2, 5]
    assert one.visible().all()
    assert one.leaks == 0


def test_prefix_lm():
    lines = worked("prefix-lm")
    drawn = {label: tokens for label, tokens, *_rest in lines}
    words = Words(drawn["read"])
    one = words.build("prefix-lm", force={"split": np.array([3])})
    assert words.spelled(one.read) == drawn["read"]
    assert " ".join(map(str, one.order)) == drawn["order"]
    assert words.spelled(one.target) == drawn["target"]
    seen = ["".join("1" if x else "." for x in row) for row in one.visible()]
    said = words.spelled(one.target).split()
    checked = 0
    for _label, tokens, row, picture, *says in lines:
        place = words.spelled(one.read).split().index(row.removeprefix("row "))
        assert seen[place] == picture, tokens
        assert not says or says[0].removeprefix("says ") == said[place]
        checked += 1
    assert checked == 3
    assert " ".join(seen) == "111... 111... 111... 1111.. 11111. 111111"


def test_t5():
    drawn = example("t5")
    words = Words(drawn["text"])
    one = words.build("t5", hide=[2, 3, 8])
    source, read, said = words.parts(one)
    assert source == drawn["source"]
    assert said == drawn["answer"]
    assert read == " ".join(["<start>", *said.split()[:-1]])
    assert one.leaks == 0


def bart_lines():
    return {label: rest for label, *rest in worked("bart")}


BART = {
    "token masking": ({"mask": 0.5}, {"hidden": np.array([0, 1, 0, 0, 1, 0, 0], dtype=np.uint8)}, "{1, 4}"),
    "token deletion": ({"delete": 0.5}, {"hidden": REMOVED * np.array([0, 1, 0, 0, 1, 0, 0], dtype=np.uint8)}, "{1, 4}"),
    "text infilling": ({"infill": 0.3}, {"spans": Spans.of([[(1, 2), (4, 0)]])}, "span 1-2, 0 at 4"),
    "sentence order": ({"permute": True}, {"sentences": Spans.of([[(4, 3), (0, 4)]])}, "second first"),
    "rotation": ({"rotate": 1.0}, {"rotate": np.array([3])}, "to its 3rd token"),
}


@pytest.mark.parametrize("noise", BART)
def test_bart(noise):
    """Each noise alone, and the clean text answered, read a token late, in every one."""
    options, force, decision = BART[noise]
    line, clean = bart_lines()[noise], "A B C . D E ."
    assert line[0] == decision
    words = Words(clean)
    one = words.build("bart", force=force, **({"infill": 0.0, "permute": False} | options))
    source, read, said = words.parts(one)
    assert source == line[1]
    assert said == bart_lines()["answer"][1] + " </s>" == clean + " </s>"
    assert read == "<start> " + clean, "the decoder reads clean text, whatever the source lost"
    assert not one.weight[one.stream == 0].any(), "the encoder has no target of its own"


def test_bart_lines_are_all_checked():
    assert set(bart_lines()) == {*BART, "answer"}
