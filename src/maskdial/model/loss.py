"""The loss: hidden states are gathered at the scored positions, then projected onto the vocabulary a chunk at a time.

Memory is O(scored × chunk) instead of rows × length × vocabulary, forward and backward: the gradient of a chunk is
computed while its logits are there. Sums and what they are divided by stay apart, so that several batches (accumulation,
ranks) can be normalised together, exactly.

Suffixes: N scored positions, C positions of a chunk, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from maskdial.model.model import Model
from maskdial.model.question import Question, Tensors, ask
from maskdial.sample import SILENT, Head

#: Over what label smoothing spreads a target's share: every `others` id (fairseq, T5X) or `all`, itself among them (torch).
Smoothing = Literal["others", "all"]


@dataclass
class Losses:
    """Of one batch, by head: `sums` (Σ weight · −log p, with gradient), `counts` (what a sum is divided by).

    `plain` is Σ −log p over scored positions without weights, smoothing or z-loss, for curves; `scored` counts them.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    plain: dict[str, Tensor] = field(default_factory=dict)
    scored: dict[str, int] = field(default_factory=dict)
    coefficients: dict[str, float] = field(default_factory=dict)

    def total(self, counts: Mapping[str, float] | None = None) -> Tensor:
        """Σ coefficient · sum / count over heads: 0 where nothing is asked. `counts` of a larger whole may be given."""
        counts = self.counts if counts is None else counts
        parts = [s * (self.coefficients[h] / counts[h] if counts[h] > 0 else 0.0) for h, s in self.sums.items()]
        return torch.stack(parts).sum()


def counts(batch: Tensors, heads: Sequence[Head], body_tokens: int) -> dict[str, float]:
    """What each head's summed loss is divided by, by its divisor rule; adds up over batches.

    `scored` positions, sum of `weights`, body `tokens` before corruption, `rows`, or a fixed number a row.
    """
    made = {}
    for head in heads:
        target, weight = batch[f"target:{head.name}"], batch[f"weight:{head.name}"]
        if head.divisor == "scored":
            made[head.name] = float((target != SILENT).sum())
        elif head.divisor == "weights":
            made[head.name] = float(weight[target != SILENT].sum())
        elif head.divisor == "tokens":
            made[head.name] = float(body_tokens)
        else:
            made[head.name] = float(len(target) * (1 if head.divisor == "rows" else head.divisor))
    return made


def loss(
    model: Model, batch: Any, *, z: float = 0.0, smoothing: float = 0.0, smoothing_kind: Smoothing = "others",
    chunk: int | None = None, divisors: Mapping[str, float] | None = None,
) -> Losses:  # fmt: skip
    """Losses of a batch for every head that it asks (`batch.heads`).

    Token heads only: `z` is the weight of z-loss (PaLM, section 5: z · log² Z), `smoothing` takes that share of a target and
    spreads it over the vocabulary. `divisors` spares computing `counts` again.
    """
    share = smoothed(smoothing, smoothing_kind, model.config.vocab_size)
    made = Losses(counts=dict(divisors) if divisors is not None else counts(batch, batch.heads, batch.body_tokens))
    for question, answer in model.answers(batch, [ask(batch, head) for head in batch.heads]):
        name = question.head.name
        made.sums[name], made.plain[name] = head_loss(model, question, answer, z, share, chunk)
        made.scored[name], made.coefficients[name] = len(question.target), question.head.coefficient
    return made


def smoothed(smoothing: float, kind: Smoothing, classes: int) -> float:
    """The share that goes to all classes alike: eps / (V − 1) to each other one is eps · V / (V − 1) over all of them."""
    return smoothing * classes / (classes - 1) if kind == "others" else smoothing


def head_loss(
    model: Model, question: Question, answer: Tensor, z: float, smoothing: float, chunk: int | None
) -> tuple[Tensor, Tensor]:
    """Σ weight · loss and Σ −log p over the positions asked, by the kind of head; `smoothing` is a share of all classes."""
    target_N, weight_N = question.target, question.weight.to(_wide(answer.dtype))
    if question.head.kind == "token":
        out: tuple[Tensor, Tensor] = TokenLoss.apply(  # type: ignore[no-untyped-call]
            answer, model.embedding, target_N, weight_N, model.scale, z, smoothing, chunk or model.chunk
        )
        return out
    logits = answer.to(weight_N.dtype)
    if question.head.kind == "binary":
        each_N = nn.functional.binary_cross_entropy_with_logits(logits, target_N.to(logits.dtype), reduction="none")
    else:
        each_N = nn.functional.cross_entropy(logits, target_N, reduction="none")
    return (each_N * weight_N).sum(), each_N.detach().sum()


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32


