"""Muon for matrices, AdamW for the rest, over stacked parameters.

Parameters of one shape are views of one array, so that a small model's step is a few large operations instead of many
small ones, and Newton–Schulz runs on all matrices of a shape at once. The stacks are the fp32 masters; a bf16 model's
parameters are rounded copies of them.

Suffixes: L parameters of one shape, R rows, C columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from maskdial.model import Model
from maskdial.train.config import OptimizerSettings

#: The quintic of Jordan et al. 2024 (Muon): it brings every singular value near 1, not to it.
QUINTIC = (3.4445, -4.7750, 2.0315)


@dataclass
class Group:
    """Parameters of one shape under one rule: `master` [L, …] fp32, and the rule's state in arrays of the same shape."""

    rule: str
    names: list[str]
    parameters: list[torch.nn.Parameter]
    master: Tensor
    rounded: Tensor | None
    rate: float
    decay: float
    state: dict[str, Tensor]

    def gradient(self) -> Tensor:
        """All gradients [L, …] in fp32; a parameter that was not asked has none and counts as 0."""
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        return (parts[0][None] if len(parts) == 1 else torch.stack(parts)).to(self.master.dtype)


class Optimizer:
    """`step(factor)` moves every parameter once; `factor` is the schedule's share of the peak rates."""

    def __init__(self, model: Model, settings: OptimizerSettings) -> None:
        self.settings, self.steps = settings, 0
        self.groups = self._groups(model)

    def _groups(self, model: Model) -> list[Group]:
        sorts: dict[tuple[str, tuple[int, ...]], list[tuple[str, torch.nn.Parameter]]] = {}
        for name, p in model.named_parameters():
            sorts.setdefault((self.rule(name, p), tuple(p.shape)), []).append((name, p))
        return [self._group(rule, members) for (rule, _), members in sorts.items()]

    def rule(self, name: str, p: Tensor) -> str:
        """What moves a parameter."""
        if name == "embedding":
            return "embedding"
        if name.endswith("place.table"):
            return "position"
        return self.settings.name or "muon" if p.dim() == 2 and not name.endswith(".table") else "other"

    def rates(self, rule: str) -> tuple[float, float]:
        """Peak rate and decay of a rule."""
        s = self.settings
        rate = {"embedding": s.embedding_rate, "position": s.position_rate, "other": s.other_rate, "muon": s.matrix_rate,
                "adamw": s.matrix_rate}[rule]  # fmt: skip
        if rate is None:
            raise ValueError("rates must be decided before an optimizer is built: TrainConfig.decided(layout)")
        return rate, 0.0 if rule in ("position", "other") else s.decay

    def arrays(self, rule: str, master: Tensor) -> dict[str, Tensor]:
        """What a rule keeps beside the parameters."""
        return {slot: torch.zeros_like(master) for slot in (("momentum",) if rule == "muon" else ("mean", "square"))}

    def _group(self, rule: str, members: list[tuple[str, torch.nn.Parameter]]) -> Group:
        names, parameters = [n for n, _ in members], [p for _, p in members]
        master = torch.stack([p.detach().float() for p in parameters])
        low = parameters[0].dtype != torch.float32
        rounded = master.to(parameters[0].dtype) if low else None
        for p, view in zip(parameters, master if rounded is None else rounded, strict=True):
            p.data = view
        return Group(rule, names, parameters, master, rounded, *self.rates(rule), self.arrays(rule, master))

    @torch.no_grad()
    def step(self, factor: float) -> Tensor:
        """One step; returns the global gradient norm before clipping. A norm that is not finite moves nothing."""
        gradients = [g.gradient() for g in self.groups]
        norm = self._norm(gradients)
        if not bool(torch.isfinite(norm)):
            return norm
        self.steps += 1
        shrink = self.settings.clip / max(float(norm), self.settings.clip)
        for group, gradient in zip(self.groups, gradients, strict=True):
            if shrink < 1:
                gradient = gradient * shrink
            rate = group.rate * factor
            if group.decay:
                group.master.mul_(1 - rate * group.decay)
            if group.rule == "muon":
                self._muon(group, gradient, rate)
            else:
                self._adamw(group, gradient, rate)
            if group.rounded is not None:
                group.rounded.copy_(group.master)
        return norm

    def _norm(self, gradients: list[Tensor]) -> Tensor:
        return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))

    def clear(self) -> None:
        """Forget the gradients."""
        for group in self.groups:
            for p in group.parameters:
                p.grad = None

    def _muon(self, group: Group, gradient_LRC: Tensor, rate: float) -> None:
        momentum = group.state["momentum"].lerp_(gradient_LRC, 1 - self.settings.momentum)
        ahead_LRC = gradient_LRC.lerp(momentum, self.settings.momentum)
        rows, columns = group.parameters[0].shape
        group.master.add_(self._direction(group, ahead_LRC), alpha=-rate * max(1.0, rows / columns) ** 0.5)

    def _direction(self, group: Group, ahead_LRC: Tensor) -> Tensor:
        return orthogonalize(ahead_LRC, self.settings.orthogonal_steps)

    def _adamw(self, group: Group, gradient: Tensor, rate: float) -> None:
        one, two = self.settings.betas
        mean, square = group.state["mean"], group.state["square"]
        mean.lerp_(gradient, 1 - one)
        square.mul_(two).addcmul_(gradient, gradient, value=1 - two)
        size = square.sqrt().mul_((1 - two**self.steps) ** -0.5).add_(1e-10)
        group.master.addcdiv_(mean, size, value=-rate / (1 - one**self.steps))

    def state_dict(self) -> dict[str, Tensor]:
        """The rules' arrays, one a parameter: `slot/parameter`."""
        return {f"{slot}/{n}": a[i] for g in self.groups for slot, a in g.state.items() for i, n in enumerate(g.names)}

    def masters(self) -> dict[str, Tensor]:
        """fp32 parameters by name."""
        return {n: g.master[i] for g in self.groups for i, n in enumerate(g.names)}

    @torch.no_grad()
    def load(self, masters: dict[str, Tensor], state: dict[str, Tensor], steps: int) -> None:
        """Put a saved state in place, bit for bit; names must match exactly."""
        for here, there, what in ((self.masters(), masters, "model"), (self.state_dict(), state, "optimizer")):
            if set(here) != set(there):
                odd = sorted(set(here) ^ set(there))[0]
                raise ValueError(f"the checkpoint's {what} does not fit: {odd!r} is on one side only")
            for name, value in here.items():
                value.copy_(there[name])
        for group in self.groups:
            if group.rounded is not None:
                group.rounded.copy_(group.master)
        self.steps = steps


