"""Which ids are which: the vocabulary as an objective sees it.

An objective never touches a tokenizer. It asks a `Vocab` for the ids it needs and says so when one is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Spellings under which published tokenizers carry each role, most specific first.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "pad": ("[PAD]", "<pad>", "<|pad|>", "<|padding|>"),
    "bos": ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "[BOS]"),
    "eos": ("</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>", "[EOS]"),
    "eod": ("<|endoftext|>", "<|eod|>", "[EOD]"),
    "cls": ("[CLS]", "<cls>"),
    "sep": ("[SEP]", "<sep>"),
    "mask": ("[MASK]", "<mask>", "<|mask|>"),
    "unk": ("[UNK]", "<unk>"),
    "start": ("<|start|>",),
}
SENTINEL_SPELLINGS = ("<extra_id_{}>",)
MODE_SPELLINGS = {"R": ("[R]", "[NLU]"), "S": ("[S]", "[S2S]"), "X": ("[X]", "[NLG]")}
FIM_SPELLINGS = {
    "prefix": ("<fim_prefix>", "<|fim_prefix|>"),
    "middle": ("<fim_middle>", "<|fim_middle|>"),
    "suffix": ("<fim_suffix>", "<|fim_suffix|>"),
    "pad": ("<fim_pad>", "<|fim_pad|>"),
}

#: Where a missing role is looked for next: RoBERTa and BART have no [CLS]; GPT-2 has one end token for everything.
FALLBACK = {"cls": ("bos",), "sep": ("eos",), "start": ("eos", "pad")}


class _Codec:
    """Text to ids and back by a `tokenizers.Tokenizer`: nothing is added, and a special token spelt in text stays text."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @cached_property
    def _plain(self) -> Any:
        """A copy, made when it is first needed, so that the caller's tokenizer keeps its settings."""
        plain = type(self._engine).from_str(self._engine.to_str())
        plain.no_padding()
        plain.no_truncation()
        plain.encode_special_tokens = True
        return plain

    def encode(self, text: str) -> list[int]:
        return list(self._plain.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Iterable[int]) -> str:
        return str(self._plain.decode([int(id) for id in ids], skip_special_tokens=False))


