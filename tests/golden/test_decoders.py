"""Causal models that are asked everything, completions only, or further ahead: worked examples and traps; what holds for all decoders."""

import numpy as np
import pytest

import maskdial as md
from maskdial.sample import KINDS, SILENT
from tests.conftest import make_rows
from tests.golden.spelled import CLOSED, OPENED, VOCAB, build, numbers, seen, words
from tests.golden.words import example, worked


def same(a, b):
    assert (a.offsets == b.offsets).all()
    for name in ("read", "position", "segment", "order", "stream", "target:token", "weight:token"):
        assert (a.column(name) == b.column(name)).all(), name


def test_gpt_worked_lines_of_a_stream():
    drawn, named = example("gpt"), {label: rest for label, *rest in worked("gpt")}
    text = "a b <EOT> c <EOT>"
    assert drawn["stream"] == text.replace("<EOT>", "0")

    def zero(found):
        return words(found).replace("<EOT>", "0")

    one = build("gpt", text, compat="megatron")
    assert zero(one.read) == named["shared"][0] == "a b 0 c"
    assert zero(one.target) == named["says"][0]
    assert zero(build("gpt", text, compat="megatron", eod_loss=False).target) == named["eod off"][0]
    assert numbers(build("gpt", text, compat="megatron", reset_position=True).position) == named["positions"][0]


def test_gpt_stream_with_the_end_of_document_switches():
    """Documents `5 6` and `7`, end of document 0: the published stream of five tokens in a window of four."""
    vocab, rows = md.Vocab(size=12, eod=0, bos=1), md.rows([[5, 6, 0, 7, 0]])
    plain = md.objective("gpt", compat="megatron")(rows, vocab)
    assert (plain.read.tolist(), plain.target.tolist()) == ([5, 6, 0, 7], [6, 0, 7, 0])
    assert plain.position.tolist() == [0, 1, 2, 3]
    assert seen(plain[0]) == ["1...", "11..", "111.", "1111"]
    quiet = md.objective("gpt", compat="megatron", eod_loss=False)(rows, vocab)
    assert quiet.weight.tolist() == [1, 1, 0, 1], "the prediction of an end keeps its loss"
    assert quiet.target.tolist() == [6, 0, SILENT, 0]
    assert md.objective("gpt", compat="megatron", reset_position=True)(rows, vocab).position.tolist() == [0, 1, 2, 0]
    apart = md.objective("gpt", compat="megatron", reset_attention=True)(rows, vocab)
    assert seen(apart[0]) == ["1...", "11..", "111.", "...1"]
    own = md.objective("gpt", eod_loss=False, reset_position=True)(rows, vocab)
    assert (own.read.tolist(), own.target.tolist()) == ([5, 6, 0, 7, 0], [6, 0, SILENT, 0, SILENT])
    assert own.position.tolist() == [0, 1, 2, 0, 1]


def test_gpt_windows_that_share_a_token_ask_every_token_of_the_stream_but_the_first_once():
    stream = np.arange(10, 10 + 4 * 16 + 1)
    objective = md.objective("gpt", compat="megatron")
    assert objective.room(16).raw == 17
    s = objective(md.rows([stream[at : at + 17] for at in range(0, 64, 16)]), md.Vocab(size=200, eod=0))
    assert s.target.tolist() == stream[1:].tolist()
    assert s.read.tolist() == stream[:-1].tolist()
    assert md.objective("gpt").room(16).raw == 16, "the default reads a row to its end: fifteen of sixteen are asked"


def test_gpt_switches_change_nothing_in_isolated_rows():
    rows = make_rows([30, 40], 1, "isolated", documents=3)
    for vocab in (OPENED, CLOSED):
        plain = md.objective("gpt")(rows, vocab)
        for options in ({"window": "shared"}, {"reset_position": True, "reset_attention": True}, {"eod_loss": False}):
            same(plain, md.objective("gpt", **options)(rows, vocab))


def test_gpt_plain_is_what_the_switches_give_when_they_are_off():
    """The flags ask the same as the plain target where no document ends."""
    rows = make_rows([0, 1, 2, 30], 2)
    same(md.objective("gpt")(rows, VOCAB), md.objective("gpt", eod_loss=False)(rows, VOCAB))


