"""Rows for counting; the long proofs of this folder run only when `-m` names them."""

from pathlib import Path

import numpy as np
import pytest

from maskdial.sample import Rows

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config, items):
    if config.option.markexpr:
        return
    long = [item for item in items if HERE in item.path.parents and item.get_closest_marker("slow")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


@pytest.fixture(scope="session")
def plain():
    """`plain(count, length)`: rows of one length; all tokens are `token`."""

    def make(count, length, token=100, first=0, word=None, sentence=None):
        offsets = np.arange(count + 1, dtype=np.int64) * length
        whole = None if word is None else np.tile(np.asarray(word, dtype=np.uint8), count)
        starts = None if sentence is None else np.tile(np.asarray(sentence, dtype=np.uint8), count)
        tokens = np.full(count * length, token, dtype=np.int32)
        return Rows(tokens, offsets, np.arange(first, first + count, dtype=np.uint64), np.zeros(count * length, np.int32), whole, starts)

    return make


@pytest.fixture(scope="session")
def ragged():
    """`ragged(lengths)`: one row of each length."""

    def make(lengths, token=100):
        lengths = np.asarray(list(lengths))
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        n = int(offsets[-1])
        return Rows(np.full(n, token, np.int32), offsets, np.arange(len(lengths), dtype=np.uint64), np.zeros(n, np.int32))

    return make
