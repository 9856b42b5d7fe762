"""A guest's tokenizer as an objective sees it: a `Vocab`, and where words and sentences start for callers that have ids only."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maskdial.data.tokenizer import Tokenizer, load
from maskdial.vocab import Vocab

#: roles that Hugging Face tokenizers name themselves (`mask_token`, …)
NAMED = ("pad", "bos", "eos", "cls", "sep", "mask", "unk")
#: a token that ends a sentence: a stop of any script, closing quotes or brackets after it
STOP = re.compile(r"[.!?。！？｡؟۔।…][\"'”’»)\]]*\s*\Z")
GROW = "md.hf.grow(tokenizer, model) adds [MASK], padding and sentinels (roles=, modes=True, fim=True: others) and says what it added"


@dataclass(frozen=True)
class Guest:
    """`word[id]`: the token starts a word, `stop[id]`: it ends a sentence (None: unknown); `how` says how tokens are added."""

    vocab: Vocab
    word: NDArray[np.bool_] | None = None
    stop: NDArray[np.bool_] | None = None
    how: str = GROW

    def starts(self, name: str) -> Callable[[NDArray[np.int64]], NDArray[np.bool_]] | None:
        """Fills in a `word` or `sentence` column from tokens, when the tokenizer's spellings tell it."""
        table = {"word": self.word, "sentence": self.stop}.get(name)
        return None if table is None else partial(_starts, table, name == "sentence")


def _starts(table: NDArray[np.bool_], after: bool, tokens: NDArray[np.int64]) -> NDArray[np.bool_]:
    made = table[tokens]
    if after:
        made = np.roll(made, 1)
    made[:1] = True
    return made


def guest(tokenizer: Any) -> Guest:
    """Read a Hugging Face tokenizer (fast or slow), a `tokenizers.Tokenizer`, one of maskdial's or its path, or a bare `Vocab`.

    The tokenizer is only read, never kept or changed. `TypeError` for anything else.
    """
    if isinstance(tokenizer, Vocab):
        return Guest(tokenizer, tokenizer.word_start, how="")
    if isinstance(tokenizer, str | Path):
        tokenizer = load(tokenizer)
    if isinstance(tokenizer, Tokenizer):
        return _told(tokenizer.vocab, [tokenizer.token(id) for id in range(tokenizer.vocab.size)], tokenizer.vocab.word_start)
    engine = getattr(tokenizer, "backend_tokenizer", tokenizer)
    named = {role: text for role in NAMED if isinstance(text := getattr(tokenizer, f"{role}_token", None), str)}
    if hasattr(engine, "to_str"):
        from tokenizers import Tokenizer as Engine

        copy = Engine.from_str(engine.to_str())  # maskdial's takes padding and truncation off the engine it is given
        made = guest(Tokenizer(copy, "guest", named=named))
        return replace(made, vocab=_languages(made.vocab, tokenizer))
    if hasattr(tokenizer, "get_vocab"):
        return _slow(tokenizer, named)
    kind = type(tokenizer).__name__
    raise TypeError(f"a tokenizer is a Hugging Face one, a tokenizers.Tokenizer, one of maskdial's or a Vocab, not {kind}")


def _slow(tokenizer: Any, named: dict[str, str]) -> Guest:
    """A tokenizer in Python: ids by spelling, words by the three common marks."""
    table: dict[str, int] = tokenizer.get_vocab()
    size = max(table.values(), default=-1) + 1
    vocab = Vocab.from_lookup(table.get, size)
    roles: dict[str, Any] = {role: table[text] for role, text in named.items() if text in table}
    reserved = frozenset(int(id) for id in tokenizer.all_special_ids)
    shown = [""] * size
    for text, id in table.items():
        shown[id] = text.replace("▁", " ").replace("Ġ", " ")
    spaced = any(s.startswith(" ") for s in shown)
    starts = np.array([not s.startswith("##") and (not spaced or not s[:1].isalnum()) for s in shown])
    return _told(_languages(replace(vocab, **roles, reserved=reserved), tokenizer), shown, starts)


def _told(vocab: Vocab, shown: Sequence[str], starts: NDArray[np.bool_] | None) -> Guest:
    special = vocab.special
    stop = np.array([id not in special and STOP.search(text) is not None for id, text in enumerate(shown)], dtype=bool)
    return Guest(replace(vocab, word_start=starts), starts, stop if stop.any() else None)


def _languages(vocab: Vocab, tokenizer: Any) -> Vocab:
    """Language tokens, where the tokenizer tells them apart (mBART, NLLB, M2M100)."""
    codes = getattr(tokenizer, "lang_code_to_id", None)
    return replace(vocab, languages=dict(codes)) if codes else vocab
