"""The same examples through the doors people use: `md.sample` and the command line."""

import json
import subprocess
import sys

import pytest

import maskdial as md
from maskdial import cli
from maskdial.data.tokenizer import load

THANKS = "Thank you for inviting me to your party last week"
SENTENCE = "transformer models learn patterns from large text corpora"


def spelled(one, at=None, targets=False):
    ids = one.target if targets else one.read
    ids = ids if at is None else ids[one.stream == at]
    return " ".join(one.context["tokenizer"].token(int(i)) for i in ids if i >= 0)


def test_thank_you():
    one = md.sample(THANKS, "t5", hide=[2, 3, 8])
    assert spelled(one, 0) == "Thank you <extra_id_0> me to your party <extra_id_1> week"
    assert spelled(one, 1, targets=True) == "<extra_id_0> for inviting <extra_id_1> last <extra_id_2> </s>"
    assert one.leaks == 0


def test_transformer_models():
    bert = md.sample(SENTENCE, "bert", hide=[2, 5])
    assert spelled(bert) == "transformer models [MASK] patterns from [MASK] text corpora"
    assert spelled(bert, targets=True) == "learn large"
    assert bert.weight.tolist() == [0, 0, 1, 0, 0, 1, 0, 0]
    gpt = md.sample(SENTENCE, "gpt")
    assert spelled(gpt) == SENTENCE
    assert spelled(gpt, targets=True) == SENTENCE.removeprefix("transformer ")
    t5 = md.sample(SENTENCE, "t5", hide=[2, 3, 4])
    assert spelled(t5, 0) == "transformer models <extra_id_0> large text corpora"
    assert spelled(t5, 1, targets=True) == "<extra_id_0> learn patterns from <extra_id_1> </s>"
    prefix = md.sample(SENTENCE, "prefix-lm", force={"split": 5})
    assert spelled(prefix, targets=True) == "large text corpora"
    assert (prefix.stream == 0).sum() == 5


BART = [
    ({"mask": 0.3}, {"hide": [1, 4]}, "A [MASK] C . [MASK] E ."),
    ({"delete": 0.3}, {"hide": [1, 4]}, "A C . E ."),
    ({"infill": 0.3}, {"force": {"spans": [[1, 2], [4, 0]]}}, "A [MASK] . [MASK] D E ."),
    ({"permute": True}, {"force": {"sentences": [1, 0]}}, "D E . A B C ."),
    ({"rotate": 1.0}, {"force": {"rotate": 3}}, "C . D E . A B"),
]


@pytest.mark.parametrize(("options", "forced", "source"), BART, ids=["mask", "delete", "infill", "permute", "rotate"])
def test_bart_noises(options, forced, source):
    one = md.sample("A B C . D E .", "bart", **({"infill": 0.0, "permute": False} | options), **forced)
    assert spelled(one, 0) == source
    assert spelled(one, 1, targets=True) == "A B C . D E . </s>"
    assert spelled(one, 1).split(maxsplit=1)[1] == "A B C . D E ."


def test_the_words_tokenizer_knows_the_special_tokens_of_every_recipe():
    tokenizer = load("words", text=SENTENCE)
    assert [tokenizer.token(i) for i in tokenizer.encode(SENTENCE)] == SENTENCE.split()
    for name in md.recipes():
        assert md.sample(SENTENCE, name, frame=True).leaks >= 0


def shown(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        cli.main(["show", *arguments, "--tokenizer", "words", "--json"])
    said = capsys.readouterr()
    assert not stop.value.code, said.err
    return json.loads(said.out)


def stream(view, name):
    return next(s for s in view["streams"] if s["id"] == name)


def line(cells):
    return " ".join(cell["t"] if cell else "·" for cell in cells)


def test_show_prints_the_worked_example(capsys):
    found = shown(capsys, THANKS, "--hide", "2,3,8", "-o", "t5")
    assert (found["schema"], found["ok"]) == ("show/1", True)
    [view] = found["data"]
    source, answer = stream(view, "source"), stream(view, "answer")
    assert line(source["tokens"]) == "Thank you <extra_id_0> me to your party <extra_id_1> week"
    assert line(answer["targets"][0]) == "<extra_id_0> for inviting <extra_id_1> last <extra_id_2> </s>"
    assert line(answer["tokens"][1:]) == line(answer["targets"][0][:-1])
    assert view["stats"]["leaks"] == 0
    assert view["stats"]["scored"] == 7


def test_show_prints_several_recipes(capsys):
    found = shown(capsys, SENTENCE, "-o", "bert", "--hide", "2,5")["data"]
    tokens = stream(found[0], "source")
    assert line(tokens["tokens"]) == "transformer models [MASK] patterns from [MASK] text corpora"
    assert line(tokens["targets"][0]) == "· · learn · · large · ·"
    names = [view["objective"] for view in shown(capsys, SENTENCE, "-o", "gpt", "-o", "t5,bart")["data"]]
    assert names == ["gpt", "t5", "bart"]


def test_the_module_and_the_command_say_the_same(capsys):
    """A fresh process, as a shell starts it."""
    words = ["show", THANKS, "-o", "t5", "--hide", "2,3,8", "--tokenizer", "words", "--json"]
    done = subprocess.run([sys.executable, "-m", "maskdial", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == shown(capsys, THANKS, "-o", "t5", "--hide", "2,3,8")


def test_electra_shows_both_views():
    """The generator's view, and what the discriminator judges once the generator has drawn from the text's own tokens."""
    text = "the chef cooked the meal"
    fakes = 0
    for seed in range(6):
        one = md.sample(text, "electra", hide=[0, 2], seed=seed)
        assert spelled(one) == "[MASK] chef [MASK] the meal"
        second = one.context["second"]
        assert set(spelled(second).split()) <= set(text.split())
        said = [int(a != b) for a, b in zip(spelled(second).split(), text.split(), strict=True)]
        assert second.target.tolist() == said
        assert said[1] == said[3] == said[4] == 0
        fakes += sum(said)
    assert 0 < fakes < 12
