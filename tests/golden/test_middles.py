"""Fill in the middle, to the token and to the character: worked examples and traps."""

import re
from functools import cache

import numpy as np
import pytest

import maskdial as md
from maskdial.corruption.middle import AS_IS, PSM, SPM, SPM_1, Cuts
from maskdial.corruption.middle_text import same_tokens
from maskdial.data.tokenizer import train
from maskdial.sample import KINDS
from tests.contract import handmade
from tests.golden.spelled import SPECIAL, VOCAB, build, ids, seen, words
from tests.golden.words import example

FORMS = {"PSM": (PSM, 2), "SPM": (SPM, 2), "SPM 1": (SPM_1, 1)}


def fim(text, cuts, **options):
    return build("fim", text, force={"cuts": Cuts.of([cuts])}, **options)


@pytest.mark.parametrize("form", FORMS)
def test_fim_worked_example(form):
    """Cuts after the second and the fourth token; an end of document stays behind."""
    drawn, (number, variant) = example("fim"), FORMS[form]
    one = fim(drawn["text"], [(0, 6, number, 2, 4)], variant=variant)
    assert words(one.read) == drawn[form]
    assert words(one.target) == " ".join([*drawn[form].split()[1:], "·"])
    assert one.order.tolist() == one.position.tolist() == list(range(10))


def test_fim_agrees_with_the_contract():
    for variant, form in (("psm", PSM), ("spm", SPM)):
        one, case = fim("a b c d e f <EOT>", [(0, 6, form, 2, 4)]), handmade.fim(variant)
        assert seen(one) == ["".join("1" if x else "." for x in row) for row in case.sight]
        kinds = [KINDS[k] for k in one.kind]
        assert [o for o in one.origin.tolist() if o < 6] == [o for o in case.samples.origin.tolist() if o < 6]
        assert kinds.count("special") == 3
        assert [k for k, o in zip(kinds, one.origin, strict=True) if o in (2, 3)] == ["moved", "moved"], "the middle came later"


def test_fim_suffix_first_is_prefix_first_with_an_empty_prefix():
    """Variant 2: `<PRE> <SUF> suffix <MID> prefix middle` is what PSM writes when the prefix is cut to nothing."""
    spm = fim("a b c d e f <EOT>", [(0, 6, SPM, 2, 4)])
    psm = fim("a b c d e f <EOT>", [(0, 6, PSM, 0, 4)])
    assert words(spm.read) == words(psm.read) == "<PRE> <SUF> e f <MID> a b c d <EOT>"


@pytest.mark.parametrize(("cuts", "read"), [
    ((0, 0), "<PRE> <SUF> a <MID>"), ((0, 1), "<PRE> <SUF> <MID> a"), ((1, 1), "<PRE> a <SUF> <MID>"),
])  # fmt: skip
def test_fim_of_one_token_has_empty_parts(cuts, read):
    assert words(fim("a", [(0, 1, PSM, *cuts)]).read) == read


def test_fim_leaves_an_empty_text_alone():
    s = md.objective("fim", rate=1.0)(md.rows([[], [3], ids("a")]), VOCAB)
    assert [len(one) for one in s] == [0, 1, 4]
    assert words(s[1].read) == "<EOT>", "an empty document has nothing to move and keeps its end"


def sections(read, end="<EOT>"):
    """The documents of what was read, each as its text in order: parts are put back by their sentinels."""
    made = []
    for piece in re.split(f"(?<={end})", words(read)):
        parts, name = {"": []}, ""
        for word in piece.split():
            if word in ("<PRE>", "<SUF>", "<MID>"):
                name = word
                parts[name] = []
            else:
                parts[name].append(word)
        last = parts.get("<MID>", parts[""])
        closing = [last.pop()] if last and last[-1] == end else []
        made += [*parts.get("<PRE>", []), *parts.get("<MID>", []), *parts.get("<SUF>", []), *parts[""], *closing]
    return " ".join(made)


