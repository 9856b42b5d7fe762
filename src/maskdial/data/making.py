"""The tokenizers that maskdial makes: byte-level BPE trained on the text, and two for looking at (words, bytes)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from maskdial.data.pieces import pieces
from maskdial.data.specials import GROUPS, all_specials
from maskdial.errors import UserError

if TYPE_CHECKING:
    import tokenizers

#: GPT-2's split, with combining marks kept on their letters (Indic and Semitic scripts) and digits in threes.
SPLIT = (r"'(?:[sdmt]|ll|ve|re)| ?[\p{L}\p{M}]+| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]+|\s+(?!\S)|\s+")
MAX_WORDS = 50_000
#: Words and spaces are cut to this length for training, whose time grows with the square of a word's length.
LONG = re.compile(r"([^\t\n\r ]{512}|[\t\n\r ]{512})")


def byte_characters() -> dict[int, str]:
    """The visible character that stands for each byte in byte-level tokenizers (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in shown}
    for n, b in enumerate(b for b in range(256) if b not in table):
        table[b] = chr(256 + n)
    return table


def _finished(engine: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """Add every special token on top of the body's ids."""
    from tokenizers import AddedToken

    engine.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in all_specials()])
    return engine


def train_bpe(texts: Iterable[str], vocab_size: int) -> tokenizers.Tokenizer:
    """Byte-level BPE with at most `vocab_size` body ids, lossless for every text; the same text gives the same tokenizer.

    `UserError` for fewer than 256 ids, which is what the bytes alone take.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    if vocab_size < 256:
        raise UserError(f"a vocabulary of {vocab_size} can't hold the 256 bytes", hint="--vocab-size 256 or more",
                        code="tokenizer.size")  # fmt: skip
    engine = Tokenizer(models.BPE())
    engine.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    engine.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[], show_progress=False,
        max_token_length=32,
    )  # fmt: skip
    engine.train_from_iterator((part for text in texts for _, piece in pieces(text) for part in LONG.split(piece) if part), trainer)
    return _finished(engine)


def make_bytes() -> tokenizers.Tokenizer:
    """One id a byte, 0 … 255."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    engine = Tokenizer(models.BPE(vocab={c: b for b, c in byte_characters().items()}, merges=[]))
    engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    engine.decoder = decoders.ByteLevel()
    return _finished(engine)


def make_words(texts: Iterable[str]) -> tokenizers.Tokenizer:
    """One id a word between spaces: the text's own words in order of appearance (the 50,000 most frequent, if more).

    A word that spells a special token is cut after its first character, so that it never is one.
    """
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers

    special = "|".join(re.escape(s[1:]) for s in sorted(all_specials(), key=lambda s: (-len(s), s)))
    split = pre_tokenizers.Sequence([
        pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex(rf"\A[\[<](?=(?:{special})\z)"), "isolated"),
    ])  # fmt: skip
    counts = Counter(word for text in texts for _, piece in pieces(text) for word, _ in split.pre_tokenize_str(piece))
    frequent = counts if len(counts) <= MAX_WORDS else dict(counts.most_common(MAX_WORDS))
    vocab = {word: id for id, word in enumerate(w for w in counts if w in frequent)}
    (unknown,) = GROUPS["unk"]
    first = all_specials().index(unknown)
    # the model must hold its unknown token, and the specials before it keep the ids they would have as added tokens
    vocab |= {s: len(vocab) + n for n, s in enumerate(all_specials()[: first + 1])}
    engine = Tokenizer(models.WordLevel(vocab=vocab, unk_token=unknown))
    engine.pre_tokenizer = split
    return _finished(engine)


