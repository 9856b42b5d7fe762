"""Laws that hold for every recipe, present and future. Each proves that its interesting case occurred."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import maskdial as md
from maskdial.objective import declared
from maskdial.sample import KEPT, MOVED, SAME, SILENT
from tests.conftest import make_rows
from tests.laws.cases import CASES, CHOSEN_BY_TEXT, IDS

LENGTHS = [0, 1, 2, 3, 5, 8, 13, 30, 31, 64, 127, 200]
every = pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)


def same(a, b):
    """Two tables hold the same bits."""
    assert (a.offsets == b.offsets).all()
    for name in ("read", "position", "segment", "stream", "order", *(f"{c}:{h.name}" for h in a.heads for c in ("target", "weight"))):
        assert (a.column(name) == b.column(name)).all(), name


def apart(rows, cuts, of, **given):
    """These stretches of rows, each as a row of its own, with every column."""
    columns = {name: [getattr(rows, name)[cut] for cut in cuts] for name in ("word", "sentence", "part", "language")}
    return md.rows([rows.tokens[cut] for cut in cuts], label=rows.label[np.asarray(of)], **columns, **given)


@every
def test_own_answers_are_visible_exactly_as_declared(name, options, vocab):
    objective = md.objective(name, **options)
    for seed in range(3):
        samples = objective(make_rows(LENGTHS, seed), vocab, seed=seed, provenance=True)
        assert sum(s.leaks for s in samples) == declared(objective, samples)
    scored = samples.num_scored
    assert scored or options.get("rate") == 0.0
    if objective.sees_own != "never" and scored:
        assert (declared(objective, samples) > 0) == (options.get("rate") != 0.0), "the declared case must occur"


@every
def test_no_sight_across_segments(name, options, vocab):
    objective = md.objective(name, **options)
    samples = objective(make_rows([40, 60, 3], 1, "isolated", documents=3), vocab, provenance=True)
    crossed = 0
    for s in samples:
        other = s.segment[:, None] != s.segment[None, :]
        assert not (s.visible() & other).any()
        crossed += int(other.sum())
    assert crossed > 100


@every
def test_same_key_same_sample_whatever_the_batch(name, options, vocab):
    objective = md.objective(name, **options)
    rows = make_rows(LENGTHS, 2, index=np.arange(100, 100 + len(LENGTHS)))
    together = objective(rows, vocab, seed=5, epoch=2)
    for i in (3, 7, 11):
        part = slice(int(rows.offsets[i]), int(rows.offsets[i + 1]))
        alone = apart(rows, [part], [i], index=[100 + i])
        one = objective(alone, vocab, seed=5, epoch=2)
        for column in ("read", "position", "stream", "order", "target", "weight"):
            assert (getattr(one[0], column) == getattr(together[i], column)).all()


@every
def test_noise_moves_with_seed_epoch_and_index_only(name, options, vocab):
    objective = md.objective(name, **options)
    draws = not hasattr(objective, "steps") or any(step.decisions for step in objective.steps)
    rows, again = make_rows([150, 200] * 4, 3), make_rows([150, 200] * 4, 3, index=np.arange(7, 15))  # some are left as they are
    first = objective(rows, vocab)
    same(first, objective(rows, vocab))
    if not draws or options in ({"rate": 1.0}, {"rate": 0.0}, {"split": 0.25}):
        return

    def bits(samples):
        return samples.read.tobytes() + samples.target.tobytes() + samples.order.tobytes()

    others = [objective(rows, vocab, seed=1), objective(rows, vocab, epoch=1), objective(again, vocab)]
    assert len({bits(s) for s in [first, *others]}) == (1 if (name, options) in CHOSEN_BY_TEXT else 4)


@every
@pytest.mark.parametrize("visibility", ["bidirectional", "causal", "prefix"])
def test_turning_see_never_moves_the_noise(name, options, visibility, vocab):
    objective = md.objective(name, **options)
    rows = make_rows([60, 100], 4)
    plain, turned = objective(rows, vocab), objective.replace(visibility=visibility)(rows, vocab)
    assert (plain.read == turned.read).all()
    assert (plain.target == turned.target).all()
    if visibility == "bidirectional":
        assert turned[0].visible().all()
    if visibility == "causal":
        assert (turned[0].visible() == np.tri(len(turned[0]), dtype=bool)).all()


@every
def test_build_of_draw_is_the_call(name, options, vocab):
    objective = md.objective(name, **options)
    rows = make_rows(LENGTHS, 5)
    same(objective.build(rows, vocab, objective.draw(rows, vocab, seed=3, epoch=1)), objective(rows, vocab, seed=3, epoch=1))


@every
def test_the_text_is_rebuilt_from_read_and_target(name, options, vocab):
    objective = md.objective(name, **options)
    rows = make_rows(LENGTHS, 6)
    samples = objective(rows, vocab, provenance=True)
    for i, s in enumerate(samples):
        text = rows.tokens[rows.offsets[i] : rows.offsets[i + 1]]
        shown = (s.origin < len(text)) & np.isin(s.kind, (KEPT, SAME, MOVED))
        assert (s.read[shown] == text[s.origin[shown]]).all()
        asked = (s.answer >= 0) & (s.answer < len(text))
        assert (s.target[asked] == text[s.answer[asked]]).all()
        assert ((s.answer >= 0) == (s.target != SILENT)).all()
        found = set(s.origin[shown & (s.kind != SAME)].tolist()) | set(s.answer[asked].tolist())
        assert found == set(range(len(text))), "every token of the text is read as it is or asked"


@every
@pytest.mark.parametrize("length", [32, 128, 512])
def test_the_shape_fits_and_is_exact_where_declared(name, options, length, vocab):
    objective = md.objective(name, **options)
    for layout in {objective.layout, "decoder" if objective.layout == "encoder-decoder" else objective.layout}:
        room = objective.room(length, layout, vocab)
        samples = objective(make_rows([room.raw] * 40, 7), vocab)
        source = np.array([(s.stream == 0).sum() for s in samples])
        total = np.diff(samples.offsets)
        if objective.layout != "encoder-decoder":
            source = total
        filled = source if layout == "encoder-decoder" else total
        assert (filled <= length).all()
        assert (source <= room.source).all()
        assert (total - source <= room.answer).all()
        if room.exact:
            assert (source == room.source).all()
            assert (total - source == room.answer).all()
            assert filled[0] == length or objective.room(length + 1, layout, vocab).raw > room.raw
        more = objective(make_rows([room.raw + 1] * 40, 7), vocab)
        wide = [max((s.stream == 0).sum(), (s.stream == 1).sum()) if layout == "encoder-decoder" else len(s) for s in more]
        assert not room.exact or max(wide) > length, "one more token would not fit"


@every
def test_position_depends_on_lengths_only(name, options, vocab):
    objective = md.objective(name, **options)
    samples = objective(make_rows([64] * 60, 8), vocab)
    by_lengths = {}
    for s in samples:
        folded = objective.layout != "encoder-decoder"
        key = (len(s), 0 if folded else int((s.stream == 0).sum()))
        by_lengths.setdefault(key, []).append(s.position.tobytes())
    assert max(map(len, by_lengths.values())) > 1, "some lengths must meet"
    alike = all(len(set(found)) == 1 for found in by_lengths.values())
    assert alike == (objective.places == "lengths"), "a recipe whose positions tell what was drawn says so"


@every
def test_packed_equals_separate_for_the_same_decisions(name, options, vocab):
    objective = md.objective(name, **options)
    packed = make_rows([50, 80], 9, "isolated", documents=3)
    units = packed.units
    cut = [slice(int(a), int(b)) for a, b in zip(units.offsets[:-1], units.offsets[1:], strict=True)]
    decisions = objective.draw(packed, vocab, seed=1)
    separate = apart(packed, cut, units.row, index=packed.index[units.row], packing="isolated")
    a, b = objective.build(packed, vocab, decisions), objective.build(separate, vocab, decisions)
    assert len(b) > len(a)
    for column in ("read", "position", "stream", "order", "target", "weight"):
        assert (getattr(a, column) == getattr(b, column)).all(), column
    place = 0
    for s in a:
        visible, done = s.visible(), 0
        while done < len(s):
            alone = b[place]
            block = slice(done, done + len(alone))
            assert (visible[block, block] == alone.visible()).all()
            done, place = done + len(alone), place + 1


@every
def test_a_batch_holds_the_table(name, options, vocab):
    objective = md.objective(name, **options)
    samples = objective(make_rows([20, 40, 40], 10), vocab)
    batch = samples.batch()
    if objective.layout == "encoder-decoder":
        shown = [batch["source_read"][batch["source_segment"] >= 0], batch["answer_read"][batch["answer_segment"] >= 0]]
        assert (shown[0] == samples.read[samples.stream == 0]).all()
        assert (shown[1] == samples.read[samples.stream == 1]).all()
        assert (batch["target:token"] != SILENT).sum() == samples.num_scored
        decoder = samples.batch("decoder")
        assert (decoder["read"][decoder["segment"] >= 0] == samples.read).all()
        assert (np.diff(decoder["position"][:, :5], axis=1) == 1).all()
    else:
        assert (batch["read"][batch["segment"] >= 0] == samples.read).all()
        assert (batch["target:token"][batch["segment"] < 0] == SILENT).all()


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(0, 80), min_size=1, max_size=6), seed=st.integers(0, 2**63), epoch=st.integers(0, 1000),
       case=st.sampled_from(CASES))  # fmt: skip
def test_any_lengths_any_seed(lengths, seed, epoch, case):
    name, options = case
    vocab = md.Vocab(size=640, pad=0, bos=1, eos=2, mask=6, start=8, sentinels=range(639, 499, -1), reserved=range(7, 100),
                     fim={"prefix": 14, "middle": 15, "suffix": 16}, modes={"R": 11, "S": 12, "X": 13})  # fmt: skip
    objective = md.objective(name, **options)
    samples = objective(make_rows(lengths, seed % 1000), vocab, seed=seed, epoch=epoch, provenance=True)
    assert len(samples) == len(lengths)
    assert samples.offsets[-1] == len(samples.read) == len(samples.target) == len(samples.origin)
    assert sum(s.leaks for s in samples) == declared(objective, samples)
    assert samples.read.min(initial=0) >= 0
    assert samples.read.max(initial=0) < vocab.size


def test_a_wrong_pairing_shows_every_answer_that_is_read(vocab):
    gpt = md.objective("gpt").replace(visibility="bidirectional")
    for s in gpt(make_rows([2, 9, 60], 11), vocab, provenance=True):
        assert s.leaks == (s.target != SILENT).sum() == len(s) - 1
    t5 = md.objective("t5").replace(visibility="bidirectional")
    for s in t5(make_rows([40, 60], 11), vocab, provenance=True):
        read_later = np.isin(s.answer[s.target != SILENT], s.origin)
        assert s.leaks == read_later.sum() == (s.target != SILENT).sum() - 1, "all but the end of sequence, which is never read"


def test_a_higher_rate_keeps_the_earlier_picks(vocab):
    rows = make_rows([200] * 5, 12)
    for count in ("bernoulli", "exact"):
        hidden = [md.objective("bert", rate=r, count=count).draw(rows, vocab)["hidden"] > 0 for r in (0.1, 0.15, 0.4)]
        assert (hidden[0] <= hidden[1]).all()
        assert (hidden[1] <= hidden[2]).all()
        assert 0 < hidden[0].sum() < hidden[1].sum() < hidden[2].sum()


def test_a_missing_id_says_which_and_how():
    bare = md.Vocab(size=50, eos=1)
    rows = md.rows([[5, 6, 7, 8]])
    with pytest.raises(ValueError, match=r"bert needs a mask token.*mask=50"):
        md.objective("bert", rate=1.0, mask=1.0, random=0.0)(rows, bare)
    with pytest.raises(ValueError, match="t5 needs 1 sentinels"):
        md.objective("t5")(rows, bare)


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'bert'"):
        md.objective("brt")
    with pytest.raises(ValueError, match="did you mean 'mean_length'"):
        md.objective("t5", mean_lenght=3)
    with pytest.raises(ValueError, match=r"rate=-0.1 is not allowed .*0 … 1"):
        md.objective("bert", rate=-0.1)
    with pytest.raises(ValueError, match="google-bert"):
        md.objective("bert", compat="google")