def test_fim_turns_each_document_of_a_row_and_trims_it_to_three_more():
    text = "a b c d <EOT> e f g h <EOT> i j k l"
    for seed in range(20):
        one = build("fim", text, rate=1.0, seed=seed)
        assert len(one) == 14 + 3, "three documents would have grown by nine"
        full = " ".join(words(one.read).split())
        assert full.split().count("<EOT>") == 2
        first = full.split("<EOT>")[0]
        assert set(first.split()) - set(SPECIAL) == set("abcd"), "no document takes words of another"
        assert all(first.split().count(s) == 1 for s in ("<PRE>", "<SUF>", "<MID>"))


def test_fim_parts_make_the_text_again():
    for options in ({}, {"variant": 1}, {"level": "document"}):
        changed = 0
        for seed in range(40):
            text = "a b c d e f g h <EOT>"
            one = build("fim", text, seed=seed, **options)
            assert sections(one.read) == text
            count = [words(one.read).split().count(s) for s in ("<PRE>", "<SUF>", "<MID>")]
            assert count in ([1, 1, 1], [0, 0, 0])
            changed += count[0]
        assert 5 < changed < 35


def test_fim_document_level_keeps_the_last_end_token_last():
    for seed in range(10):
        one = build("fim", "a b <EOT> c d <EOT>", rate=1.0, level="document", seed=seed)
        assert len(one) == 6 + 3
        assert words(one.read).endswith("<EOT>")
        assert words(one.read).count("<PRE>") == 1, "a joined row is one document there"
        apart = build("fim", "a b <EOT> c d <EOT>", rate=1.0, level="document", seed=seed, segment=[0] * 3 + [1] * 3)
        assert words(apart.read).count("<PRE>") == 2
        assert sections(apart.read) == "a b <EOT> c d <EOT>"
        assert len(apart) == 6 + 6


def test_fim_says_what_it_misses():
    with pytest.raises(ValueError, match=r"fim needs the tokens prefix, middle and suffix .* no suffix.*fim=\{"):
        md.objective("fim", rate=1.0)(md.rows([[10, 11]]), md.Vocab(size=50, fim={"prefix": 1, "middle": 2}))
    with pytest.raises(ValueError, match=r"unit='char'.*codec"):
        md.objective("fim", unit="char")(md.rows([[10, 11]]), VOCAB)


TEXT = "def add(left, right):\n    return left + right  # größer, 加法 🙂 <fim_middle> and <|endoftext|>\n"


@cache
def code():
    """A byte-level tokenizer in which most words are one token."""
    return train([TEXT] * 50, 320)


def parts_of(one, fim):
    """(form, prefix, middle, suffix) as ids of a sample that was turned; None for one that was not."""
    at = {name: np.flatnonzero(one.read == fim[name]).tolist() for name in ("prefix", "suffix", "middle")}
    if not at["prefix"]:
        return None
    assert all(len(places) == 1 for places in at.values()), "a text that spells a sentinel does not contain one"
    p, s, m = at["prefix"][0], at["suffix"][0], at["middle"][0]
    read = one.read.tolist()
    if p < s:
        return (PSM if s > p + 1 else SPM), read[p + 1 : s], read[s + 1 : m], read[m + 1 :]
    return SPM_1, read[p + 1 : m], read[s + 1 : p], read[m + 1 :]


@pytest.mark.parametrize("variant", [1, 2])
def test_fim_cuts_characters_and_loses_none(variant):
    tokenizer = code()
    v, tokens = tokenizer.vocab, tokenizer.encode(TEXT)
    objective = md.objective("fim", rate=1.0, unit="char", variant=variant)
    s = objective(md.rows([tokens] * 60), v, provenance=True)
    broken = 0
    for one in s:
        form, prefix, suffix, middle = parts_of(one, v.fim)
        assert form in ((PSM, SPM) if variant == 2 else (PSM, SPM, SPM_1))
        assert "".join(map(v.codec.decode, (prefix, middle, suffix))) == TEXT
        assert len(one) <= len(tokens) + 16
        assert one.leaks == 0
        kept = one.origin < len(tokens)
        assert (one.read[kept] == np.array(tokens)[one.origin[kept]]).all(), "a token keeps its number only where it is the same"
        assert len(set(one.origin[kept].tolist())) == kept.sum()
        broken += int((one.kind == KINDS.index("replaced")).any())
    assert broken > 20, "cuts go through tokens"
    assert all(parts_of(one, v.fim) for one in md.objective("fim", rate=1.0, variant=variant)(md.rows([tokens] * 60), v))


