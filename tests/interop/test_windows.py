"""A prepared corpus in other people's loops: the same key, the same bits, as training's own feed."""

import pickle
import sys
import types

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset

import maskdial as md
from maskdial.data import prepare
from maskdial.train.feed import Feed

LENGTH, SIZE = 32, 5
CASES = [("bert", "joined"), ("gpt", "joined"), ("gpt", "isolated"), ("t5", "joined"), ("bart", "joined"), ("prefix-lm", "isolated"),
         ("bert-nsp", "joined")]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    texts = [" ".join(f"Sentence {j} of document {i} is about topic {i % 7}." for j in range(1 + i % 5)) for i in range(60)]
    (folder / "small.txt").write_text("\n\n".join(texts), encoding="utf-8")
    return prepare(str(folder / "small.txt"), folder / "corpus", vocab_size=300, held_out=0.2, progress="off")


def windows(corpus, name, packing, **settings):
    return md.torch_dataset(corpus, name, LENGTH, seed=3, packing=packing, **settings)


def fed(corpus, made):
    """All of a source's samples as training makes them, one by one."""
    feed = Feed(made.objective, corpus, made.raw, seed=3, packing=made.packing)
    return [feed.batches(n, 1)[0] for n in range(len(made))]


def equal(found, wanted):
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        assert np.array_equal(np.asarray(found[name]), values), name


@pytest.mark.parametrize(("name", "packing"), CASES)
def test_every_way_gives_the_bits_of_the_feed(corpus, name, packing):
    """Two passes and a bit of difference between them; batches over the border of two epochs too."""
    made = windows(corpus, name, packing, epochs=2)
    feed = Feed(made.objective, corpus, made.raw, seed=3, packing=packing)
    assert len(made) == 2 * corpus.num_windows(made.raw, "train", made.objective.pairs)
    for n, single in enumerate(fed(corpus, made)):
        equal(made.arrays([made[n]]), single)
    for workers in (0, 2):
        loader = DataLoader(made, SIZE, collate_fn=made.collate, num_workers=workers)
        for at, batch in zip(range(0, len(made), SIZE), loader, strict=True):
            pieces = feed.batches(at, min(SIZE, len(made) - at))
            if len(pieces) == 1:
                equal(batch, pieces[0])
            assert batch["target:token" if "target:token" in batch else "read"].dtype == torch.int32
            assert (batch.layout, batch.body_tokens) == (pieces[0].layout, sum(p.body_tokens for p in pieces))


@pytest.mark.parametrize(("name", "packing"), [("bert", "joined"), ("gpt", "isolated")])
def test_hugging_faces_collator_reads_the_items(corpus, name, packing):
    made = windows(corpus, name, packing)
    collator = md.hf.Collator(name, corpus.tokenizer, seed=3)
    items = [made[n] for n in range(4)]
    [wanted] = Feed(made.objective, corpus, made.raw, seed=3, packing=packing).batches(0, 4)
    samples = collator.samples(items)
    equal(samples.batch(), wanted)
    width = wanted["read"].shape[1]
    assert (collator(items)["input_ids"][:, :width].numpy() == wanted["read"]).all()


def test_a_loop_resumes_anywhere(corpus):
    made = windows(corpus, "bert", "joined")
    whole = list(DataLoader(made, 2, collate_fn=made.collate))
    rest = list(DataLoader(Subset(made, range(6, len(made))), 2, collate_fn=made.collate))
    for a, b in zip(whole[3:], rest, strict=True):
        equal(a, {k: v.numpy() for k, v in b.items()})


def test_a_source_goes_through_pickle_by_its_folder(corpus):
    made = windows(corpus, md.objective("bert", rate=0.3), "joined", epochs=2, layout="encoder")
    again = pickle.loads(pickle.dumps(made))
    assert repr(again) == repr(made)
    assert again.corpus is not made.corpus
    equal(again.arrays([again[1], again[-1]]), made.arrays([made[1], made[len(made) - 1]]))
    by_path = md.torch_dataset(str(corpus.folder), "bert", LENGTH)
    assert len(by_path) == corpus.num_windows(by_path.raw)


def test_numbers_out_of_range_and_mixtures(corpus):
    made = windows(corpus, "bert", "joined")
    for n in (len(made), -len(made) - 1):
        with pytest.raises(IndexError):
            made[n]
    assert len(list(made)) == len(made)
    with pytest.raises(ValueError, match=r"md\.train feeds a mixture"):
        windows(corpus, "unilm", "joined")


class StandIn:
    """What Grain's `MapDataset` promises of `source` and `batch`: random access, whole batches and a last short one."""

    def __init__(self, count, get):
        self.count, self.get = count, get

    def __len__(self):
        return self.count

    def __getitem__(self, n):
        return self.get(n)

    @classmethod
    def source(cls, source):
        return cls(len(source), lambda n: source[n % len(source)])

    def batch(self, batch_size, *, drop_remainder=False, batch_fn=None):
        assert not drop_remainder
        return StandIn(-(-self.count // batch_size), lambda b: batch_fn(
            [self[n] for n in range(b * batch_size, min((b + 1) * batch_size, self.count))]))  # fmt: skip


def test_grain_by_its_documented_interface(corpus, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", types.SimpleNamespace(MapDataset=StandIn))
    check_grain(corpus, md.grain_dataset(corpus, "bert", LENGTH, SIZE, seed=3))


def test_grain_itself(corpus):
    pytest.importorskip("grain")
    made = md.grain_dataset(corpus, "bert", LENGTH, SIZE, seed=3)
    check_grain(corpus, made)
    import grain

    options = grain.ReadOptions(num_threads=2, prefetch_buffer_size=4)
    for a, b in zip(made.to_iter_dataset(options), made, strict=True):
        equal(a, b)


def check_grain(corpus, made):
    source = windows(corpus, "bert", "joined")
    assert len(made) == -(-len(source) // SIZE)
    feed = Feed(source.objective, corpus, source.raw, seed=3, packing="joined")
    for b in range(len(made)):
        [wanted] = feed.batches(SIZE * b, min(SIZE, len(source) - SIZE * b))
        assert type(made[b]) is dict
        equal(made[b], wanted)
