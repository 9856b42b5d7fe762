"""Text to body ids: an engine that can't say a special token, and a memory of what it made of the words it has met.

Tokenizers of the usual kinds never join a visible character to the space after it. So a text falls into segments (spaces and
the visible characters after them) that are encoded alone as they are encoded together, and a segment met before need not be
encoded again: `Memory` answers from a table, which is several times as fast as any engine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from maskdial.data.making import SPLIT
from maskdial.data.segmentation import Starts, holders
from maskdial.data.specials import body_engine

if TYPE_CHECKING:
    import tokenizers

#: One token of a segment: its id, the characters of the segment it stands for, whether it starts a word.
TOKEN = np.dtype([("id", "<i4"), ("start", "<u2"), ("end", "<u2"), ("word", "u1")], align=True)
#: Segments longer than this in characters are not looked up: they hardly come twice.
LONGEST = 256
#: Texts whose segments are longer than this on average (scripts without spaces, code in one line) gain nothing.
USUAL = 16
#: Segments remembered, at most: about 40 MB.
ROOM = 1 << 17
SPACES = "\t\n\r "
SEGMENT = re.compile(r"[\t\n\r ]*+[^\t\n\r ]++|[\t\n\r ]+")
#: Another space before one of these: some tokenizers join the two, others drop the first.
MIXED = re.compile(f"[\v\f\x85\xa0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000][{SPACES}]")
GPT2 = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
OWN = ({"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False},
       {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False})  # fmt: skip
#: Steps that work on single characters and on what stands between spaces.
BY_SPACES = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit")


def _like(found: Any, wanted: dict[str, Any]) -> bool:
    return isinstance(found, dict) and all(found.get(k) == v for k, v in wanted.items())


def segments_stand_alone(engine: tokenizers.Tokenizer) -> bool:
    """Whether it is known of this kind of tokenizer that `SEGMENT`s are encoded alone as they are in a text."""
    data = json.loads(engine.to_str())
    split, normal = data["pre_tokenizer"], data["normalizer"]
    if data["added_tokens"]:
        return False
    if normal is not None:
        return _like(normal, {"type": "BertNormalizer"}) and any(_like(split, {"type": name}) for name in BY_SPACES)
    steps = split.get("pretokenizers", ()) if _like(split, {"type": "Sequence"}) else ()
    own = len(steps) == len(OWN) and all(map(_like, steps, OWN))
    return own or _like(split, GPT2) or any(_like(split, {"type": name}) for name in BY_SPACES)


def byte_sizes(engine: tokenizers.Tokenizer) -> NDArray[np.int32] | None:
    """The bytes that each id stands for, in tokenizers whose ids spell bytes; None in others."""
    data = json.loads(engine.to_str())
    if '"ByteLevel"' not in json.dumps(data["pre_tokenizer"]) or data["model"].get("unk_token") is not None:
        return None
    vocab = engine.get_vocab()
    sizes = np.zeros(max(vocab.values()) + 1, dtype=np.int32)
    sizes[[*vocab.values()]] = [*map(len, vocab)]
    return sizes


class Body:
    """Encodes bodies: no special token is added, and none comes from the text, even where it spells one."""

    def __init__(
        self, engine: tokenizers.Tokenizer, special: frozenset[int], unk: int | None, word_starts: Callable[[str], Starts]
    ) -> None:  # fmt: skip
        self._engine, self._table = body_engine(engine, special)
        self._unk, self._word_starts = unk, word_starts
        self._reserved = np.zeros(engine.get_vocab_size(with_added_tokens=True) + 1, dtype=bool)
        self._reserved[[id for id in special - {unk} if id < len(self._reserved)]] = True
        #: the tokens of each segment as bytes of `TOKEN`, and the segments that need `_around`
        self._known: dict[str, bytes] = {}
        self._odd: set[str] = set()
        self.remembers = segments_stand_alone(self._engine)
        self._sizes = byte_sizes(self._engine)

    def encode(self, text: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """ids int32[N] and character spans int32[N, 2] of a bounded text."""
        encoding = self._engine.encode(text, add_special_tokens=False)
        ids = np.array(encoding.ids, dtype=np.int32)
        spans = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        if self._table is not None:
            ids = self._table[ids]
        return (ids, spans) if not self._reserved[ids].any() else self._around(text, ids, spans)

    def _around(self, text: str, ids: NDArray[np.int32], spans: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Encode again in two parts, cut inside the first reserved token's characters, until none is left."""
        hit = int(np.flatnonzero(self._reserved[ids])[0])
        start, end = (int(x) for x in spans[hit])
        cut = (start + end) // 2
        if not 0 < cut < len(text) or end - start < 2:
            # one character that is a special token: nothing can spell it but the unknown token
            stand_in = self._unk
            keep = np.ones(len(ids), dtype=bool) if stand_in is not None else ~self._reserved[ids]
            return np.where(self._reserved[ids], -1 if stand_in is None else stand_in, ids).astype(np.int32)[keep], spans[keep]
        (left, where), (right, there) = self.encode(text[:cut]), self.encode(text[cut:])
        return np.concatenate([left, right]), np.concatenate([where, there + np.int32(cut)])

    def recall(self, text: str) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.uint8]] | None:
        """ids int32[N], spans int32[N, 2] and `word` uint8[N] of a bounded text; None where the memory is of no use."""
        if not self.remembers or (MIXED.search(text) if not text.isascii() else "\v" in text or "\f" in text):
            return None
        segments = SEGMENT.findall(text)
        lengths = np.fromiter(map(len, segments), np.int32, len(segments))
        if len(segments) * USUAL < len(text) or lengths.max(initial=0) > LONGEST:
            return None
        found = [*map(self._known.get, segments)]
        if None in found:
            if not self._learn({s for s, known in zip(segments, found, strict=True) if known is None}, segments):
                return None
            found = [*map(self._known.get, segments)]
        tokens = np.frombuffer(b"".join(found), dtype=TOKEN)  # type: ignore[arg-type]
        counts = np.fromiter(map(len, found), np.int64, len(found)) // TOKEN.itemsize  # type: ignore[arg-type]
        at = (np.cumsum(lengths, dtype=np.int32) - lengths).repeat(counts)
        return np.ascontiguousarray(tokens["id"]), np.stack([tokens["start"] + at, tokens["end"] + at], 1), tokens["word"].copy()

    def _learn(self, new: set[str], segments: list[str]) -> bool:
        """Remember the new ones among some segments; False when one of them can spell a special token."""
        if not new.isdisjoint(self._odd):
            return False
        if len(self._known) + len(self._odd) > ROOM:
            self._known.clear()
            self._odd.clear()
            new = set(segments)
        for some in ([s for s in new if s.isascii()], [s for s in new if not s.isascii()]):  # words of ASCII are found faster
            if some:
                self._encode_all(some)
        return new.isdisjoint(self._odd)

    def _encode_all(self, segments: list[str]) -> None:
        found = [self._engine.encode(s, add_special_tokens=False) for s in segments]
        each = [e.ids for e in found]
        counts = [*map(len, each)]
        ids: NDArray[np.int32] = np.fromiter(chain.from_iterable(each), np.int32, sum(counts))
        base = np.array([*accumulate(map(len, segments), initial=0)], dtype=np.int32)
        tokens = np.zeros(len(ids), dtype=TOKEN)
        tokens["id"] = ids if self._table is None else self._table[ids]
        sizes = self._sizes[ids] if self._sizes is not None and segments[0].isascii() else base[:0]
        if sizes.sum() == base[-1]:  # each byte is a character, and each is in a token
            ends = np.cumsum(sizes, dtype=np.int32) - base[:-1].repeat(counts)
            tokens["start"], tokens["end"] = ends - sizes, ends
        else:
            spans = np.array([o for e in found for o in e.offsets], dtype=np.int32).reshape(-1, 2)
            tokens["start"], tokens["end"] = spans[:, 0], spans[:, 1]
        # a line break is a word of its own, so that what is joined with line breaks has the words it has alone
        at = (base[:-1] + np.arange(len(segments), dtype=np.int32)).repeat(counts)
        tokens["word"] = holders(self._word_starts("\n".join(segments)), np.stack([tokens["start"] + at, tokens["end"] + at], 1))
        self._keep(segments, counts, tokens)

    def _keep(self, segments: list[str], counts: list[int], tokens: NDArray[np.void]) -> None:
        data, reserved, end = tokens.tobytes(), self._reserved[tokens["id"]], 0
        spoken = reserved.any()
        for segment, count in zip(segments, counts, strict=True):
            first, end = end, end + count
            if spoken and reserved[first:end].any():
                self._odd.add(segment)
            else:
                self._known[segment] = data[first * TOKEN.itemsize : end * TOKEN.itemsize]