def test_fim_marks_only_the_tokens_at_a_cut_as_replaced():
    tokenizer = code()
    tokens = tokenizer.encode("return left + right")
    rows = md.rows([tokens])
    objective = md.objective("fim", unit="char", rate=1.0)
    cuts = Cuts.of([[(0, len(tokens), PSM, len("return le"), len("return left +"))]])
    drawn = objective.draw(rows, tokenizer.vocab, force={"cuts": cuts})
    one = objective.build(rows, tokenizer.vocab, drawn, provenance=True)[0]
    spelled = [tokenizer.vocab.codec.decode([int(t)]) for t in one.read]
    replaced = [word for word, kind in zip(spelled, one.kind, strict=True) if KINDS[kind] == "replaced"]
    assert "".join(replaced).strip() == "left"
    assert [KINDS[k] for k in one.kind].count("special") == 3


def test_fim_keeps_the_bytes_of_characters_that_a_window_cuts():
    tokenizer = md.data.load("bytes")
    v, tokens = tokenizer.vocab, tokenizer.encode("é加法🙂é")
    objective = md.objective("fim", unit="char", rate=1.0)
    for first in range(4):
        for last in range(4):
            window = tokens[first : len(tokens) - last]
            one = objective(md.rows([window], index=[first * 4 + last]), v, provenance=True)[0]
            body = sorted(set(range(len(window))) - set(one.origin[one.kind != KINDS.index("special")].tolist()))
            assert not body, "no byte is lost or made anew"
            assert (one.kind == KINDS.index("special")).sum() == 3, "what is whole is turned all the same"


def test_same_tokens_walks_in_step_again_after_a_cut():
    spell = {1: "re", 2: "turn", 3: " left", 4: " le", 5: "ft", 6: " +", 7: " +", 8: "return"}
    decode = lambda found: "".join(spell[i] for i in found)  # noqa: E731
    assert same_tokens([8, 4, 5, 6], [8, 3, 6], decode) == [0, -1, -1, 2]
    assert same_tokens([1, 2, 3, 6], [8, 3, 6], decode) == [-1, -1, 1, 2]
    assert same_tokens([8, 3, 7], [8, 3, 6], decode) == [0, 1, -1]
    assert same_tokens([], [8], decode) == []


def test_a_piece_that_stays_is_marked_so():
    assert AS_IS == 0
    assert words(fim("a b", [(0, 2, AS_IS, 1, 1)]).read) == "a b"


def test_fim_is_the_same_inside_a_frame():
    """Without a frame one pass draws and writes; within one, or with provenance, or with given cuts, that is done apart."""
    rows = md.rows([ids("a b c d e f <EOT>"), [], ids("a"), ids("f e <EOT> d c b a")])
    plain = md.objective("fim", rate=0.7)
    framed = plain.replace(head="bos", tail="eos")
    turned = 0
    for epoch in range(20):
        once = plain(rows, VOCAB, epoch=epoch)
        bare, whole = (one(rows, VOCAB, epoch=epoch, provenance=True) for one in (plain, framed))
        for inner, outer in zip(bare, whole, strict=True):
            assert outer.read.tolist() == [VOCAB.bos, *inner.read.tolist(), VOCAB.eos]
            assert outer.target.tolist() == [*outer.read.tolist()[1:], md.SILENT]
            assert inner.target.tolist() == ([*inner.read.tolist()[1:], md.SILENT] if len(inner) else [])
            assert outer.kind.tolist()[1:-1] == inner.kind.tolist()
            turned += len(inner) > 7
        drawn = plain.draw(rows, VOCAB, epoch=epoch)
        assert drawn["cuts"].count.tolist() == [1, 0, 1, 2]
        given = plain.draw(rows, VOCAB, force={"cuts": drawn["cuts"]})
        for apart in (once, plain.build(rows, VOCAB, drawn), plain.build(rows, VOCAB, given)):
            assert (apart.read == bare.read).all()
            assert (apart.target == bare.target).all()
            assert (apart.offsets == bare.offsets).all()
    assert turned > 20
