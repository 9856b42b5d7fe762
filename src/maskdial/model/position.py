"""Where a token stands: rotary tables for single stacks, T5's relative buckets for two.

Suffixes: B rows, S positions of a stream, H heads, K head width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from maskdial.model.config import ModelConfig


class Rotary(nn.Module):
    """e^(i · position · base^(−2j/K)), looked up in a table that grows when a position needs it.

    With `position2` (GLM's second coordinate) the first half of the frequencies follows one, the second half the other. It may
    come as [2, B, S]: the coordinate of a position that looks, and of one that is looked at (sigma-gpt).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.base, self.heads, self.pairs = config.rotary_base, config.heads, config.head_width // 2
        self._tables: dict[tuple[int, torch.device, torch.dtype], Tensor] = {}

    def forward(self, position_BS: Tensor, position2_BS: Tensor | None, dtype: torch.dtype) -> Tensor:
        """complex [B or 1, S, 2, H, J], for q and k of each head: repeated, so that a row is one run of memory."""
        if position2_BS is None:
            return self._look_up(position_BS, self.pairs, dtype)[:, :, None, None, :].repeat(1, 1, 2, self.heads, 1)
        B, S = position_BS.shape
        first_BSJ = self._look_up(position_BS, self.pairs - self.pairs // 2, dtype)
        second_PBSJ = torch.stack([self._look_up(x_BS, self.pairs // 2, dtype).expand(B, -1, -1) for x_BS in position2_BS.view(-1, B, S)])
        turn_PBSJ = torch.cat([first_BSJ.expand(*second_PBSJ.shape[:2], -1, -1), second_PBSJ], dim=-1)
        return turn_PBSJ.expand(2, -1, -1, -1).permute(1, 2, 0, 3)[:, :, :, None].repeat(1, 1, 1, self.heads, 1)

    def _look_up(self, position_BS: Tensor, width: int, dtype: torch.dtype) -> Tensor:
        position_BS = position_BS[:1] if same_rows(position_BS) else position_BS
        longest = int(position_BS.max()) + 1 if position_BS.numel() else 1
        return self._table(longest, width, position_BS.device, dtype)[position_BS]

    def _table(self, longest: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
        """[at least `longest`, width], computed in float64 once."""
        found = self._tables.get((width, device, dtype))
        if found is None or found.shape[0] < longest:
            size = max(256, 1 << (longest - 1).bit_length())
            with torch.inference_mode(False):  # the table outlives the question that first needed it
                rate = self.base ** (-torch.arange(width, dtype=torch.float64) / width)
                angle = torch.arange(size, dtype=torch.float64)[:, None] * rate
                wide = torch.complex128 if dtype == torch.float64 else torch.complex64
                found = torch.polar(torch.ones_like(angle), angle).to(device, wide)
            self._tables[(width, device, dtype)] = found
        return found


def half_split(w: Tensor, heads: int) -> Tensor:
    """Rows of a q or k matrix [H · K, D] from our order (pairs 2j, 2j + 1) to the published one (j, j + K/2)."""
    return w.reshape(heads, -1, 2, w.shape[-1]).transpose(1, 2).flatten(0, 2)


class Relative(nn.Module):
    """T5's relative positions (Raffel et al. 2020, section 2.1; buckets as released): one learnt number a bucket and head.

    One table serves every layer of a stack. Half of the buckets are exact distances, the rest grow logarithmically up
    to `max_distance`; looking both ways halves them by sign.
    """

    def __init__(self, config: ModelConfig, both_ways: bool) -> None:
        super().__init__()
        self.both_ways, self.buckets, self.max_distance = both_ways, config.buckets, config.max_distance
        self.table = nn.Parameter(torch.zeros(config.buckets, config.heads))

    def bucket(self, distance: Tensor) -> Tensor:
        """int64 bucket of key position − question position."""
        buckets, start = self.buckets, torch.zeros_like(distance)
        if self.both_ways:
            buckets //= 2
            start = (distance > 0).long() * buckets
            distance = distance.abs()
        else:
            distance = (-distance).clamp(min=0)
        exact = buckets // 2
        scale = (buckets - exact) / math.log(self.max_distance / exact)
        far = exact + (torch.log(distance.float().clamp(min=1) / exact) * scale).long()
        return start + torch.where(distance < exact, distance, far.clamp(max=buckets - 1))

    def forward(self, position_BS: Tensor) -> Tensor:
        """What is added to the scores: [B or 1, H, S, S]."""
        position_BS = position_BS[:1] if same_rows(position_BS) else position_BS
        if len(position_BS) == 1 and bool((position_BS[0, 1:] - position_BS[0, :-1] == 1).all()):
            return self._counted(position_BS.shape[1])
        bucket_BSS = self.bucket(position_BS[:, None, :].long() - position_BS[:, :, None].long())
        return torch.nn.functional.embedding(bucket_BSS, self.table).permute(0, 3, 1, 2)

    def _counted(self, S: int) -> Tensor:
        """[1, H, S, S] where each position is one more than the last: 2 S − 1 distances are looked up instead of S²."""
        at_HD = self.table[self.bucket(torch.arange(1 - S, S, device=self.table.device))].t()
        return at_HD.unfold(1, S, 1).flip(1)[None]


def same_rows(x_BS: Tensor) -> bool:
    """Whether every row is the first one again."""
    return len(x_BS) <= 1 or bool((x_BS == x_BS[:1]).all())
