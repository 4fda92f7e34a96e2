"""SiLU, also called Swish."""

from __future__ import annotations

from dataclasses import dataclass

from triplicate.activations import Activation, InputGradient
from triplicate.lazy import nn, torch
from triplicate.parts import part


@part("silu")
@dataclass(frozen=True)
class Silu(Activation):
    """f(x) = x σ(x) (arXiv 1702.03118)."""

    def module(self) -> nn.Module:
        return nn.SiLU()

    def gradient_rule(self) -> InputGradient:
        return lambda gradient, inputs, outputs: torch.ops.aten.silu_backward(gradient, inputs)
