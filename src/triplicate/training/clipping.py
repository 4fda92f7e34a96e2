"""Gradient clipping: each run of a stack by the norm of its own gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from triplicate.optimizers import Optimizer

# So that a norm of zero divides nothing; as in torch.nn.utils.clip_grad_norm_.
_EPSILON = 1e-6


@dataclass(frozen=True)
class Clipping:
    """What torch.nn.utils.clip_grad_norm_ does, for the gradients of every run by themselves.

    Attributes:
        limits: of the L2 norm [R]; infinite where a run's gradients are left as they are.
    """

    limits: Tensor

    @staticmethod
    def of(parts: Sequence[Optimizer], like: Tensor) -> Clipping | None:
        """Of the runs with these optimizers; None where no gradient is clipped."""
        limits = [math.inf if part.clip_norm is None else part.clip_norm for part in parts]
        return Clipping(like.new_tensor(limits)) if min(limits) < math.inf else None

    def __call__(self, gradients: Sequence[Tensor]) -> None:
        """Scale the gradients, [R, …] each or of one run without that axis, in place."""
        runs = len(self.limits)
        norms = torch.stack([torch.linalg.vector_norm(g.reshape(runs, -1), dim=1) for g in gradients])
        factors = (self.limits / (torch.linalg.vector_norm(norms, dim=0) + _EPSILON)).clamp(max=1)
        # The norm of a run that is not clipped may be more than its dtype holds.
        factors = torch.where(self.limits.isinf(), torch.ones_like(factors), factors)
        for gradient in gradients:
            beside = factors.view(runs, *[1] * (gradient.ndim - 1)) if gradient.ndim > 0 else factors[0]
            gradient.mul_(beside)
