"""A mixture behaves like an objective: its rows are its members' samples, bit for bit, each in its own room."""

from dataclasses import replace

import numpy as np
import pytest

import maskdial as md
from maskdial.mixture import Mixture, restore
from maskdial.mixture.table import take
from maskdial.sample import PROVENANCE, SILENT
from tests.conftest import make_rows

LENGTHS = [0, 1, 2, 3, 5, 8, 13, 30, 31, 64, 127, 200, 40, 41, 42, 43, 44, 45, 46, 47]
NAMES = ["bart", "bert", "gpt", "prefix-lm", "t5"]


def of_all(**settings):
    """Five recipes, three of which have mode tokens."""
    members = {"r": (md.objective("t5"), 0.3), "s": (md.objective("prefix-lm"), 0.2), "x": (md.objective("bart"), 0.2),
               "bert": (md.objective("bert"), 0.15), "gpt": (md.objective("gpt"), 0.15)}  # fmt: skip
    return md.mixture(members, **settings)


def columns(one):
    names = ["read", "position", "segment", "stream", "order", *(f"{p}:{h.name}" for h in one.heads for p in ("target", "weight"))]
    return names + [n for n in PROVENANCE if one.table.has(n)]


def same(one, other):
    """Two samples hold the same bits."""
    for name in columns(one):
        np.testing.assert_array_equal(one.column(name), other.column(name), err_msg=name)
        assert one.column(name).dtype == other.column(name).dtype, name


@pytest.mark.parametrize("packing", ["joined", "isolated"])
@pytest.mark.parametrize("name", NAMES)
def test_a_mixture_of_one_is_that_one(name, packing, vocab):
    objective = md.objective(name)
    mixture = md.mixture({name: objective})
    rows = make_rows(LENGTHS, 1, packing, documents=3, index=np.arange(900, 900 + len(LENGTHS)))
    alone, mixed = (o(rows, vocab, seed=4, epoch=2, provenance=True) for o in (objective, mixture))
    np.testing.assert_array_equal(alone.offsets, mixed.offsets)
    np.testing.assert_array_equal(alone.index, mixed.index)
    np.testing.assert_array_equal(alone.body, mixed.body)
    assert (mixed.layout, mixed.heads, mixed.pad, mixed.start, mixed.objective) == (*vars_of(alone), "mixture")
    for a, b in zip(alone, mixed, strict=True):
        same(a, b)
    for length in (32, 128):
        assert mixture.room(length, vocab=vocab) == objective.room(length, vocab=vocab)
    assert mixture.scored_share(512) == objective.scored_share(512)
    assert (mixture.visibility, mixture.sees_own) == (objective.visibility, objective.sees_own)


def vars_of(samples):
    return samples.layout, samples.heads, samples.pad, samples.start


@pytest.mark.parametrize("packing", ["joined", "isolated"])
def test_every_row_is_its_members_own_sample_whatever_the_batch(packing, vocab):
    mixture = of_all()
    rows = make_rows(LENGTHS, 2, packing, documents=2, index=np.arange(70, 70 + len(LENGTHS)))
    together = mixture(rows, vocab, seed=5, epoch=1, provenance=True)
    assert (together.index == rows.index).all()
    seen = set()
    for i, n in enumerate(rows.index.tolist()):
        name = mixture.member_of(n)
        seen.add(name)
        part = slice(int(rows.offsets[i]), int(rows.offsets[i + 1]))
        text = {"segment": [rows.segment[part]], "sentence": [rows.sentence[part]], "word": [rows.word[part]], "packing": packing}
        own = md.rows([rows.tokens[part]], index=[mixture.count_before(name, n)], **text)
        same(mixture.member(name, vocab)(own, vocab, seed=5, epoch=1, provenance=True)[0], together[i])
        alone = md.rows([rows.tokens[part]], index=[n], **text)
        same(mixture(alone, vocab, seed=5, epoch=1, provenance=True)[0], together[i])
    assert seen == set(mixture.members)


