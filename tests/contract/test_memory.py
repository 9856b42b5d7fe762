"""What samples share and what threads may do: unchanged text is not copied, and kernels hold no state."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import maskdial as md
from tests.conftest import make_rows


def test_text_that_is_read_as_it_is_is_not_copied(vocab):
    rows = make_rows([40, 60], 1)
    before = rows.tokens.copy()
    for name in ("gpt", "prefix-lm"):
        samples = md.objective(name)(rows, vocab, provenance=True)
        assert np.shares_memory(samples.read, rows.tokens), name
        assert (samples.origin == samples.position).all()
    for name in ("bert", "t5", "bart"):
        assert not np.shares_memory(md.objective(name)(rows, vocab).read, rows.tokens), name
    opened = md.objective("gpt")(make_rows([40], 1, "isolated"), vocab)
    assert opened.read[0] == vocab.bos
    assert (rows.tokens == before).all()


@pytest.mark.parametrize("name", ["bert", "t5", "bart"])
def test_threads_make_the_same_bits(name, vocab):
    objective, rows = md.objective(name), make_rows([200] * 20, 2)

    def made(epoch):
        samples = objective(rows, vocab, epoch=epoch, provenance=True)
        return samples.read.tobytes() + samples.target.tobytes() + samples.origin.tobytes()

    alone = [made(epoch) for epoch in range(16)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(made, range(16))) == alone
    assert len(set(alone)) == 16
