"""Where words and sentences start in a text, in any script, and which tokens hold those starts.

Words are the segments of Unicode's default word boundaries (UAX #29): "don't" and "3.14" are one, a run of spaces is one,
each Han character is one. Scripts that need a dictionary (Thai, Lao, Khmer) fall back to character clusters. Sentences
are those of `sentencex` (Wikimedia), which knows the full stops of most scripts and the abbreviations of many languages,
and those of Khmer and Tibetan besides. Thai and Lao have no full stop: there a sentence is a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

Starts = NDArray[np.int64]

#: Characters looked at in one call: both libraries take quadratic time on runs of flags or of opening quotes.
WINDOW = 2048

_LETTERS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset(b"0123456789")


#: Languages whose names in three letters are common in corpora, by the two letters that `sentencex` knows.
TWO_LETTERS = {
    "amh": "am", "ara": "ar", "arb": "ar", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs", "cmn": "zh", "dan": "da", "deu": "de",
    "ell": "el", "eng": "en", "est": "et", "fas": "fa", "fin": "fi", "fra": "fr", "guj": "gu", "heb": "he", "hin": "hi", "hye": "hy",
    "ita": "it", "jpn": "ja", "kan": "kn", "kaz": "kk", "kor": "ko", "mal": "ml", "mar": "mr", "mya": "my", "nld": "nl", "nno": "nn",
    "nob": "nb", "ory": "or", "pan": "pa", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "slk": "sk", "spa": "es", "swe": "sv",
    "tam": "ta", "tel": "te", "tur": "tr", "ukr": "uk", "urd": "ur", "vie": "vi", "zho": "zh",
}  # fmt: skip
#: Letters of a script whose sentences end differently, by the language whose rules then hold.
_SCRIPTS = {"el": re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"), "ru": re.compile(r"[\u0400-\u052f]")}
#: Full stops that `sentencex` does not know: Khmer's, and Tibetan's before a space.
_STOPS = re.compile(r"[\u17d4\u17d5]\s*|\u0f0d+\s+")


def _ascii_class(members: bytes | frozenset[int]) -> NDArray[np.bool_]:
    table = np.zeros(128, dtype=bool)
    table[list(members)] = True
    return table


_LETTER, _DIGIT = _ascii_class(_LETTERS), _ascii_class(_DIGITS)
_WORDY = _LETTER | _DIGIT | _ascii_class(b"_")
_MID_LETTER, _MID_DIGIT = _ascii_class(b":.'"), _ascii_class(b",;.'")


def _ascii_words(text: str) -> Starts:
    """UAX #29 for ASCII text, as a few comparisons of neighbours (rules WB3, WB3d, WB5–WB13)."""
    c = np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    a, b = c[:-1], c[1:]
    joined = (_WORDY[a] & _WORDY[b]) | ((a == 32) & (b == 32)) | ((a == 13) & (b == 10))
    for inner, middle in ((_LETTER, _MID_LETTER), (_DIGIT, _MID_DIGIT)):
        bridge = inner[c[:-2]] & middle[c[1:-1]] & inner[c[2:]]
        joined[:-1] |= bridge
        joined[1:] |= bridge
    return np.concatenate([[0], np.flatnonzero(~joined) + 1]).astype(np.int64)


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    from tokenizers import Regex, pre_tokenizers

    # Oniguruma's \X means one Unicode word segment under (?y{w})
    return pre_tokenizers.Split(Regex(r"(?y{w})\X"), "isolated")


def _unicode_words(text: str) -> list[int]:
    # the vowel AM of Thai and Lao belongs to its consonant (UAX #29's clusters say so, its words leave it to a dictionary)
    return [start for piece, (start, _) in _segmenter().pre_tokenize_str(text) if piece[0] not in "\u0e33\u0eb3" or start == 0]


def _windowed(text: str, segments: Callable[[str], list[int]]) -> Starts:
    """Starts over a text of any length, a window at a time; a segment longer than a window gets no start in its middle.

    What follows can still join a window's last two segments ("3" and "." before "5"), so the next window begins with them.
    """
    starts, at = [0], 0
    while at < len(text):
        found = segments(text[at : at + WINDOW])
        if at + WINDOW >= len(text):
            starts += [at + s for s in found[1:]]
            break
        sure = found[1:-1] or found[1:]
        starts += [at + s for s in sure]
        at += sure[-1] if sure else WINDOW
    return np.array(starts, dtype=np.int64)


def word_starts(text: str) -> Starts:
    """Character positions where a Unicode word segment starts, ascending; none for an empty text."""
    if not text:
        return np.zeros(0, dtype=np.int64)
    return _ascii_words(text) if text.isascii() and len(text) > 2 else _windowed(text, _unicode_words)


def space_word_starts(text: str) -> Starts:
    """Character positions where a run of non-space characters starts."""
    return np.array([m.start() for m in re.finditer(r"\S+", text)], dtype=np.int64)


def language_rules(text: str, language: str | None = None) -> str:
    """The two letters of the language whose sentence rules hold: the one named (`de`, `de-AT`, `deu`, `de_DE`), else by script.

    Only Greek (whose question mark is a semicolon) and Cyrillic are told apart; all others end sentences as English does.
    """
    if language:
        primary = re.split(r"[-_]", language.lower())[0]
        return TWO_LETTERS.get(primary, primary if len(primary) == 2 else "en")
    if not text.isascii():
        head = text[:WINDOW]
        for name, letters in _SCRIPTS.items():
            if (found := len(letters.findall(head))) and 2 * found > sum(c.isalpha() for c in head):
                return name
    return "en"


def sentence_starts(text: str, language: str | None = None) -> Starts:
    """Character positions of the first visible character of each sentence, ascending (the first is always 0).

    `language` as in `language_rules`.
    """
    import sentencex

    rules = language_rules(text, language)

    def segments(piece: str) -> list[int]:
        found = {*accumulate(map(len, sentencex.segment(rules, piece)), initial=0)}
        found |= {m.end() for m in _STOPS.finditer(piece)}
        return sorted(found - {len(piece)})

    if not text:
        return np.zeros(0, dtype=np.int64)
    return _visible(text, _windowed(text, segments))


def stop_sentence_starts(text: str, language: str | None = None) -> Starts:
    """Character positions of words that follow a word ending with . ! or ? in any `language` (the first is always 0)."""
    if not text:
        return np.zeros(0, dtype=np.int64)
    return np.array([0, *(m.end() for m in re.finditer(r"[.!?]\s+(?=\S)", text))], dtype=np.int64)


def _visible(text: str, starts: Starts) -> Starts:
    """Move each start over the space it begins with; a sentence of nothing but space is none."""
    ends = np.append(starts[1:], len(text))
    kept = [0]
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        piece = text[start:end]
        if bare := piece.lstrip():
            kept.append(end - len(bare))
    # what comes first starts the first sentence, so that every token lies in one
    return np.array([0, *kept[2:]] if len(kept) > 1 else [0], dtype=np.int64)


def holders(starts: Starts, spans: NDArray[np.int32]) -> NDArray[np.uint8]:
    """uint8[N]: 1 for each token that is the first to reach past a start, whatever the tokenizer does with spaces.

    spans int32[N, 2]: each token's characters, in order. A start whose characters no token holds (a space that the
    tokenizer drops) goes to the next token; one after the last token to none.
    """
    column = np.zeros(len(spans), dtype=np.uint8)
    if len(spans):
        found = np.searchsorted(np.maximum.accumulate(spans[:, 1]), starts, side="right")
        column[found[found < len(spans)]] = 1
    return column
