"""A prepared corpus, open for reading."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maskdial.data.pairs import Documents, Plan
from maskdial.data.rows import gather
from maskdial.data.shuffle import permute
from maskdial.data.storage import LANGUAGE, PART, Mapped, damaged, fingerprint, read_manifest
from maskdial.data.tokenizer import Tokenizer, load
from maskdial.errors import UserError
from maskdial.sample import Packing, Rows
from maskdial.vocab import Vocab

PartName = Literal["train", "held_out"]


class Shard:
    """One shard's files, mapped."""

    def __init__(self, folder: Path, record: dict[str, Any], dtype: str) -> None:
        def mapped(suffix: str, dtype: str) -> Mapped:
            return Mapped(folder / f"{record['name']}{suffix}", dtype, record["files"][suffix])

        self.record, self._folder = record, folder
        self.tokens, self.word, self.sentence = mapped(".bin", dtype), mapped(".word", "|u1"), mapped(".sent", "|u1")
        self.ends, self.text_bytes, self.label = mapped(".idx", "<u8"), mapped(".bytes", "<u8"), mapped(".label", "<i4")
        #: 1 where a token answers, in supervised corpora; the language of each document, in corpora that name any
        self.part = mapped(PART, "|u1") if PART in record["files"] else None
        self.language = mapped(LANGUAGE, "<i4") if LANGUAGE in record["files"] else None
        file = folder / f"{record['name']}.idx"
        lengths = {len(c) for c in (self.tokens, self.word, self.sentence, self.part) if c is not None} | {int(record["tokens"])}
        counts = {len(c) for c in (self.ends, self.text_bytes, self.label, self.language) if c is not None} | {int(record["documents"])}
        if len(lengths) > 1 or len(counts) > 1 or (len(self.ends) and self.ends[len(self.ends) - 1] != len(self.tokens)):
            raise damaged(file, "the shard's files disagree on how many tokens or documents there are")

    def bounds(self, i: int) -> tuple[int, int]:
        """First token of document i and the place of its end-of-document id."""
        return (self.ends[i - 1] if i else 0), self.ends[i] - 1

    def documents(self, language: NDArray[np.int32] | None) -> Documents:
        """Its documents without their end-of-document ids, for pairs."""
        ends = self.ends.slice(0, len(self.ends)).astype(np.int64)
        first = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        return Documents(first, ends - 1 - first, {"tokens": self.tokens, "word": self.word, "sentence": self.sentence}, language)

    @cached_property
    def titles(self) -> list[str | None]:
        mapped = Mapped(self._folder / f"{self.record['name']}.title", "|u1", self.record["files"][".title"])
        return [json.loads(line) for line in mapped.slice(0, len(mapped)).tobytes().splitlines()]


