"""What every test shares: a vocabulary without a tokenizer, and rows that hold the awkward lengths."""

import numpy as np
import pytest

import maskdial as md

BODY = 400


@pytest.fixture(scope="session")
def vocab():
    """400 body ids (100 … 499) between the special tokens and 140 sentinels."""
    return md.Vocab(size=640, pad=0, bos=1, eos=2, eod=3, cls=4, sep=5, mask=6, unk=7, start=8,
                    sentinels=range(639, 499, -1), reserved=range(9, 100))  # fmt: skip


def make_rows(lengths, seed=0, packing="joined", documents=1, index=None):
    """Rows of random body ids with word and sentence starts; `documents` a row when isolated."""
    g = np.random.default_rng(seed)
    tokens = [g.integers(100, 500, n) for n in lengths]
    word = [(g.random(n) < 0.6).astype(np.uint8) for n in lengths]
    sentence = [(g.random(n) < 0.1).astype(np.uint8) for n in lengths]
    segment = [np.sort(g.integers(0, documents, n)) for n in lengths]
    return md.rows(tokens, index=index, segment=segment, word=word, sentence=sentence, packing=packing)
