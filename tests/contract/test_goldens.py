"""The published examples of objectives whose recipes are still to come, held by the contract to the token."""

import numpy as np
import pytest

from maskdial.sample import SILENT, Head, Samples, sight
from tests.contract import handmade, predicates
from tests.contract.handmade import WORDS, table

SPELLED = {id: word for word, id in WORDS.items()} | {SILENT: "·"}


def words(ids):
    return " ".join(SPELLED[int(i)] for i in ids)


def test_xlnet_rows_of_both_streams():
    rows = handmade.xlnet().samples[0].visible()
    content = predicates.drawn(rows[:6, :6].tolist())
    query = {1: rows[6, :6], 3: rows[7, :6], 4: rows[8, :6]}
    g = ["".join("1" if seen else "." for seen in query[i]) if i in query else content[i] for i in range(6)]
    assert " | ".join(g) == "1.1..1 | 1.1..1 | 1.1..1 | 111.11 | 111..1 | 1.1..1"
    h = [row[:i] + "1" + row[i + 1 :] for i, row in enumerate(g)]
    assert content == h, "the content stream sees what the query stream sees, and itself"
    assert not rows[:6, 6:].any(), "no content position looks at a query slot"
    assert (rows[6:, 6:] == np.eye(3, dtype=bool)).all()


def test_xlnet_batch_keeps_the_private_bit_and_true_positions():
    batch = table(handmade.xlnet().samples, handmade.xlnet().samples).batch()
    assert batch["private"].dtype == np.bool_
    assert batch["private"][1].tolist() == [False] * 6 + [True] * 3
    assert batch["position"][1].tolist() == [0, 1, 2, 3, 4, 5, 1, 3, 4]
    assert words(batch["target:token"][1][6:]) == "x1 x3 x4"


def test_next_sentence_has_a_head_of_its_own():
    s = handmade.next_sentence().samples
    assert words(s[0].read) == "[CLS] b c [SEP] [MASK] f [SEP]"
    batch = table(s, s).batch()
    assert batch["part"].tolist() == [[0, 0, 0, 0, 1, 1, 1]] * 2
    assert batch["target:next_sentence"].tolist() == [[1] + [SILENT] * 6] * 2
    assert batch["weight:next_sentence"].sum() == 2
    assert batch["weight:token"].sum() == 2
    assert s.num_scored == 2
    assert [h.kind for h in batch.heads] == ["token", "class"]


def test_a_class_label_counts_in_the_leak_law():
    s = handmade.next_sentence().samples
    label = int(s.column("answer:next_sentence")[0])
    told = Samples(s.offsets, s.index, {**s._columns, "origin": np.where(np.arange(7) == 3, label, s.origin)}, s.heads, body=s.body)
    assert told[0].own_answer.tolist() == [True] + [False] * 6


def test_answers_of_every_head_are_wanted():
    s = handmade.next_sentence().samples
    columns = {k: v for k, v in s._columns.items() if k != "answer:next_sentence"}
    with pytest.raises(KeyError, match=r"answer:next_sentence.*provenance=True"):
        _ = Samples(s.offsets, s.index, columns, s.heads, body=s.body)[0].leaks


def test_span_boundary_reads_the_neighbours_of_a_span():
    batch = handmade.span_boundary().samples.batch()
    asked = np.flatnonzero(batch["target:span_boundary"][0] != SILENT)
    found = [(int(batch["left"][0, i]), int(batch["right"][0, i]), int(batch["offset"][0, i])) for i in asked]
    assert found == [(1, 4, 0), (1, 4, 1)]
    assert words(batch["target:span_boundary"][0][asked]) == "learn patterns"


def test_electra_views_agree():
    first, second = handmade.generator().samples, handmade.discriminator().samples
    original = np.where(first.target == SILENT, first.read, first.target)
    assert words(original) == "the chef cooked the meal"
    assert words(second.read) == "the chef ate the meal"
    assert second.target.tolist() == [0, 0, 1, 0, 0]
    assert ((second.read != original) == (second.target == 1)).all()
    assert second.num_scored == len(second.read), "every token is judged"
    assert second.heads == (Head("replaced", kind="binary", coefficient=50.0),)