def test_rows_are_taken_with_all_their_columns():
    rows = make_rows([3, 0, 5, 4], 13, "isolated", documents=2)
    some = take(rows, np.array([0, 2]), np.array([7, 8], dtype=np.uint64))
    chosen = np.r_[0:3, 3:8]
    for name in ("tokens", "segment", "word", "sentence", "part", "language"):
        np.testing.assert_array_equal(getattr(some, name), getattr(rows, name)[chosen])
    assert (some.offsets.tolist(), some.index.tolist(), some.packing) == ([0, 3, 8], [7, 8], "isolated")
    np.testing.assert_array_equal(some.label, rows.label[[0, 2]])
    fields = set(vars(replace(rows))) - {"tokens", "segment", "word", "sentence", "part", "language"}
    assert fields == {"offsets", "index", "packing", "label"}, "a new column of rows must be taken too"


def sample_of(mixture, member, k, row, vocab):
    """The member's k-th sample, made by the mixture from this row."""
    n = next(n for n in range(1000) if mixture.member_of(n) == member and mixture.count_before(member, n) == k)
    return mixture(replace(row, index=np.array([n], dtype=np.uint64)), vocab)[0]


def test_a_members_noise_does_not_depend_on_its_company(vocab):
    row = make_rows([90], 3)
    few = md.mixture({"gpt": (md.objective("gpt"), 2), "r": (md.objective("t5"), 1)})
    scheduled = of_all(schedule=[(9, {"gpt": 1, "bert": 1}), (None, {"r": 1, "s": 1, "x": 1})])
    for k in (0, 7):
        reads = [sample_of(m, "r", k, row, vocab).read.tolist() for m in (few, of_all(), scheduled)]
        assert reads[0] == reads[1] == reads[2]
    assert sample_of(few, "r", 0, row, vocab).read.tolist() != reads[0]
    twins = md.mixture({"a": md.objective("bert"), "b": md.objective("bert")})
    assert sample_of(twins, "a", 3, row, vocab).read.tolist() != sample_of(twins, "b", 3, row, vocab).read.tolist()


def test_seed_epoch_and_number_move_the_noise_and_build_is_a_function_of_decisions(vocab):
    mixture, rows = of_all(), make_rows(LENGTHS, 4)
    first = mixture(rows, vocab)
    drawn = mixture.draw(rows, vocab)
    assert len(drawn.keys) == len(rows.units)
    assert len(set(drawn.keys.tolist())) == len(rows)
    again = mixture.build(rows, vocab, drawn)
    for a, b in zip(first, again, strict=True):
        same(a, b)
    later = replace(rows, index=rows.index + np.uint64(10_000))
    others = [mixture(rows, vocab, seed=1), mixture(rows, vocab, epoch=1), mixture(later, vocab)]
    assert len({s.read.tobytes() for s in [first, *others]}) == 4


def test_a_decision_is_forced_by_member_and_name(vocab):
    mixture = md.mixture({"s": md.objective("prefix-lm")})
    rows = make_rows([20, 30], 5)
    forced = mixture.draw(rows, vocab, force={"s": {"split": np.array([4, 9])}})
    samples = mixture.build(rows, vocab, forced)
    assert [int((s.target != SILENT).sum()) for s in samples] == [16, 21]
    with pytest.raises(ValueError, match="no member 'z'"):
        mixture.draw(rows, vocab, force={"z": {}})


def test_a_mode_token_stands_in_front_and_is_never_asked(vocab):
    rows = make_rows([50] * 200, 6)
    everything = md.objective("bert", count="fairseq", rate=1.0, mask=1.0, random=0.0)
    members = {"r": md.objective("t5"), "s": md.objective("prefix-lm"), "cls": (everything, 1, "X"), "gpt": md.objective("gpt")}
    mixture = md.mixture(members)
    samples = mixture(rows, vocab, provenance=True)
    modes = {"r": vocab.modes["R"], "s": vocab.modes["S"], "cls": vocab.modes["X"]}
    whole = 0
    for s in samples:
        name = mixture.member_of(s.index)
        if name == "gpt":
            assert s.read[0] not in vocab.special
        else:
            assert s.read[0] == modes[name]
            assert s.target[0] == SILENT
        assert not np.isin(s.target, list(vocab.modes.values())).any()
        assert not np.isin(s.read[1:], list(vocab.modes.values())).any()
        whole += name == "cls" and s.target[-1] == vocab.sep
    assert whole == 50, "the other frame token is still asked where it was chosen"
    bare = md.mixture(members, mode_tokens=False)(rows, vocab)
    assert not np.isin(bare.read, list(vocab.modes.values())).any()


