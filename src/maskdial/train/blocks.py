"""What may be done to a model's layers, one by one: compile them, compute them again in the backward pass, shard them."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from maskdial.model import Model
from maskdial.model.stack import Block, Inner, residual
from maskdial.train.budget import budget
from maskdial.train.config import TrainConfig


def blocks(model: Model) -> list[nn.Module]:
    """Our blocks, or the layers that a guest's class lists."""
    own: list[nn.Module] = [m for m in model.modules() if isinstance(m, Block)]
    lists = [m for m in model.modules() if isinstance(m, nn.ModuleList)]
    inner = {id(m) for outer in lists for m in outer.modules() if m is not outer}
    return own or [layer for outer in lists if id(outer) not in inner for layer in outer]


def prepare(model: Model, config: TrainConfig, device: str) -> None:
    """Do to the layers what the settings say.

    Compiled are our blocks' SwiGLU parts, and a guest's layers as they are: our attention is one kernel already, and its
    rotations are complex numbers, which the compiler leaves alone. Inside a block nothing is drawn, so that computing it again
    needs no generator's state.
    """
    if config.compile == "on" or (config.compile == "auto" and device.startswith("cuda") and budget(config.budget).kind != "time"):
        for part in [m for m in model.modules() if isinstance(m, Inner)] or blocks(model):
            part.__dict__["forward"] = torch.compile(partial(plain, part) if isinstance(part, Inner) else part.forward)
    if config.activation_checkpointing:
        from torch.utils.checkpoint import checkpoint

        for block in blocks(model):
            block.__dict__["forward"] = partial(checkpoint, block.forward, use_reentrant=False, preserve_rng_state=False)


def plain(inner: Inner, x_ND: Tensor) -> Tensor:
    """`Inner` in torch's own operations, whose gradients a compiler finds and fuses; ours are written out for a CPU."""
    normed_ND = nn.functional.rms_norm(x_ND, x_ND.shape[-1:], eps=inner.eps)
    gate_NF, up_NF = inner.gate_up(normed_ND).chunk(2, dim=-1)
    return residual(x_ND, nn.functional.silu(gate_NF) * up_NF, inner.down, None)