def test_sft_worked_example():
    drawn = example("sft")
    one = build("sft", drawn["text"], part=[int(p) for p in drawn["part"].split()])
    assert words(one.read) == drawn["read"]
    assert words(one.target) == drawn["target"]
    assert (one.visible() == np.tri(5, dtype=bool)).all(), "the prompt is causal: no prefix LM"


def test_sft_asks_as_many_tokens_as_the_completions_have():
    """The end of each turn among them, in a chat of two turns; what a prompt's token would be asked is not."""
    part = [0, 0, 1, 1, 0, 1, 1, 1]
    one = build("sft", "Q : yo [E] Q2 ja ja [E]", part=part)
    assert words(one.target) == "· yo [E] · ja ja [E] ·"
    assert (one.target != SILENT).sum() == sum(part)


def test_sft_joined_examples_never_say_one_anothers_first_token():
    """An example without a prompt is plain causal text, but its first token does not follow from the example before."""
    one = build("sft", "Q yo <EOT> a b <EOT>", part=[0, 1, 1, 1, 1, 1])
    assert words(one.target) == "yo <EOT> · b <EOT> ·"


def test_sft_isolated_examples_are_opened():
    """With a begin token an example without a prompt is asked from its first token on; without one from its second."""
    text, part, segment = "Q yo [E] a b [E]", [0, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]
    opened = build("sft", text, part=part, segment=segment)
    assert words(opened.read) == "<s> Q yo <s> a b"
    assert words(opened.target) == "· yo [E] a b [E]"
    closed = build("sft", text, part=part, segment=segment, vocab=CLOSED)
    assert words(closed.read) == text
    assert words(closed.target) == "yo [E] · b [E] ·"
    assert opened.position.tolist() == closed.position.tolist() == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("vocab", [OPENED, CLOSED], ids=["opened", "closed"])
def test_sft_means_over_tokens_or_over_examples(vocab):
    """Losses (2, 4) and eight times 1: the mean over tokens is 1.4, over examples 2."""
    part = [0] * 3 + [1] * 2 + [0] + [1] * 8
    rows = md.rows([range(10, 24)], part=[part], segment=[[0] * 5 + [1] * 9], packing="isolated")
    found = {}
    for mean in ("token", "example"):
        objective = md.objective("sft", mean=mean)
        s = objective(rows, vocab)
        asked = s.target != SILENT
        loss = np.zeros(len(asked))
        loss[asked] = [2, 4] + [1] * 8
        assert (s.weight[~asked] == 0).all()
        by = {"scored": asked.sum(), "weights": s.weight[asked].sum()}[objective.heads[0].divisor]
        found[mean] = round(float((s.weight * loss).sum() / by), 6)
    assert found == {"token": 1.4, "example": 2.0}


def test_sft_needs_to_know_what_is_a_completion():
    with pytest.raises(ValueError, match="sft needs the rows' `part` column"):
        md.objective("sft")(md.rows([[10, 11]]), VOCAB)


def test_mtp_worked_example():
    drawn = example("mtp")
    one = build("mtp", drawn["read"], depth=2)
    for head, target in one.targets.items():
        assert words(target) == drawn[head]
    assert one.leaks == 0


@pytest.mark.parametrize("module", ["parallel", "sequential"])
def test_mtp_depth_tables(module):
    """Depth 0 `a→b … e→f`; depth 1 from (t_i, t_{i+1}); depth 2 from (t_i, t_{i+2}): T, T - 1, T - 2 targets, T = 5."""
    one = build("mtp", "a b c d e f", depth=2, module=module)
    read, pairs = words(one.read).split(), []
    for k, target in enumerate(one.targets.values()):
        said = words(target).split()
        pairs.append(", ".join(f"{read[i]}{read[i + k] if k else ''}→{said[i]}" for i in range(6) if said[i] != "·"))
    assert pairs == ["a→b, b→c, c→d, d→e, e→f", "ab→c, bc→d, cd→e, de→f", "ac→d, bd→e, ce→f"]
    assert [h.reach for h in one.heads] == ([0, 0, 0] if module == "parallel" else [0, 1, 2])


def test_mtp_of_depth_0_is_gpt():
    assert md.objective("mtp", depth=0).heads == md.objective("gpt").heads
    for packing in ("joined", "isolated"):
        rows = make_rows([0, 1, 2, 30, 50], 3, packing, documents=3)
        for vocab in (OPENED, CLOSED):
            for depth in (0, 3):
                same(md.objective("gpt")(rows, vocab, seed=4), md.objective("mtp", depth=depth)(rows, vocab, seed=4))