def test_a_mode_that_was_named_must_be_there_and_a_name_need_not(vocab):
    lacking = replace(vocab, modes={"S": 12})
    rows = make_rows([20] * 4, 7)
    pair = {"r": md.objective("t5"), "s": md.objective("prefix-lm")}
    samples = md.mixture(pair)(rows, lacking)
    assert {int(s.read[0]) for s in samples} & {11, 12} == {12}
    named = {**pair, "r": (md.objective("t5"), 1, "R")}
    with pytest.raises(ValueError, match="needs the mode token 'R'"):
        md.mixture(named)(rows, lacking)


@pytest.mark.parametrize("length", [32, 128, 512])
@pytest.mark.parametrize("layout", ["decoder", "encoder-decoder"])
def test_every_members_room_holds_its_samples_and_its_mode_token(layout, length, vocab):
    members = {"r": md.objective("t5"), "s": md.objective("t5", rate=0.5, mean_length=8.0), "x": md.objective("bart")}
    if layout == "decoder":
        members |= {"lm": (md.objective("prefix-lm"), 1, "S"), "m": (md.objective("bert"), 1, "X")}
    mixture = md.mixture(members, layout=layout)
    for name, room in mixture.rooms(length, vocab=vocab).items():
        one = mixture.member(name, vocab)
        samples = one(make_rows([room.raw] * 30, 8), vocab)
        source = np.array([(s.stream == 0).sum() for s in samples]) if one.target.answers else np.diff(samples.offsets)
        total = np.diff(samples.offsets)
        filled = source if layout == "encoder-decoder" else total
        assert (filled <= length).all()
        assert (source <= room.source).all()
        assert (total - source <= room.answer).all()
        if room.exact:
            assert (source == room.source).all()
            assert (total - source == room.answer).all()
        head = members[name][0].head if isinstance(members[name], tuple) else members[name].head
        assert one.room(length, vocab=vocab).raw <= replace(one, head=head).room(length, vocab=vocab).raw
    room = mixture.room(length, vocab=vocab)
    samples = mixture(make_rows([room.raw] * 30, 8), vocab)
    batch = samples.batch()
    assert all(batch[name].shape[1] <= length for name in ("read", "source_read") if name in batch)


def test_layouts_are_shared_or_the_decoders(vocab):
    o = {name: md.objective(name) for name in NAMES}
    assert md.mixture({"a": o["t5"], "b": o["bart"]}).layout == "encoder-decoder"
    assert md.mixture({"a": o["bert"], "b": md.objective("bert", rate=0.3)}).layout == "encoder"
    assert md.mixture({"a": o["bert"], "b": o["gpt"]}).layout == "decoder"
    mixed = md.mixture({"a": o["t5"], "b": o["gpt"]})
    assert mixed.layout == "decoder"
    batch = mixed(make_rows([30] * 6), vocab).batch()
    assert (batch.layout, batch["read"].shape[0]) == ("decoder", 6)
    assert md.mixture({"a": o["t5"], "b": o["bart"]}).replace(layout="decoder").layout == "decoder"
    for made in (lambda: md.mixture({"a": o["t5"], "b": o["gpt"]}, layout="encoder-decoder"), lambda: mixed.replace(layout="encoder")):
        with pytest.raises(ValueError, match="which fits all"):
            made()


