"""Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.lazy import torch
from triplicate.optimizers import Optimizer
from triplicate.parts import key, part

if TYPE_CHECKING:
    from torch import Tensor


@part("adam")
@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (arXiv 1412.6980) as torch.optim.Adam defines it.

    Attributes:
        is_decoupled: the weight decay is taken off the weights, not added to the gradient.
    """

    stacked: ClassVar = "elementwise"
    is_capturable: ClassVar[bool] = True
    is_decoupled: ClassVar[bool] = False

    lr: float = key("learning rate", above=0, per_run=True)
    weight_decay: float = key(
        "L2 penalty added to the gradient; with adamw taken off the weights instead", at_least=0, per_run=True
    )
    beta1: float = key("fraction of the old mean of gradients that stays", at_least=0, below=1, per_run=True)
    beta2: float = key("fraction of the old mean of squares that stays", at_least=0, below=1, per_run=True)
    eps: float = key("added to the root of the mean of squares", at_least=0, per_run=True)

    def rule(self, parameters: Sequence[Tensor]) -> AdamRule:
        return AdamRule(self, parameters)


class AdamRule:
    """torch's function, fused into one pass over the memory. The class imports torch's compiler when it is made."""

    def __init__(self, config: Adam, parameters: Sequence[Tensor]) -> None:
        from torch.optim.adam import adam

        self._config, self._update = config, adam
        self._steps = [torch.zeros((), device=p.device) for p in parameters]
        self._means = [torch.zeros_like(p) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]

    def step(self, parameters: list[Tensor], gradients: list[Tensor], rate: float) -> None:
        self._update(
            parameters,
            gradients,
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            decoupled_weight_decay=self._config.is_decoupled,
            amsgrad=False,
            lr=rate,
            beta1=self._config.beta1,
            beta2=self._config.beta2,
            eps=self._config.eps,
            weight_decay=self._config.weight_decay,
            maximize=False,
        )

    def state(self) -> list[Tensor]:
        return [*self._steps, *self._means, *self._squares]