@dataclass(frozen=True)
class Vocab:
    """The ids of a tokenizer by role. `size` counts every id, reserved ones too; a role that is None is absent.

    `reserved` are further ids that body text never produces. `word_start[id]` says whether a token starts a word,
    for callers that have ids but no text. `codec` is the tokenizer where there is one: `encode(text)` gives body ids, `decode(ids)`
    text.
    """

    size: int
    pad: int | None = None
    bos: int | None = None
    eos: int | None = None
    eod: int | None = None
    cls: int | None = None
    sep: int | None = None
    mask: int | None = None
    unk: int | None = None
    start: int | None = None
    sentinels: tuple[int, ...] = ()
    modes: Mapping[str, int] = field(default_factory=dict)
    fim: Mapping[str, int] = field(default_factory=dict)
    languages: Mapping[str, int] = field(default_factory=dict)
    reserved: frozenset[int] = frozenset()
    word_start: NDArray[np.bool_] | None = field(default=None, compare=False, repr=False)
    codec: Any = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sentinels", tuple(int(s) for s in self.sentinels))
        object.__setattr__(self, "reserved", frozenset(int(r) for r in self.reserved))
        for id in self.special:
            if not 0 <= id < self.size:
                raise ValueError(f"the vocabulary has {self.size:,} ids, but a special token has id {id}")

    @cached_property
    def special(self) -> frozenset[int]:
        """Every id that body text must never produce."""
        roles = (getattr(self, role) for role in SPELLINGS)
        groups = (self.sentinels, self.modes.values(), self.fim.values(), self.languages.values())
        return frozenset([id for id in roles if id is not None] + [id for group in groups for id in group]) | self.reserved

    @cached_property
    def body(self) -> NDArray[np.int32]:
        """The ids that are not special, ascending: what a random replacement is drawn from."""
        ordinary = np.ones(self.size, dtype=bool)
        ordinary[list(self.special)] = False
        return np.flatnonzero(ordinary).astype(np.int32)

    @cached_property
    def sentinel_ids(self) -> NDArray[np.int32]:
        """The sentinels, in the order in which they are used."""
        return np.array(self.sentinels, dtype=np.int32)

    @cached_property
    def middle_ids(self) -> tuple[NDArray[np.int32], str | None]:
        """The ids of fill in the middle's prefix, suffix and middle [1, 3], -1 for one that is absent, and which one that is."""
        names = ("prefix", "suffix", "middle")
        ids = [self.fim.get(name, -1) for name in names]
        return np.array([ids], dtype=np.int32), next((name for name, id in zip(names, ids, strict=True) if id < 0), None)

    def get(self, role: str) -> int | None:
        """The id of a role or of what it falls back to (cls to bos, sep to eos, start to eos then pad); None if absent."""
        return self._by_role[role]

    @cached_property
    def _by_role(self) -> dict[str, int | None]:
        made: dict[str, int | None] = {}
        for role in SPELLINGS:
            ids = [getattr(self, name) for name in (role, *FALLBACK.get(role, ()))]
            made[role] = next((id for id in ids if id is not None), None)
        return made

    def need(self, role: str, recipe: str) -> int:
        """The id of a role, or a `ValueError` that names the recipe and says how to add it."""
        id = self.get(role)
        if id is None:
            raise ValueError(
                f"{recipe} needs a {role} token and this vocabulary has none: name one with "
                f"Vocab(size={self.size + 1}, {role}={self.size}, …) and give the model that many embedding rows"
            )
        return id

    @classmethod
    def with_every_role(cls, size: int) -> Vocab:
        """A vocabulary without a tokenizer in which every recipe finds what it needs: special ids below 100, ordinary ones from
        there on, and 140 falling sentinels last. `size` is at least 241."""
        return cls(size=size, pad=0, bos=1, eos=2, eod=3, cls=4, sep=5, mask=6, unk=7, start=8,
                   sentinels=tuple(range(size - 1, size - 141, -1)), languages={"en": 9}, modes={"R": 11, "S": 12, "X": 13},
                   fim={"prefix": 14, "middle": 15, "suffix": 16, "pad": 17}, reserved=frozenset(range(18, 100)))  # fmt: skip

    @classmethod
    def from_tokenizer(cls, tokenizer: Any) -> Vocab:
        """Read the roles off a `tokenizer.json`, a folder that holds one, a `tokenizers.Tokenizer` or a Hugging Face tokenizer."""
        if isinstance(tokenizer, str | Path):
            from tokenizers import Tokenizer

            path = Path(tokenizer)
            file = path / "tokenizer.json" if path.is_dir() else path
            if not file.is_file():
                raise FileNotFoundError(f"no tokenizer at {file}")
            tokenizer = Tokenizer.from_file(str(file))
        tokenizer = getattr(tokenizer, "backend_tokenizer", tokenizer)
        size = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        found = cls.from_lookup(tokenizer.token_to_id, size, added=tokenizer.get_added_tokens_decoder())
        return replace(found, codec=_Codec(tokenizer))

    @classmethod
    def from_lookup(cls, find: Callable[[str], int | None], size: int, added: Mapping[int, Any] | None = None) -> Vocab:
        """Read the roles off any function from a token's spelling to its id (None when there is no such token)."""

        def first(spellings: Iterable[str]) -> int | None:
            return next((id for s in spellings if (id := find(s)) is not None), None)

        def group(spelled: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
            return {name: id for name, spellings in spelled.items() if (id := first(spellings)) is not None}

        sentinels: list[int] = []
        while (id := first(s.format(len(sentinels)) for s in SENTINEL_SPELLINGS)) is not None:
            sentinels.append(id)
        roles: dict[str, Any] = {role: first(spellings) for role, spellings in SPELLINGS.items()}
        if roles["start"] is None and sentinels:
            roles["start"] = roles["pad"]  # T5's decoder starts from its padding id
        special = (id for id, token in (added or {}).items() if token.special)
        return cls(size=size, **roles, sentinels=tuple(sentinels), modes=group(MODE_SPELLINGS), fim=group(FIM_SPELLINGS),
                   reserved=frozenset(special))  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a manifest; `Vocab(**value)` reads them back."""
        value = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("word_start", "codec")}
        return {k: sorted(v) if isinstance(v, frozenset) else list(v) if isinstance(v, tuple) else v for k, v in value.items()}