def test_an_answer_laid_behind_its_source_is_the_same_batch(vocab):
    """Two stacks' samples run in a decoder: what the layout of a batch does, done by the mixture."""
    rows = make_rows([60] * 5, 9)
    objective = md.objective("t5")
    ours = md.mixture({"t5": objective}, layout="decoder")(rows, vocab).batch()
    theirs = objective(rows, vocab).batch("decoder")
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def two_headed(weight):
    """bert that also asks every first position for a class, under a second head, and brings a column of its own."""
    def more(build):
        asked = np.full(build.out[-1], SILENT, dtype=np.int32)
        asked[build.begin] = 1
        return {"target:first": asked, "left": np.ones(build.out[-1], dtype=np.int32)}

    def answers(build):
        return {"answer:first": np.full(build.out[-1], -1, dtype=np.int32)}

    head = md.Head("first", kind="class", coefficient=weight)
    return replace(md.objective("bert"), heads=(md.Head(), head), columns=more, answers=answers)


def test_heads_are_united_by_name(vocab):
    mixture = md.mixture({"a": (two_headed(1.0), 0.5), "b": (md.objective("gpt"), 0.5)})
    assert [h.name for h in mixture.heads] == ["token", "first"]
    rows = make_rows([30] * 8, 10)
    samples = mixture(rows, vocab, provenance=True)
    for s in samples:
        assert (s.targets["first"] != SILENT).sum() == (mixture.member_of(s.index) == "a")
        assert (s.column("weight:first") == (s.targets["first"] != SILENT)).all()
        assert s.leaks >= 0
        assert (s.column("answer:first") == -1).all()
        assert (s.column("left") == (mixture.member_of(s.index) == "a")).all()
    only = make_rows([30], 10, index=[next(n for n in range(9) if mixture.member_of(n) == "b")])
    assert (mixture(only, vocab).targets["first"] == SILENT).all(), "every head has its column whoever is there"
    with pytest.raises(ValueError, match="ask the head 'first' differently"):
        md.mixture({"a": two_headed(1.0), "b": two_headed(2.0)})
    with pytest.raises(ValueError, match="first heads"):
        md.mixture({"a": md.objective("bert"), "b": replace(md.objective("bert"), heads=(md.Head("other"),))})


def test_a_column_that_no_value_stands_for_is_not_made_up(vocab):
    turned = replace(md.objective("bert"), columns=lambda build: {"position2": np.zeros(build.out[-1], dtype=np.int32)})
    mixture = md.mixture({"a": turned, "b": md.objective("bert")})
    with pytest.raises(ValueError, match="position2"):
        mixture(make_rows([30] * 4), vocab)
    assert mixture.member("a", vocab)(make_rows([30] * 4), vocab).has("position2")


def test_no_rows_are_no_samples(vocab):
    samples = of_all()(md.rows([]), vocab)
    assert (len(samples), samples.num_scored, samples.layout) == (0, 0, "decoder")


@pytest.mark.parametrize("length", [64, 512])
def test_weights_by_token_and_by_flop_are_converted(length):
    members = {"r": (md.objective("t5"), 0.5), "s": (md.objective("prefix-lm"), 0.3), "x": (md.objective("bert"), 0.2)}
    weights = np.array([0.5, 0.3, 0.2])

    class Counting:
        def flops(self, batch, scored=None):
            return 100.0 * batch["read"].shape[1] + 7.0 * scored["token"]

    by_token = md.mixture(members, by="token", length=length)
    rooms = by_token.rooms(length)
    tokens = np.array([by_token.shares[n] * rooms[n].raw for n in members])
    np.testing.assert_allclose(tokens / tokens.sum(), weights)
    positions = md.mixture(members, by="flop", length=length)
    read = np.array([positions.shares[n] * (rooms[n].source + rooms[n].answer) for n in members])
    np.testing.assert_allclose(read / read.sum(), weights)
    counted = md.mixture(members, by="flop", length=length, model=Counting())
    scored = {n: round(members[n][0].scored_share(rooms[n].raw) * rooms[n].raw) for n in members}
    cost = {n: 100 * (rooms[n].source + rooms[n].answer) + 7 * scored[n] for n in members}
    spent = np.array([counted.shares[n] * cost[n] for n in members])
    np.testing.assert_allclose(spent / spent.sum(), weights)
    n = 50_000
    seen = np.array([by_token.count_before(name, n) * rooms[name].raw for name in members], dtype=float)
    np.testing.assert_allclose(seen / seen.sum(), weights, atol=2e-4)
    assert (by_token.length, md.mixture(members).length) == (length, None)