def orthogonalize(x_LRC: Tensor, steps: int) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly (Muon): x → (a + b A + c A²) x with A = x xᵀ, `steps` times.

    The factors are polynomials of the first A, so they are multiplied among themselves (small square matrices) and meet
    x once: half the work for matrices two and more times as wide as high, equal to 1e-5 in float32.
    """
    a, b, c = QUINTIC
    tall = x_LRC.shape[1] > x_LRC.shape[2]
    x = x_LRC.mT if tall else x_LRC
    x = x / (torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True) + 1e-7)
    gram, whole = torch.bmm(x, x.mT), None
    for number in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        factor.diagonal(dim1=1, dim2=2).add_(a)
        whole = factor if whole is None else torch.bmm(factor, whole)
        if number < steps - 1:
            gram = torch.bmm(factor, torch.bmm(gram, factor))
    x = x if whole is None else torch.bmm(whole, x)
    return x.mT if tall else x


def schedule(step: int, total: int | None, settings: OptimizerSettings) -> float:
    """Share of the peak rate at a step (from 0): linear warm-up, then down to `floor` as `settings.schedule` says.

    linear: level, then a straight line over the last part. wsd: level, then 1 − √(share gone) over it (Hägele et al. 2024,
    section 3). cosine: half a cosine from the warm-up to the end (Loshchilov & Hutter 2017, section 3). Level while the end
    is not known.
    """
    up = (step + 1) / settings.warmup if settings.warmup else 1.0
    left, cosine = 1.0, settings.schedule == "cosine"
    if total is not None and settings.falling > 0:
        span = total - settings.warmup if cosine else settings.cooldown * total
        left = max(0.0, min(1.0, (total - step) / max(1.0, span)))
    if cosine:
        left = (1 - math.cos(math.pi * left)) / 2
    elif settings.schedule == "wsd":
        left = 1 - math.sqrt(1 - left)
    return min(1.0, up, settings.floor + (1 - settings.floor) * left)
