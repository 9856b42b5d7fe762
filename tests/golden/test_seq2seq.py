"""The worked examples of the recipes that answer in a stream of their own, and the traps that catch their implementations."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

import maskdial as md
from maskdial.corruption.gap_sentences import gap_sentences
from maskdial.corruption.render import AS_MASK, AS_RANDOM
from maskdial.corruption.text import Decisions, Spans
from maskdial.sample import KINDS, SILENT
from tests.conftest import make_rows
from tests.golden.words import Words, example

THANKS = "Thank you for inviting me to your party last week"
SENTENCE = "transformer models learn patterns from large text corpora"


class Speaking(Words):
    """The same words with mode tokens and a language."""

    def __init__(self, text):
        super().__init__(text)
        first, more = len(self.spelling), ["[R]", "[S]", "[X]", "[en]"]
        self.spelling += more
        modes = {word.strip("[]"): first + k for k, word in enumerate(more[:3])}
        self.vocab = replace(self.vocab, size=len(self.spelling), modes=modes, languages={"en": first + 3})

    def made(self, objective, force=None):
        """The text under an objective (a member of a mixture, say) with forced decisions."""
        rows = self.rows()
        return objective.build(rows, self.vocab, objective.draw(rows, self.vocab, force=force), provenance=True)[0]


def test_t5_iid():
    drawn = example("t5-iid")
    words = Words(drawn["text"])
    source, _read, said = words.parts(words.build("t5-iid", hide=[2, 3, 8]))
    assert (source, said) == (drawn["source"], drawn["answer"])
    mass, read, whole = words.parts(words.build("t5-iid", hide=[2, 3, 8], style="mass"))
    assert (mass, whole) == (drawn["mass"], drawn["whole"])
    assert read == "<start> " + THANKS, "the decoder reads clean text"


def test_t5_iid_bert_style_keeps_no_chosen_token():
    words = Words(THANKS)
    flags = np.zeros(10, dtype=np.uint8)
    flags[[2, 3, 8]] = [AS_MASK, AS_RANDOM, AS_MASK]
    one = words.build("t5-iid", style="bert", force={"hidden": flags})
    source, _read, whole = words.parts(one)
    assert [KINDS[k] for k in one.kind[[2, 3, 8]]] == ["mask", "random", "mask"]
    assert source.split()[2] == source.split()[8] == "[MASK]"
    assert source.split()[3] in THANKS.split()
    assert whole == THANKS + " </s>"


@pytest.mark.parametrize(("hide", "said"), [
    ([0, 1, 4], "a b <extra_id_0> e <extra_id_1> </s>"), ([0, 5], "a <extra_id_0> f </s>"), ([], "<extra_id_0> </s>"),
    ([0, 1, 2, 3, 4, 5], "a b c d e f </s>"), ([1, 3], "<extra_id_0> b <extra_id_1> d <extra_id_2> </s>"),
])  # fmt: skip
def test_complement_layout_of_independent_masks(hide, said):
    """Independent masks may start hidden: released, a sentinel then closes its span."""
    words = Words("a b c d e f")
    assert words.parts(words.build("t5-iid", hide=hide, compat="t5"))[2] == said


def test_t5_drop():
    drawn = example("t5-drop")
    words = Words(drawn["text"])
    one = words.build("t5-drop", hide=[2, 3, 8])
    source, read, said = words.parts(one)
    assert (source, said) == (drawn["source"], drawn["answer"])
    assert read == "<start> for inviting last"
    assert one.leaks == 0


def test_deshuffle():
    drawn = example("deshuffle")
    words = Words(drawn["text"])
    order = np.array([4, 7, 0, 9, 2, 5, 8, 1, 6, 3], dtype=np.int32)
    one = words.build("deshuffle", force={"permutation": order})
    source, _read, said = words.parts(one)
    assert (source, said) == (drawn["source"], drawn["answer"])
    moved = [KINDS[k] for k in one.kind[:10]]
    assert moved == ["kept" if i == at else "moved" for i, at in enumerate(order)]
    assert one.leaks == 10, "every word of the answer is somewhere in the source"


def test_mass():
    drawn = example("mass")
    words = Words(drawn["text"])
    one = words.build("mass", hide=[2, 3, 4, 5])
    source, read, said = words.parts(one)
    assert (source, read, said) == (drawn["source"], drawn["reads"], drawn["says"])
    assert " ".join(map(str, one.position[one.stream == 0])) == drawn["place"]
    assert " ".join(map(str, one.position[one.stream == 1])) == drawn["standing"]
    assert one.leaks == 0


@pytest.mark.parametrize("start", [0, 2, 4])
def test_mass_answers_stand_where_the_framed_source_stands(start):
    """Removed padding leaves positions as they are: a token read in the answer has the position that it has in the source."""
    words = Words("x1 x2 x3 x4 x5 x6 x7 x8")
    one = words.build("mass", hide=list(range(start, start + 4)), frame=True)
    place = {int(b): int(p) for p, b in zip(one.position[one.stream == 0], one.place[one.stream == 0], strict=True) if b >= 0}
    answer = one.stream == 1
    for position, origin in zip(one.position[answer][1:], one.origin[answer][1:], strict=True):
        assert position == place[int(origin)]
    assert one.position[answer][0] == start == place[start] - 1
    batch = one.table.batch()
    assert batch["answer_position"].tolist() == [one.position[answer].tolist()], "a batch keeps them"


@pytest.mark.parametrize(("hide", "first"), [([2, 3, 4, 5], "x2"), ([0, 1, 2, 3], "<start>")])
def test_released_mass_reads_the_token_before_the_span_first(hide, first):
    words = Words("x1 x2 x3 x4 x5 x6 x7 x8")
    one = words.build("mass", hide=hide, compat="mass")
    _source, read, said = words.parts(one)
    assert read.split() == [first, *said.split()[:-1]]
    assert one.leaks == 0


def test_pegasus():
    drawn = example("pegasus")
    words = Words(drawn["text"])
    one = words.build("pegasus")
    source, read, said = words.parts(one)
    assert (source, said) == (drawn["source"], drawn["answer"])
    assert read == "<start> the cat ran ."
    assert one.leaks == 0


def test_pegasus_of_one_sentence_hides_it_whole():
    words = Words("the cat sat .")
    for strategy in ("principal", "random", "lead"):
        source, _read, said = words.parts(words.build("pegasus", strategy=strategy))
        assert (source, said) == ("[MASK]", "the cat sat . </s>")


def test_pegasus_gives_neighbouring_gaps_a_mask_each():
    words = Words("a b . c d . e f .")
    source, _read, said = words.parts(words.build("pegasus", strategy="lead", rate=0.7))
    assert (source, said) == ("[MASK] [MASK] e f .", "a b . c d . </s>")


def test_pegasus_wants_sentences():
    with pytest.raises(ValueError, match=r"pegasus needs the rows' `sentence` column"):
        md.objective("pegasus")(md.rows([[5, 6]]), Words("a b").vocab)


def rouge(chosen, rest, uniq):
    """ROUGE-1 F1 of two bags of words, by the book."""
    chosen, rest = Counter(chosen), Counter(rest)
    if uniq:
        chosen, rest = Counter(set(chosen)), Counter(set(rest))
    shared = sum((chosen & rest).values())
    if not shared:
        return 0.0
    precision, recall = shared / sum(chosen.values()), shared / sum(rest.values())
    return 2 * precision * recall / (precision + recall)


def important(sentences, picks, score):
    """The sentences that PEGASUS chooses, by exhaustive recounting; of equals the later."""
    uniq, chosen = score.endswith("uniq"), []
    for _ in range(picks):
        worth = []
        for i in set(range(len(sentences))) - set(chosen):
            inside = [*chosen, i] if score.startswith("seq") else [i]
            outside = [w for j, s in enumerate(sentences) if j not in inside for w in s]
            worth.append((round(rouge([w for j in inside for w in sentences[j]], outside, uniq), 12), i))
        chosen.append(max(worth)[1])
    return sorted(chosen)


@pytest.mark.parametrize("score", ["ind-orig", "ind-uniq", "seq-orig", "seq-uniq"])
def test_importance_is_rouge_with_the_rest(score):
    g = np.random.default_rng(5)
    documents = [[g.integers(0, 12, g.integers(1, 9)).tolist() for _ in range(g.integers(1, 9))] for _ in range(60)]
    starts = [[int(i == 0) for s in d for i in range(len(s))] for d in documents]
    rows = md.rows([[w for s in d for w in s] for d in documents], sentence=starts)
    found = gap_sentences(rows, Decisions(np.zeros(60, dtype=np.uint64)), 0.5, score=score)
    differ = 0
    for u, sentences in enumerate(documents):
        starts = np.cumsum([0, *map(len, sentences)])
        expected = important(sentences, max(1, len(sentences) // 2), score)
        assert found.unit(u) == [(int(starts[i]), len(sentences[i])) for i in expected]
        differ += expected != important(sentences, max(1, len(sentences) // 2), "ind-orig")
    assert score == "ind-orig" or differ > 5, "the four ways must differ on these texts"


def test_cmlm():
    drawn = example("cmlm")
    words = Words(drawn["text"])
    flags = np.array([0, 0, 0, 0, 0, 1, 0, 1], dtype=np.uint8)
    one = words.build("cmlm", force={"split": np.array([4]), "hidden": flags})
    assert words.parts(one) == (drawn["source"], drawn["reads"], drawn["says"])
    visible, answer = one.visible(), one.stream == 1
    assert visible[answer].all(), "the answer sees the source and all of itself"
    assert visible[~answer][:, ~answer].all()
    assert not visible[~answer][:, answer].any(), "the source does not see the answer"
    assert one.leaks == 0
    assert (one.target[answer] != SILENT).tolist() == [False, True, False, True]


def test_cmlm_hides_what_it_is_told_to():
    """The answer begins where the first hidden token stands."""
    words = Words(SENTENCE)
    objective = md.objective("cmlm").replace(frame=False)
    [step] = [step for step in objective.steps if step.hides]
    one = words.build("cmlm", force=step.hold(words.rows(), np.array([8]), [[(5, 6), (7, 8)]]))
    assert words.parts(one) == ("transformer models learn patterns from", "[MASK] text [MASK]", "large · corpora")


def test_mbart():
    drawn = example("mbart")
    words = Speaking(drawn["text"])
    one = words.build("mbart", force={"sentences": Spans.of([[(4, 4), (0, 4)]]), "spans": Spans.of([[(5, 1)]])}, frame=True)
    assert words.parts(one) == (drawn["source"], drawn["reads"], drawn["says"])


def test_mbart_item():
    words = Speaking("a b")
    source, read, said = words.parts(words.build("mbart", frame=True, infill=0.0, permute=False))
    assert said == source == "<s> a b </s> [en]"
    assert read == "[en] <s> a b </s>"


def test_mbart_says_the_language_of_each_document(vocab):
    rows = make_rows([60], 1, "isolated", documents=2)
    one = md.objective("mbart")(rows, vocab, provenance=True)[0]
    for segment in (0, 1):
        mine = one.segment == segment
        token = {0: 9, 1: 10}[segment]
        source, read, said = (c[mine & (one.stream == s)] for c, s in ((one.read, 0), (one.read, 1), (one.target, 1)))
        assert source[-1] == read[0] == said[-1] == token
        assert token not in said[:-1]
    with pytest.raises(ValueError, match=r"mbart needs the rows' `language` column"):
        md.objective("mbart")(md.rows([[100, 101]], sentence=[[1, 0]]), vocab)


def test_mbart_closes_every_sentence_up_to_a_bound(vocab):
    """One end of sequence for 8 tokens and 4 more, so that a row's length bounds the sample's."""
    def ends(starts):
        rows = md.rows([[100] * len(starts)], sentence=[starts], language=[[9] * len(starts)])
        one = md.objective("mbart", infill=0.0)(rows, vocab)[0]
        return int((one.target == vocab.eos).sum())

    assert ends([1, 0, 0, 1, 0]) == 2
    assert ends([0] * 40) == 1
    assert ends([1] * 40) == 40 // 8 + 4 + 1