def test_weights_by_flop_take_a_real_model_of_two_stacks():
    from tests.model import helpers as small

    mixture = md.mixture({"a": md.objective("t5"), "b": md.objective("bart")}, by="flop", length=64, model=small.model("encoder-decoder"))
    assert mixture.shares["a"] > mixture.shares["b"], "bart says the whole text again, so its samples cost more"


def test_a_schedules_shares_are_those_of_the_run():
    mixture = of_all(schedule=[(0.25, {"gpt": 1}), (1.0, {"r": 0.5, "s": 0.25, "x": 0.15, "bert": 0.1})])
    assert mixture.in_shares
    np.testing.assert_allclose(list(mixture.shares.values()), [0.375, 0.1875, 0.1125, 0.075, 0.25])
    run = mixture.over(8000)
    assert [run.count_before(n, 8000) for n in run.members] == [3000, 1500, 900, 600, 2000]
    assert not mixture.over(80).turns.count_before(0, 20)
    with pytest.raises(ValueError, match="over"):
        mixture.member_of(0)


def test_dials_turn_in_every_member(vocab):
    rows = make_rows([30] * 10, 11)
    turned = of_all().replace(visibility="causal")
    assert turned.visibility == "causal"
    for s, plain in zip(turned(rows, vocab), of_all()(rows, vocab), strict=True):
        assert (s.visible() == np.tri(len(s), dtype=bool)).all()
        assert (s.read == plain.read).all()
    with pytest.raises(ValueError, match="visibility is"):
        turned.replace(visibility="sideways")
    named = replace(of_all().replace(name="mine"), about=None, options={"k": 1})
    assert (named.name, named.options, named(rows, vocab).objective) == ("mine", {"k": 1}, "mine")


def test_it_explains_itself_and_is_made_again_from_its_words(vocab):
    causal = md.objective("bert").replace(visibility="causal")
    members = {"r": (md.objective("bart", compat="fairseq"), 3), "l2r": (causal, 1, "S")}
    mixture = md.mixture(members, schedule=[(0.5, {"r": 1}), (1.0, {"r": 1, "l2r": 1})], by="token", length=64).over(100)
    said = mixture.explain()
    plain = md.objective("bert")
    assert set(plain.explain()) <= set(said)
    assert said["members"]["l2r"]["mode"] == "S"
    bart, bert = (room.raw for room in mixture.rooms(64).values())
    share = 0.5 + 0.5 * bert / (bart + bert)
    assert said["formula"] == f"{share:.0%} bart + {1 - share:.0%} bert"
    assert said["visibility"] == "mixed"
    again = restore("mixture", mixture.options, md.objective).over(100)
    rows = make_rows([30] * 100, 12)
    for a, b in zip(mixture(rows, vocab), again(rows, vocab), strict=True):
        same(a, b)
    assert again.options == mixture.options
    assert isinstance(again, Mixture)


def test_mistakes_are_named():
    t5, gpt, one = md.objective("t5"), md.objective("gpt"), "must be an objective"
    for members, settings, message in [
        ({}, {}, "at least one member"), ({"a": "t5"}, {}, one), ({"a": md.mixture({"b": t5})}, {}, one),
        ({"a": (t5, 0), "b": gpt}, {}, "never have a turn"), ({"a": (t5, -1)}, {}, "from 0 up"),
        ({"a": t5}, {"by": "word"}, "'sample', 'token'"),
        ({"a": t5}, {"by": "token"}, "say length="), ({"a": t5}, {"schedule": [(1.0, {"t5": 1})]}, "no member 't5'"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            md.mixture(members, **settings)
    with pytest.raises(ValueError, match="no member 'gtp': did you mean 'gpt'"):
        md.mixture({"gpt": gpt, "t5": t5}).count_before("gtp", 5)