class Part:
    """Documents of a corpus that belong together: `train` or `held_out`. Documents are numbered from 0 over all shards."""

    def __init__(self, name: str, shards: list[Shard], tokenizer: Tokenizer) -> None:
        self.name, self.shards, self._tokenizer = name, shards, tokenizer
        self._plans: dict[tuple[int, str], Plan] = {}
        #: first token and first document of each shard, and the totals
        self.token_offsets = np.cumsum([0, *(len(s.tokens) for s in shards)], dtype=np.int64)
        self.document_offsets = np.cumsum([0, *(len(s.ends) for s in shards)], dtype=np.int64)

    def __len__(self) -> int:
        return self.num_documents

    @property
    def supervised(self) -> bool:
        """Whether its tokens are told apart by who says them, so that rows have a `part`."""
        return bool(self.shards) and all(s.part is not None for s in self.shards)

    @cached_property
    def languages(self) -> NDArray[np.int32] | None:
        """The language id of each document; None when none is named or the tokenizer lacks an id for one."""
        known, found = self._tokenizer.vocab.languages, [np.zeros(0, dtype=np.int32)]
        for s in self.shards:
            if s.language is None or any(name not in known for name in s.record["languages"]):
                return None
            ids = np.array([known[name] for name in s.record["languages"]], dtype=np.int32)
            found.append(ids[s.language.slice(0, len(s.language))])
        return np.concatenate(found) if self.shards else None

    def plan(self, length: int, kind: str) -> Plan:
        """The pairs of at most `length` tokens that are made of its documents; kept, since making one reads every document's end."""
        if (length, kind) not in self._plans:
            ids, at = self.languages, self.document_offsets
            documents = [s.documents(None if ids is None else ids[at[n] : at[n + 1]]) for n, s in enumerate(self.shards)]
            self._plans[length, kind] = Plan(documents, length, kind, f"the {self.name} part")
        return self._plans[length, kind]

    @property
    def num_documents(self) -> int:
        return int(self.document_offsets[-1])

    @property
    def num_tokens(self) -> int:
        """Tokens of the stream, one end-of-document id a document included."""
        return int(self.token_offsets[-1])

    @property
    def total_bytes(self) -> int:
        """UTF-8 bytes of all texts."""
        return sum(int(s.record["text_bytes"]) for s in self.shards)

    def _find(self, i: int) -> tuple[Shard, int]:
        if not 0 <= i < self.num_documents:
            raise IndexError(f"document {i} of {self.num_documents} in {self.name}")
        shard = int(np.searchsorted(self.document_offsets, i, side="right")) - 1
        return self.shards[shard], i - int(self.document_offsets[shard])

    def document(self, i: int) -> NDArray[np.int32]:
        """Body tokens of document i, without the end-of-document id."""
        shard, j = self._find(i)
        return shard.tokens.slice(*shard.bounds(j)).astype(np.int32)

    def columns(self, i: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """`word` and `sentence` of document i: 1 where a token starts one."""
        shard, j = self._find(i)
        first, end = shard.bounds(j)
        return np.array(shard.word.slice(first, end)), np.array(shard.sentence.slice(first, end))

    def answers(self, i: int) -> NDArray[np.uint8] | None:
        """`part` of document i and of its end-of-document id: 1 where a completion or an assistant's turn is."""
        shard, j = self._find(i)
        first, end = shard.bounds(j)
        return None if shard.part is None else np.array(shard.part.slice(first, end + 1))

    def language(self, i: int) -> str | None:
        """The language that the record of document i names (`und`: none)."""
        shard, j = self._find(i)
        return None if shard.language is None else str(shard.record["languages"][shard.language[j]])

    def label(self, i: int) -> str | None:
        shard, j = self._find(i)
        number = shard.label[j]
        return None if number < 0 else str(shard.record["labels"][number])

    def title(self, i: int) -> str | None:
        shard, j = self._find(i)
        return shard.titles[j]

    def text(self, i: int) -> str:
        """The text as the tokens spell it: exactly what was read, unless the tokenizer is not lossless (words, uncased)."""
        return self._tokenizer.decode(self.document(i).tolist())

    def num_bytes(self, i: int) -> int:
        """UTF-8 bytes of the text as it was read."""
        shard, j = self._find(i)
        return shard.text_bytes[j]


class Corpus:
    """A prepared corpus: two parts, a tokenizer, and a fingerprint that names exactly this data."""

    def __init__(self, folder: Path, manifest: dict[str, Any], tokenizer: Tokenizer) -> None:
        self.folder, self.manifest, self.tokenizer = folder, manifest, tokenizer
        self.fingerprint: str = fingerprint(manifest)
        self.name: str = manifest["name"]
        shards: dict[str, list[Shard]] = {"train": [], "held_out": []}
        for record in manifest["shards"]:
            shards[record["part"]].append(Shard(folder, record, manifest["dtype"]))
        self.train, self.held_out = (Part(name, found, tokenizer) for name, found in shards.items())

    @classmethod
    def open(cls, folder: str | Path) -> Corpus:
        """Open a prepared corpus. Sizes, dtype, tokenizer and largest id are checked now, each block when it is touched.

        `UserError` when the folder is no corpus (exit 2) or is damaged (exit 1), with the file named.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        tokenizer, noted = load(folder / "tokenizer"), manifest["tokenizer"]
        if tokenizer.sha256 != noted["sha256"]:
            raise damaged(folder / "tokenizer", "this is not the tokenizer that the corpus was made with")
        if noted["largest_id"] >= tokenizer.vocab.size or noted["largest_id"] > np.iinfo(manifest["dtype"]).max:
            raise damaged(folder / "manifest.json", f"largest id {noted['largest_id']:,}, but the tokenizer has "
                          f"{tokenizer.vocab.size:,} ids and the tokens are {manifest['dtype']}")  # fmt: skip
        return cls(folder, manifest, tokenizer)

    def __repr__(self) -> str:
        return f"Corpus({self.name!r}, {self.train.num_tokens:,} + {self.held_out.num_tokens:,} tokens, {self.fingerprint[:12]})"

    @property
    def vocab(self) -> Vocab:
        return self.tokenizer.vocab

    def part(self, name: str) -> Part:
        """`train` or `held_out`."""
        if name not in ("train", "held_out"):
            raise ValueError(f"a part is 'train' or 'held_out', not {name!r}")
        return self.train if name == "train" else self.held_out

    def num_windows(self, length: int, part: str = "train", pairs: str | None = None, overlap: int = 0) -> int:
        """Whole windows of `length` tokens in a part, of which each shares `overlap` with the next: the samples of one epoch.
        With `pairs`, their number. `UserError` when there is none."""
        if pairs is not None:
            return len(self.part(part).plan(length, pairs))
        if length < 1 or not 0 <= overlap < length:
            raise ValueError(f"a window has 1 or more tokens and shares fewer than all, not {length} and {overlap}")
        windows = max(0, self.part(part).num_tokens - overlap) // (length - overlap)
        if not windows:
            raise UserError(f"the {part} part of {self.name} has {self.part(part).num_tokens:,} tokens, fewer than one window of "
                            f"{length:,}", hint="choose a shorter length or more text", code="corpus.small")  # fmt: skip
        return windows

    def epoch_of(self, n: int, length: int, part: str = "train", pairs: str | None = None, overlap: int = 0) -> int:
        """The epoch that global sample n belongs to."""
        return int(n) // self.num_windows(length, part, pairs, overlap)

    def rows(
        self, length: int, first: int, count: int, *, seed: int, part: str = "train", packing: Packing = "joined",
        shuffle: bool = True, pairs: str | None = None, overlap: int = 0,
    ) -> Rows:  # fmt: skip
        """Global samples first … first+count-1, a row of `length` tokens each: sample n is window perm_e(n mod W), epoch e = n // W.

        `pairs` (one of `pairs.KINDS`): rows of two parts with at most `length` tokens, each one segment whatever the packing.
        `overlap`: the last tokens of a window are the first ones of the next (Megatron-LM: one).
        """
        if first < 0 or count < 0:
            raise ValueError(f"samples are numbered from 0: asked for {count} from {first}")
        numbers = np.arange(first, first + count, dtype=np.int64)
        if pairs is not None:
            return self.part(part).plan(length, pairs).rows(numbers, seed, shuffle)
        windows = self.num_windows(length, part, overlap=overlap)
        place, epoch = numbers % windows, numbers // windows
        if shuffle:
            place = place.copy()
            for e in np.unique(epoch).tolist():
                place[epoch == e] = permute(place[epoch == e], windows, seed, e)
        return gather(self.part(part), place * (length - overlap), length, numbers.astype(np.uint64), packing)
