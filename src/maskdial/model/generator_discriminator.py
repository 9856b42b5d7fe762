"""ELECTRA: a narrow generator fills the hidden tokens, the model itself judges every token (Clark et al. 2020, section 2).

Suffixes: B rows, S positions, N positions asked, C of a chunk, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from maskdial.model.config import ModelConfig
from maskdial.model.linear import Linear
from maskdial.model.model import Model
from maskdial.model.question import Question, Tensors, ask
from maskdial.model.stack import Stack
from maskdial.sample import SILENT, Head
from maskdial.visibility.attend import Visible

#: splitmix64's step and multipliers, as signed numbers; int64 arithmetic wraps.
GOLDEN, ONE, TWO = (n - (1 << 64) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


class Generator(nn.Module):
    """A narrow stack between the shared embedding and the shared projection."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        small = config.reduced
        self.narrow, self.widen = Linear(config.d, small.d), Linear(small.d, config.d)
        self.stack = Stack(small, small.layers, crosses=False, both_ways=True)

    def forward(
        self, x_ND: Tensor, visible: Visible, position_BS: Tensor, position2_BS: Tensor | None, keep_N: Tensor | None
    ) -> Tensor:
        """States [N, D] that the vocabulary is projected from."""
        out: Tensor = self.widen(self.stack(self.narrow(x_ND), visible, position_BS, position2_BS, None, keep_N))
        return out


class GeneratorDiscriminator(Model):
    """A `Model` whose `token` head (`hidden`, `hidden_at`, `logits`) is the generator; everything else is the discriminator.

    The two share the embedding. What the generator draws carries no gradient.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.generator = Generator(config)
        self.judge = next(h.name for h in config.extra_heads if h.form == "drawn")

    def hidden_at(self, batch: Tensors, keep_N: Tensor | None) -> Tensor:
        """The generator's states [N, D] at the flat positions `keep_N` (None: at all)."""
        out: Tensor = self.generator(*self._inputs(batch), keep_N)
        return out

    def answers(self, batch: Tensors, questions: Sequence[Question]) -> Iterator[tuple[Question, Tensor]]:
        """As a `Model`'s; a question of form "drawn" is answered about what the generator drew, with its targets filled in.

        With form "plain" the batch is the second view already (`maskdial.target.discriminated`).
        """
        token, x_ND = next((q for q in questions if q.head.name == "token"), None), None
        if token is not None:
            x_ND = self.hidden_at(batch, token.index)
            yield token, x_ND
        rest = [q for q in questions if q is not token]
        if any(q.head.form == "drawn" for q in rest):
            read_BS = self._drawn(batch, token or ask(batch, Head()), x_ND)
            replaced_BS = (read_BS != original(batch)).long()
            batch = {**batch, "read": read_BS}
            rest = [replace(q, target=q.pick(replaced_BS)) if q.head.form == "drawn" else q for q in rest]
        if rest:
            yield from super().answers(batch, rest)

    def draw(self, batch: Tensors) -> Tensor:
        """What the discriminator reads, [B, S]: at every position that `token` asks one id drawn from the generator."""
        return self._drawn(batch, ask(batch, Head()), None)

    def discriminate(self, batch: Tensors) -> Tensor:
        """How likely each token that the batch reads was replaced, [B, S]."""
        logits: Tensor = self.extra[self.judge](self._final(batch, None))
        return torch.sigmoid(logits).view(self.shape_of(batch))

    @torch.no_grad()
    def _drawn(self, batch: Tensors, asked: Question, x_ND: Tensor | None) -> Tensor:
        x_ND = self.hidden_at(batch, asked.index) if x_ND is None else x_ND
        chance_N, read_BS = asked.pick(chances(batch)), batch["read"].clone()
        ids_N = torch.empty_like(asked.target)
        for at in range(0, len(x_ND), self.chunk):
            p_CV = torch.softmax(self.logits(x_ND[at : at + self.chunk]), dim=-1, dtype=torch.float64)
            ids_N[at : at + self.chunk] = chosen(p_CV, chance_N[at : at + self.chunk])
        read_BS.view(-1)[slice(None) if asked.index is None else asked.index] = ids_N.to(read_BS.dtype)
        return read_BS


def original(batch: Tensors) -> Tensor:
    """The text before anything was hidden, [B, S]."""
    return torch.where(batch["target:token"] != SILENT, batch["target:token"], batch["read"])


def chosen(p_CV: Tensor, chance_C: Tensor) -> Tensor:
    """The id at which the sum of probabilities passes `chance`: ids distributed as `p`, from one uniform number each.

    Summed in whole numbers of 2^-40, so that the sum is the same whatever the order a device adds in.
    """
    sums_CV = (p_CV * 2.0**40).long().cumsum(-1)
    at_C = (chance_C * sums_CV[:, -1]).long()
    return torch.searchsorted(sums_CV, at_C[:, None], right=True)[:, 0]


def chances(batch: Tensors) -> Tensor:
    """Uniform numbers in [0, 1), float64 [B, S]: a function of the sample's number, of what its row reads and of the position
    alone, whatever the batch around it."""
    read_BS = batch["read"].long()
    B, S = read_BS.shape
    place_S = torch.arange(1, S + 1, device=read_BS.device) * GOLDEN
    number_B = getattr(batch, "index", None)
    if number_B is None:
        number_B = torch.arange(B, device=read_BS.device)
    row_B = mixed(number_B + (mixed(read_BS + place_S) * (batch["segment"] >= 0)).sum(1))
    return (mixed(row_B[:, None] + place_S) >> 11 & (1 << 53) - 1).double() * 2.0**-53


def mixed(x: Tensor) -> Tensor:
    """splitmix64's finishing steps (Steele et al. 2014) on int64; a shift to the right fills with zeros."""
    x = (x ^ (x >> 30 & (1 << 34) - 1)) * ONE
    x = (x ^ (x >> 27 & (1 << 37) - 1)) * TWO
    return x ^ (x >> 31 & (1 << 33) - 1)
