"""nanoGPT's files: a corpus as `train.bin`, `val.bin` (uint16 ids, an end-of-document id after each document) and `meta.pkl`.

The way back is `maskdial prepare train.bin --tokenizer DIR`.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

from maskdial.errors import UserError

if TYPE_CHECKING:
    from maskdial.data.corpus import Corpus, Part

#: Tokens copied at once.
TOKENS = 1 << 22


def export(corpus: Corpus, folder: Path) -> list[Path]:
    """Write nanoGPT's files into a folder; returns them. `UserError` (exit 4) for more ids than uint16 can name.

    `meta.pkl` is what its `train.py` takes the vocabulary's size from and its `sample.py` the spelling of tokens (a prompt can
    be written there with single-character tokens only). It holds plain values and is written, never read, here.
    """
    vocab, tokenizer = corpus.vocab, corpus.tokenizer
    if vocab.size > 1 << 16:
        raise UserError(f"{corpus.name} has {vocab.size:,} ids and nanoGPT's files hold at most 65,536",
                        hint="prepare the text with a smaller vocabulary", code="export.size", where=str(folder), exit=4)  # fmt: skip
    written = [folder / name for name, part in (("train.bin", corpus.train), ("val.bin", corpus.held_out)) if _stream(part, folder / name)]
    spelled = [tokenizer.token(id) for id in range(vocab.size)]
    meta = {"vocab_size": vocab.size, "itos": dict(enumerate(spelled)), "stoi": {s: id for id, s in enumerate(spelled) if len(s) == 1}}
    (folder / "meta.pkl").write_bytes(pickle.dumps(meta, protocol=4))
    return [*written, folder / "meta.pkl"]


def _stream(part: Part, path: Path) -> bool:
    """Write a part's tokens; False when it has none."""
    if not part.num_tokens:
        return False
    aside = path.with_name(f".{path.name}.tmp")
    with aside.open("wb") as file:
        for shard in part.shards:
            for first in range(0, len(shard.tokens), TOKENS):
                tokens = shard.tokens.slice(first, min(first + TOKENS, len(shard.tokens)))
                file.write(tokens.tobytes())  # uint16 already: so few ids are stored so
    os.replace(aside, path)
    return True