class TokenLoss(Function):
    """(Σ weight · ((1−s)·nll + s·mean nll + z·log²Z), Σ nll) of x·Eᵀ·scale; gradients made chunk by chunk on the way."""

    @staticmethod
    def forward(
        ctx: Any, x_ND: Tensor, E_VD: Tensor, target_N: Tensor, weight_N: Tensor, scale: float, z: float, smoothing: float, rows: int
    ) -> tuple[Tensor, Tensor]:
        wide = _wide(x_ND.dtype)
        total, plain = torch.zeros((), dtype=wide, device=x_ND.device), torch.zeros((), dtype=wide, device=x_ND.device)
        dx_ND = torch.empty_like(x_ND) if ctx.needs_input_grad[0] else None
        dE_VD = torch.zeros_like(E_VD, dtype=wide) if ctx.needs_input_grad[1] else None
        x_ND = x_ND * scale
        for at in range(0, len(x_ND), rows):
            x_CD, target_C1, weight_C = x_ND[at : at + rows], target_N[at : at + rows, None], weight_N[at : at + rows]
            logits_CV = x_CD @ E_VD.t()
            said_C = logits_CV.gather(1, target_C1)[:, 0].to(wide)
            logp_CV = torch.log_softmax(logits_CV, dim=-1, dtype=wide)
            logp_C = logp_CV.gather(1, target_C1)[:, 0]
            each_C = logp_C.neg() if not smoothing else -(1 - smoothing) * logp_C - smoothing * logp_CV.mean(-1)
            log_z_C = said_C - logp_C
            total += weight_C @ (each_C + z * log_z_C.square() if z else each_C)
            plain -= logp_C.sum()
            if dx_ND is None and dE_VD is None:
                continue
            grad_CV = logp_CV.exp_()  # d each / d logits = p · (1 + 2 z log Z) − (1 − s) · [v = target] − s / V
            if z:
                grad_CV *= (1 + 2 * z * log_z_C)[:, None]
            grad_CV.scatter_add_(1, target_C1, torch.full_like(target_C1, smoothing - 1, dtype=wide))
            grad_CV = (grad_CV.sub_(smoothing / logp_CV.shape[1]) if smoothing else grad_CV).to(x_CD.dtype)
            if dx_ND is not None:
                torch.mul(grad_CV @ E_VD, (weight_C * scale)[:, None], out=dx_ND[at : at + rows])
            if dE_VD is not None:
                weighed_CD = x_CD * weight_C[:, None].to(x_CD.dtype)
                if dE_VD.dtype == x_CD.dtype:
                    dE_VD.addmm_(grad_CV.t(), weighed_CD)
                else:
                    dE_VD += grad_CV.t() @ weighed_CD
        ctx.save_for_backward(dx_ND, dE_VD)
        ctx.kept = E_VD.dtype
        ctx.mark_non_differentiable(plain)
        return total, plain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        dx_ND, dE_VD = ctx.saved_tensors
        dx = None if dx_ND is None else (dx_ND * by).to(dx_ND.dtype)
        dE = None if dE_VD is None else (dE_VD * by).to(ctx.kept)
        return dx, dE, None, None, None, None, None, None


@torch.no_grad()
def log_probs(model: Model, batch: Any, head: str = "token", chunk: int | None = None) -> Tensor:
    """log p(target) in nats at every position the head asks, 0 elsewhere: float32 [B, S]; chunked as the loss is."""
    asked = next((h for h in getattr(batch, "heads", ()) if h.name == head), Head(head))
    (question, answer), *_ = model.answers(batch, [ask(batch, asked)])
    target_N, rows = question.target, chunk or model.chunk
    found_N = torch.zeros(len(target_N), dtype=torch.float32, device=target_N.device)
    if asked.kind == "binary":
        found_N = nn.functional.logsigmoid(torch.where(target_N > 0, answer, -answer)).float()
    for at in range(0, len(target_N) if asked.kind != "binary" else 0, rows):
        some = answer[at : at + rows]
        logp = torch.log_softmax(model.logits(some) if asked.kind == "token" else some, dim=-1, dtype=torch.float32)
        found_N[at : at + rows] = logp.gather(1, target_N[at : at + rows, None])[:, 0]
    if question.index is not None:
        every_N = torch.zeros(batch[f"target:{head}"].numel(), dtype=torch.float32, device=target_N.device)
        every_N[question.index] = found_N
        found_N = every_N
    return found_N.view(model.shape_of(batch))