def test_mtp_targets_stay_in_their_document():
    text, segment = "a b c x y z", [0, 0, 0, 1, 1, 1]
    opened = build("mtp", text, depth=2, segment=segment)
    assert words(opened.read) == "<s> a b <s> x y"
    assert [words(t) for t in opened.targets.values()] == ["a b c x y z", "b c · y z ·", "c · · z · ·"]
    closed = build("mtp", text, depth=2, segment=segment, vocab=CLOSED)
    assert [words(t) for t in closed.targets.values()] == ["b c · y z ·", "c · · z · ·", "· · · · · ·"]
    short = build("mtp", "a b", depth=3)
    assert [int((t != SILENT).sum()) for t in short.targets.values()] == [1, 0, 0, 0]


def test_mtp_heads_weigh_as_published():
    heads = md.objective("mtp").heads
    assert [(h.name, h.coefficient, h.reach, h.form) for h in heads] == [
        ("token", 1, 0, "plain"), ("token+2", 1, 0, "module"), ("token+3", 1, 0, "module"), ("token+4", 1, 0, "module"),
    ]  # fmt: skip
    v3 = md.objective("mtp", compat="deepseek-v3").heads
    assert [(h.name, h.coefficient, h.reach, h.divisor) for h in v3] == [("token", 1, 0, "scored"), ("token+2", 0.3, 1, "tokens")]
    two = md.objective("mtp", module="sequential", depth=2).heads[1:]
    assert [(h.coefficient, h.reach, h.divisor) for h in two] == [(0.15, 1, "scored"), (0.15, 2, "scored")]


DECODERS = [
    ("gpt", {}), ("gpt", {"compat": "megatron"}), ("gpt", {"eod_loss": False}), ("sft", {}), ("sft", {"mean": "example"}),
    ("fim", {"rate": 1.0}), ("fim", {"rate": 1.0, "level": "document"}), ("mtp", {}), ("mtp", {"compat": "deepseek-v3"}), ("glm", {}),
    ("glm", {"task": "sentence"}), ("glm", {"task": "document"}), ("xlnet", {}), ("sigma-gpt", {}), ("block-diffusion", {}),
]  # fmt: skip


@pytest.mark.parametrize("vocab", [OPENED, CLOSED], ids=["opened", "closed"])
@pytest.mark.parametrize(("name", "options"), DECODERS)
def test_no_target_leaves_its_document(name, options, vocab):
    """In isolated rows every answer is a token of the document that its position belongs to, and nobody sees another's."""
    rows = make_rows([60, 90, 1], 10, "isolated", documents=4)
    s, asked = md.objective(name, **options)(rows, vocab, provenance=True), 0
    for i, one in enumerate(s):
        segment = rows.segment[rows.offsets[i] : rows.offsets[i + 1]]
        for head in one.heads:
            answer = one.column("answer" if head.name == "token" else f"answer:{head.name}")
            text = (answer >= 0) & (answer < len(segment))
            assert (segment[answer[text]] == one.segment[text]).all()
            asked += int(text.sum())
        assert not (one.visible() & (one.segment[:, None] != one.segment[None, :])).any()
        assert one.leaks == 0
        assert one.read.min(initial=0) >= 0, "what is not asked is read all the same"
    assert asked > 5


@pytest.mark.parametrize(("name", "options"), DECODERS)
def test_rows_with_ended_documents_keep_their_promises(name, options):
    """Ends of documents within joined rows: samples fit, hold the text's tokens, and answer what they say."""
    objective, g = md.objective(name, **options), np.random.default_rng(11)
    rows = make_rows([0, 1, 5, 40, 90], 11)
    rows.tokens[g.random(len(rows.tokens)) < 0.1] = VOCAB.eod
    for seed in range(3):
        for i, one in enumerate(objective(rows, VOCAB, seed=seed, provenance=True)):
            text = rows.tokens[rows.offsets[i] : rows.offsets[i + 1]]
            assert len(one) <= (sum(objective.shape(len(text))) if len(text) else 0) + (objective.head == "cls")
            shown = (one.origin < len(text)) & np.isin(one.kind, [KINDS.index(k) for k in ("kept", "moved")])
            assert (one.read[shown] == text[one.origin[shown]]).all()
            said = (one.answer >= 0) & (one.answer < len(text))
            assert (one.target[said] == text[one.answer[said]]).all()
            assert one.leaks == 0
