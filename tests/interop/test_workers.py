"""Plain DataLoaders: the same key gives the same bits for any workers, ranks, batch sizes and ways to start a worker."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler

import maskdial as md
from maskdial.interop.epoch import Epoch
from maskdial.interop.features import Feature
from maskdial.interop.pickles import same
from tests.interop.guests import VOCAB, features, rows_of

OBJECTIVE = md.objective("bert", rate=0.4)
GIVEN = features([12, 7, 12, 9, 10, 5, 11, 12, 3, 8], columns=False)
DATA = md.hf.Indexed([f["tokens"] for f in GIVEN])


def direct(epoch, seed=0, objective=OBJECTIVE):
    """Each row as a direct call of the objective makes it: (what is read, what must be said)."""
    samples = objective(rows_of(GIVEN), VOCAB, seed=seed, epoch=epoch)
    return [(s.read.tolist(), s.target.tolist()) for s in samples]


def looped(loader, indices, found):
    """Rows of one pass by the number of their sample."""
    for batch in loader:
        for ids, mask, labels in zip(batch["input_ids"], batch["attention_mask"].bool(), batch["labels"], strict=True):
            found[next(indices)] = (ids[mask].tolist(), labels[mask].tolist())
    return found


@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, False), (2, True)])
@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("size", [2, 3])
def test_each_epoch_is_what_the_key_says(workers, persistent, ranks, size):
    found = [{} for _ in range(3)]
    for rank in range(ranks):
        collator = md.hf.Collator(OBJECTIVE, VOCAB)
        sampler = DistributedSampler(DATA, ranks, rank, shuffle=True)
        loader = DataLoader(DATA, size, sampler=sampler, collate_fn=collator, num_workers=workers, persistent_workers=persistent)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            collator.set_epoch(epoch)
            looped(loader, iter(list(sampler)), found[epoch])
    for epoch in range(3):
        assert [found[epoch][i] for i in range(len(GIVEN))] == direct(epoch)
    assert found[0] != found[1] != found[2]


def test_spawned_workers_start_from_a_pickle():
    """No memory is inherited: the objective, whose parts pickle refuses, the vocabulary and the epoch's place travel."""
    collator = md.hf.Collator(OBJECTIVE, VOCAB, seed=6)
    loader = DataLoader(DATA, 5, collate_fn=collator, num_workers=1, persistent_workers=True, multiprocessing_context="spawn")
    for epoch in range(2):
        collator.set_epoch(epoch)
        found = looped(loader, iter(range(10)), {})
        assert [found[i] for i in range(10)] == direct(epoch, seed=6)


@pytest.mark.parametrize("name", md.recipes())
def test_every_recipe_goes_through_pickle(name):
    collator = md.hf.Collator(name, VOCAB)
    again = pickle.loads(pickle.dumps(collator))
    given = features([12, 9])
    one, two = collator.samples(given), again.samples(given)
    assert all((one.column(c) == two.column(c)).all() for c in ("read", "order", "position", f"target:{one.heads[0].name}"))


def test_a_turned_dial_travels_too():
    turned = md.objective("bert", compat="google-bert").replace(visibility="causal", frame=False)
    again = pickle.loads(pickle.dumps(turned))
    assert (again.visibility, again.frame, again.options) == ("causal", False, turned.options)
    assert same(again, turned)
    assert not same(md.objective("bert", rate=0.2), md.objective("bert", rate=0.3)), "what a function closes over counts"


def test_without_an_index_the_text_is_the_key():
    """Order, batch and neighbours do not matter; two identical texts get the same noise; epochs differ."""
    collator = md.hf.Collator(OBJECTIVE, VOCAB)
    texts = [f["tokens"].tolist() for f in GIVEN]
    one = {tuple(t): collator.samples([t])[0].target.tolist() for t in texts}
    for s, t in zip(collator.samples([*texts[::-1], texts[0]]), [*texts[::-1], texts[0]], strict=True):
        assert s.target.tolist() == one[tuple(t)]
    collator.set_epoch(1)
    assert [s.target.tolist() for s in collator.samples(texts)] != list(one.values())


def test_no_generator_is_touched():
    collator = md.hf.Collator(OBJECTIVE, VOCAB)
    torch.manual_seed(0)
    before, state = torch.get_rng_state(), np.random.get_state()[1].copy()
    collator([DATA[0], DATA[1]])
    assert torch.equal(before, torch.get_rng_state())
    assert (state == np.random.get_state()[1]).all()


def test_indexed_numbers_and_leaves_what_is_numbered():
    assert isinstance(DATA[3], Feature)
    assert not isinstance(DATA[3], dict), "Trainer takes from a dict what a model's forward does not name"
    assert (DATA[3]["index"], DATA[-1]["index"], DATA[0]["of"]) == (3, 9, 10)
    assert [f["index"] for f in DATA.__getitems__([4, 2])] == [4, 2]
    assert md.hf.Indexed([{"tokens": [9], "idx": 70}])[0].get("index") is None
    assert md.hf.Indexed([[9]], epoch=0)[0]["epoch"] == 0
    with pytest.raises(IndexError):
        DATA[10]
    with pytest.raises(TypeError, match="dataset with a length"):
        md.hf.Indexed(iter([]))


def test_an_epoch_of_its_own_goes_before_the_collators():
    collator = md.hf.Collator(OBJECTIVE, VOCAB)
    collator.set_epoch(7)
    fixed = md.hf.Indexed([f["tokens"] for f in GIVEN], epoch=2)
    samples = collator.samples([fixed[i] for i in range(10)])
    assert [(s.read.tolist(), s.target.tolist()) for s in samples] == direct(2)
    assert collator.epoch == 7
    with pytest.raises(ValueError, match="numbered from 0"):
        collator.set_epoch(-1)


def test_a_mixtures_turns_go_on_from_epoch_to_epoch():
    """Sample i of epoch e is number e · len + i: a member does not keep a text for ever."""
    mixed = md.objective("unilm")
    collator = md.hf.Collator(mixed, VOCAB)
    members = []
    for epoch in range(4):
        collator.set_epoch(epoch)
        samples = collator.samples([DATA[i] for i in range(10)])
        assert samples.index.tolist() == list(range(10 * epoch, 10 * epoch + 10))
        members.append([mixed.member_of(int(n)) for n in samples.index])
    assert all(len(set(column)) > 1 for column in zip(*members, strict=True))


def test_a_repeated_sample_is_noticed_once(capsys):
    epoch = Epoch()
    big = (1 << 64) - 5
    epoch.watch([big, 2])
    epoch.set(1)
    epoch.watch([big])
    epoch.set(0)
    epoch.watch([4, 2])
    assert capsys.readouterr().err == ""
    epoch.watch([2, big])
    epoch.watch([2, big])
    assert capsys.readouterr().err.count("came twice in epoch 0") == 1
