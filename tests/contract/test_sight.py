"""Laws of `sight`: one integer a position (and rarely one bit) says who looks at whom."""

import random

import numpy as np
import pytest

from maskdial.sample import sight
from tests.contract import predicates


def seen(order, segment=None, private=None):
    order = np.asarray(order, dtype=np.int32)
    segment = np.zeros(len(order), dtype=np.int32) if segment is None else np.asarray(segment, dtype=np.int32)
    return sight(order, segment, None if private is None else np.asarray(private, dtype=bool))


def same(found, expected):
    assert predicates.drawn(found.tolist()) == predicates.drawn(expected)


def test_equal_orders_are_bidirectional():
    same(seen([0] * 5), predicates.full(5))
    same(seen([7] * 5), predicates.full(5))


def test_rising_orders_are_causal():
    same(seen(range(6)), predicates.causal(6))
    same(seen([-3, 0, 1, 10]), predicates.causal(4))


def test_prefix_of_three_in_six():
    found = seen([0, 0, 0, 1, 2, 3])
    assert " ".join(predicates.drawn(found.tolist())) == "111... 111... 111... 1111.. 11111. 111111"
    same(found, predicates.prefix(3, 6))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 6])
def test_blocks(size):
    same(seen([i // size for i in range(6)]), predicates.blocks(size, 6))


def test_a_permutation_is_read_in_its_order():
    shuffle = random.Random(0)
    for n in (1, 2, 5, 9):
        rank = list(range(n))
        shuffle.shuffle(rank)
        found = seen(rank)
        same(found, predicates.permuted(rank))
        assert sorted(found.sum(axis=1)) == list(range(1, n + 1)), "the one read r-th sees r positions"


def test_encoder_decoder_is_the_prefix_order_parted_by_stream():
    source, answer = 4, 3
    found = seen([0] * source + [1 + i for i in range(answer)])
    same(found, predicates.encoder_decoder(source, answer))
    assert found[:source, :source].all(), "the encoder sees its source both ways"
    assert not found[:source, source:].any(), "and never the answer"
    assert found[source:, :source].all(), "the decoder sees the whole source"
    same(found[source:, source:], predicates.causal(answer))
    same(found, predicates.prefix(source, source + answer))


def test_padding_sees_nothing_and_is_not_seen():
    found = seen([0, 0, 0, 0, 0], segment=[0, 0, -1, 0, -1])
    same(found, [[k in (0, 1, 3) and q in (0, 1, 3) for k in range(5)] for q in range(5)])
    assert not seen([0, 1, 2], segment=[-1, -1, -1]).any()


def test_documents_never_see_each_other_whatever_their_orders():
    shuffle = random.Random(1)
    for _ in range(20):
        order = [shuffle.randrange(4) for _ in range(12)]
        segment = [shuffle.randrange(-1, 3) for _ in range(12)]
        private = [o == 3 for o in order]
        found = seen(order, segment, private)
        for q in range(12):
            for k in range(12):
                together = segment[q] == segment[k] != -1
                assert found[q, k] == (together and (order[q] == order[k] or (order[k] < order[q] and not private[k])))


def test_private_positions_are_seen_by_their_own_order_only():
    found = seen([1, 1, 2, 3], private=[True, True, False, False])
    assert predicates.drawn(found.tolist()) == ["11..", "11..", "..1.", "..11"]
    assert (seen([0, 1, 2], private=[False] * 3) == seen([0, 1, 2])).all()


@pytest.mark.parametrize("seed", range(20))
def test_two_streams_of_any_permutation(seed):
    g = random.Random(seed)
    n = g.randrange(1, 10)
    chosen = g.sample(range(n), g.randrange(n + 1))
    ranks = g.sample(range(n), len(chosen))
    rank = dict(zip(chosen, ranks, strict=True))
    functional = set(g.sample(chosen, min(len(chosen), g.randrange(3))))
    targets = [i for i in rank if i not in functional]
    order = [2 * rank[i] + 2 if i in rank else 0 for i in range(n)] + [2 * rank[i] + 1 for i in targets]
    found = seen(order, private=[False] * n + [True] * len(targets))
    same(found, predicates.two_streams(n, rank, functional))


@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_block_diffusion_of_any_block(size):
    block = [i // size for i in range(6)]
    found = seen([2 * b + 1 for b in block] + [2 * b + 2 for b in block], private=[True] * 6 + [False] * 6)
    same(found, predicates.noisy_and_clean(6, size))


def test_sight_is_transitive():
    """Layers stack: what a neighbour saw must be mine to see, or depth would leak. Private positions tell only their own."""
    g = random.Random(2)
    for _ in range(30):
        order = [g.randrange(6) for _ in range(10)]
        private = [o % 2 == 1 for o in order]
        one = seen(order, segment=[g.randrange(2) for _ in range(10)], private=private).astype(int)
        assert ((one @ one > 0) == (one > 0)).all()
