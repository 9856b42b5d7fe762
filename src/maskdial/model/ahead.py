"""Modules that say tokens further ahead, each with a transformer block of its own.

Suffixes: B rows, S positions, N = B · S, D width, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from maskdial.model.config import ModelConfig
from maskdial.model.linear import Linear
from maskdial.model.stack import Block, Trunk, normed


class Ahead(nn.Module):
    """One further token a position. The model's final norm and projection are shared.

    `reach` 0 is one of several blocks side by side that read the trunk, the states that enter the model's last block
    (Gloeckle et al. 2024, section 2). `reach` k is the k-th module of a chain (DeepSeek-V3, section 2.2): it reads the
    states of the one before it (of the model, before its final norm, for the first) beside the embedding of the token k
    further on, h' = M [norm(h); norm(Emb(t_{i+k}))]; the gains of these two norms are left to M.
    """

    def __init__(self, config: ModelConfig, reach: int) -> None:
        super().__init__()
        self.reach, self.eps = reach, config.norm_eps
        self.join = Linear(2 * config.d, config.d) if reach else None
        self.block = Block(config, crosses=False)

    def forward(self, trunk: Trunk, before_ND: Tensor | None, token_ND: Tensor | None, keep_N: Tensor | None) -> Tensor:
        """States before the final norm, [N, D] or at the flat positions `keep_N` alone; a chain's module joins `before_ND`
        with `token_ND` (`embedded_ahead`)."""
        x_ND = trunk.states
        if self.join is not None and before_ND is not None and token_ND is not None:
            x_ND = self.join(torch.cat([normed(x, self.eps)[0] for x in (before_ND, token_ND)], dim=-1))
        out: Tensor = self.block(x_ND, trunk.visible, trunk.place, None, keep_N)
        return out


def embedded_ahead(read_BS: Tensor, segment_BS: Tensor, embedding_VD: Tensor, reach: int) -> Tensor:
    """The embedding of the token `reach` further on in the row, [N, D]: 0 where the document has none.

    Under a causal order no position that is asked can see one of those: they come later than all that are.
    """
    same_BS = (segment_BS.roll(-reach, 1) == segment_BS) & (segment_BS >= 0)
    same_BS[:, max(0, segment_BS.shape[1] - reach) :] = False
    x_ND = nn.functional.embedding(read_BS.roll(-reach, 1).reshape(-1), embedding_VD)
    return x_ND * same_BS.reshape(-1, 1)
