"""A language that can be known: every document counts upwards from somewhere, so that each token follows from any other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from maskdial.sample import SILENT
from maskdial.vocab import Vocab

COUNT = 600
FIRST = 40
VOCAB = Vocab(size=FIRST + COUNT, pad=0, bos=1, eos=2, eod=3, cls=4, sep=5, mask=6, start=7, sentinels=range(39, 16, -1),
              modes={"R": 10, "S": 11, "X": 12}, fim={"prefix": 13, "suffix": 14, "middle": 15}, languages={"en": 16},
              reserved=frozenset([8, 9]))  # fmt: skip


def after(ids: np.ndarray | torch.Tensor, by: int | torch.Tensor = 1):
    """The ids that come `by` places later in the count."""
    return (ids - FIRST + by) % COUNT + FIRST


class Words:
    """One word an id."""

    def decode(self, ids: list[int]) -> str:
        return "".join(f" w{i}" for i in ids)


@dataclass
class Part:
    starts: list[int]
    length: int = 130
    labels: list[str] | None = None

    @property
    def num_documents(self) -> int:
        return len(self.starts)

    def document(self, i: int) -> np.ndarray:
        return np.append(after(np.arange(self.length), self.starts[i] + FIRST), VOCAB.eod).astype(np.int32)

    def label(self, i: int) -> str | None:
        return None if self.labels is None else self.labels[i]


class Corpus:
    """30 held-out and 90 train documents; odd and even ones have different labels when `labelled`."""

    def __init__(self, labelled: bool = False, documents: int = 30) -> None:
        self.vocab, self.tokenizer = VOCAB, Words()
        starts = [(37 * i) % COUNT for i in range(4 * documents)]
        names = ["low" if s < COUNT // 2 else "high" for s in starts] if labelled else None
        self.held_out = Part(starts[:documents], labels=names and names[:documents])
        self.train = Part(starts[documents:], labels=names and names[documents:])


class Uniform:
    """Knows nothing: every id equally likely."""

    width = COUNT + FIRST

    def hidden_at(self, batch, keep: torch.Tensor) -> torch.Tensor:
        """[kept, vocabulary]: what it would say at flat positions, as logits."""
        return torch.zeros(len(keep), self.width)

    def features(self, batch) -> torch.Tensor:
        read = batch["source_read"] if "source_read" in batch else batch["read"]
        return torch.nn.functional.one_hot(read.long() * 8 // self.width, 8).float()

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Frequencies(Uniform):
    """Knows how frequent each id is, and nothing else."""

    def __init__(self, unigram: np.ndarray) -> None:
        self.unigram = torch.from_numpy(np.maximum(unigram, -1e9)).float()

    def hidden_at(self, batch, keep: torch.Tensor) -> torch.Tensor:
        return self.unigram.expand(len(keep), -1)


class Knowing(Uniform):
    """Can count: gives the right answer 10 nats more than any other. Who asks for a token by its place says in which column that
    stands (`place`)."""

    def __init__(self, place: str | None = None) -> None:
        self.place = place

    def hidden_at(self, batch, keep: torch.Tensor) -> torch.Tensor:
        if self.place:
            guess = self.in_place(batch["read"].long(), batch["position"].long(), batch[self.place].long())
        elif batch.layout == "encoder":
            read = batch["read"].long()
            stands = ((read != VOCAB.cls) & (read != VOCAB.sep)).cumsum(1)
            guess = self.in_place(read, stands, stands)
        elif batch.layout == "decoder":
            guess = self.following(batch["read"].long())
        else:
            guess = self.answer(batch["source_read"].long(), batch["answer_read"].long())
        return 10.0 * torch.nn.functional.one_hot(guess.flatten()[keep].clamp(0, self.width - 1), self.width).float()

    def in_place(self, read: torch.Tensor, stands: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        """From the commonest phase of the visible tokens (a damaged token or two does not mislead it)."""
        phase = after(read, -stands)
        phase[read < FIRST] = -1
        made = torch.empty_like(read)
        for row, p, place in zip(made, phase, asked, strict=True):
            seen = p[p >= 0]
            row[:] = after(seen.mode().values if len(seen) else torch.tensor(FIRST), place)
        return made

    def following(self, read: torch.Tensor) -> torch.Tensor:
        """The next one; behind a special token, what comes after the token before the gap's mark."""
        made = after(read)
        for b, s in (read < FIRST).nonzero().tolist():
            id, row = int(read[b, s]), read[b].tolist()
            mark = VOCAB.fim["suffix"] if id == VOCAB.fim["middle"] else VOCAB.mask if VOCAB.mask in row else id
            before = [i for i in row[: row.index(mark)] if i >= FIRST] if mark in row else []
            if before:
                made[b, s] = after(torch.tensor(before[-1]))
        return made

    def answer(self, source: torch.Tensor, answer: torch.Tensor) -> torch.Tensor:
        made = after(answer)
        for b, s in (answer < FIRST).nonzero().tolist():
            id, first = int(answer[b, s]), source[b][source[b] >= FIRST]
            at = (source[b] == id).nonzero()
            if id in VOCAB.sentinels:
                made[b, s] = after(source[b, at[0, 0] - 1]) if len(at) and at[0, 0] > 0 else FIRST
            elif len(first):
                made[b, s] = after(first[-1]) if int(source[b, 0]) == VOCAB.modes["S"] else first[0]
        return made


class Copying(Uniform):
    """Expects again what it has already read, and nothing else."""

    def hidden_at(self, batch, keep: torch.Tensor) -> torch.Tensor:
        read = (batch["source_read"] if "source_read" in batch else batch["read"]).long()
        target = batch["target:token"].long()
        before = torch.zeros(len(read), self.width).scatter_(1, read, 3.0)
        if "source_read" not in batch:  # what stands right of the first question has not been read
            for b in range(len(read)):
                asked = (target[b] != SILENT).nonzero()
                if len(asked):
                    before[b] = 0
                    before[b, read[b, : int(asked[0, 0]) + 1]] = 3.0
        return before[keep // target.shape[1]]
