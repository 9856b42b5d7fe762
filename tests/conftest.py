"""What every test shares: a vocabulary without a tokenizer, and rows that hold the awkward lengths."""

import numpy as np
import pytest

import maskdial as md

BODY = 400


@pytest.fixture(scope="session")
def vocab():
    """400 body ids (100 … 499) between the special tokens and 140 sentinels."""
    return md.Vocab(size=640, pad=0, bos=1, eos=2, eod=3, cls=4, sep=5, mask=6, unk=7, start=8,
                    sentinels=range(639, 499, -1), languages={"en": 9, "de": 10}, modes={"R": 11, "S": 12, "X": 13},
                    fim={"prefix": 14, "middle": 15, "suffix": 16, "pad": 17}, reserved=range(18, 100))  # fmt: skip


def make_rows(lengths, seed=0, packing="joined", documents=1, index=None):
    """Rows of random body ids with every column a recipe may need; `documents` a row when isolated. Each document has a first
    and a second part."""
    g = np.random.default_rng(seed)
    tokens = [g.integers(100, 500, n) for n in lengths]
    word = [(g.random(n) < 0.6).astype(np.uint8) for n in lengths]
    sentence = [(g.random(n) < 0.1).astype(np.uint8) for n in lengths]
    segment = [np.sort(g.integers(0, documents, n)) for n in lengths]
    part = [halves(s if packing == "isolated" else np.zeros_like(s), g) for s in segment]
    language = [np.where(s % 2, 10, 9) for s in (segment if packing == "isolated" else [np.zeros_like(s) for s in segment])]
    label = g.integers(0, 2, len(tokens))
    return md.rows(tokens, index=index, segment=segment, word=word, sentence=sentence, part=part, language=language, label=label,
                   packing=packing)  # fmt: skip


def halves(segment, g):
    """0 in the first part of each document, 1 in the second; both have a token where there are two."""
    part = np.zeros(len(segment), dtype=np.uint8)
    for s in np.unique(segment):
        at = np.flatnonzero(segment == s)
        if len(at) > 1:
            part[at[g.integers(1, len(at)) :]] = 1
    return part