def test_glm_positions_and_sight():
    one = handmade.glm().samples[0]
    assert words(one.read) == "x1 x2 [MASK] x4 [MASK] [S] x5 x6 [S] x3"
    assert words(one.target[5:]) == "x5 x6 [E] x3 [E]"
    assert (one.stream == 0).sum() == 5
    assert len(set(one.position.tolist())) == 5
    for layout in ("decoder", "encoder-decoder"):
        batch = one.table.batch(layout)
        front = "answer_" if layout == "encoder-decoder" else ""
        assert batch[front + "position"][0, -5:].tolist() == [4, 4, 4, 2, 2], "a blank's tokens keep the blank's position"
        assert batch[front + "position2"][0, -5:].tolist() == [1, 2, 3, 1, 2]
        assert words(batch[front + "read"][0, -5:]) == "[S] x5 x6 [S] x3", "a start token that is there is not given twice"
        assert words(batch["target:token"][0, -5:]) == "x5 x6 [E] x3 [E]"


@pytest.mark.parametrize(("variant", "line"), [
    ("psm", "<PRE> a b <SUF> e f <MID> c d <EOT>"),
    ("spm", "<PRE> <SUF> e f <MID> a b c d <EOT>"),
])  # fmt: skip
def test_fill_in_the_middle_reorders_and_asks_everything(variant, line):
    one = handmade.fim(variant).samples[0]
    assert words(one.read) == line
    assert one.position.tolist() == list(range(10))
    assert sorted(o for o in one.origin if o < 6) == list(range(6))
    assert (one.target[:-1] == one.read[1:]).all()
    assert one.table.num_scored == 9


def test_a_mixture_is_one_table_of_different_members():
    members = handmade.ul2()
    mixed = table(*(m.samples for m in members))
    assert len(mixed) == 3
    for member, one in zip(members, mixed, strict=True):
        assert (one.visible() == np.array(member.sight)).all()
        assert one.leaks == 0
    batch = mixed.batch()
    sources = [words(row[seg == 0]) for row, seg in zip(batch["source_read"], batch["source_segment"], strict=True)]
    answers = [words(row[row != SILENT]) for row in batch["target:token"]]
    assert sources == [
        "[R] transformer models <0> from large text corpora",
        "[S] transformer models learn patterns from",
        "[X] transformer models learn patterns <0>",
    ]
    assert answers == ["<0> learn patterns </s>", "large text corpora </s>", "<0> from large text corpora </s>"]
    assert not {WORDS["[R]"], WORDS["[S]"], WORDS["[X]"]} & set(batch["target:token"].reshape(-1).tolist())
    assert (batch["answer_read"][:, 0] == WORDS["<start>"]).all()
    decoder = mixed.batch("decoder")
    width = np.diff(mixed.offsets)
    for row, n, member in zip(range(3), width, members, strict=True):
        assert decoder["position"][row, :n].tolist() == list(range(n)), "in one stream the answer counts on from its source"
        seen = sight(decoder["order"][row], decoder["segment"][row])
        assert (seen[:n, :n] == np.array(member.sight)).all()


def test_block_diffusion_weighs_by_the_noise_level_over_the_body():
    batch = handmade.block_diffusion().samples.batch()
    assert batch["weight:token"].sum() == 2 + 1.25 + 1.25 + 4
    assert batch.body_tokens == 6, "two copies are read, but the bound is over the text's tokens"
    assert batch.heads[0].divisor == "tokens"
    assert batch["position"][0].tolist() == [*range(6), *range(6)]


def test_multi_token_heads_ask_further_and_may_reach_that_far():
    one = handmade.multi_token(1).samples[0]
    asked = [[words([t]) for t in target if t != SILENT] for target in one.targets.values()]
    assert asked == [list("bcdef"), list("cdef"), list("def")]
    for reach, leaks in ((1, 0), (2, 4)):
        heads = (Head(), Head("token+2", reach=reach))
        s = Samples.of(heads=heads, layout="decoder", read=[5, 6, 7, 8, 9, 10], order=range(6), target=[6, 7, 8, 9, 10, SILENT],
                       origin=range(6), answer=[1, 2, 3, 4, 5, -1],
                       **{"target:token+2": [7, 8, 9, 10, SILENT, SILENT], "answer:token+2": [2, 3, 4, 5, -1, -1]})  # fmt: skip
        assert s[0].leaks == leaks
    apart = Samples.of(heads=(Head(reach=3),), layout="decoder", read=[5, 6, 7], order=[0, 1, 0], segment=[0, 0, 1],
                       target=[SILENT, 7, SILENT], origin=[0, 1, 2], answer=[-1, 2, -1])  # fmt: skip
    assert apart[0].leaks == 0, "no head reaches into another document"
