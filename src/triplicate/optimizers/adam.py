"""Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

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

    is_shared: ClassVar[bool] = True
    is_capturable: ClassVar[bool] = True
    is_decoupled: ClassVar[bool] = False

    lr: float = key("learning rate", above=0, per_run=True)
    weight_decay: float = key(
        "L2 penalty added to the gradient; with adamw subtracted from the weights instead", at_least=0, per_run=True
    )
    beta1: float = key(
        "fraction of the running mean of gradients that is kept in each step", at_least=0, below=1, per_run=True
    )
    beta2: float = key(
        "fraction of the running mean of squared gradients that is kept in each step", at_least=0, below=1, per_run=True
    )
    eps: float = key(
        "added to the root of the running mean of squared gradients, by which a step is divided",
        at_least=0,
        per_run=True,
    )

    def rule(self, parameters: Sequence[Tensor]) -> AdamRule:
        return AdamRule(self, parameters)


class AdamRule:
    """What torch.optim.Adam does where it is fused: one pass over the memory."""

    def __init__(self, config: Adam, parameters: Sequence[Tensor]) -> None:
        self._config = config
        self._update = torch._fused_adamw_ if config.is_decoupled else torch._fused_adam_
        self._step = torch.zeros((), device=parameters[0].device)
        self._means = [torch.zeros_like(p) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]

    def step(self, parameters: list[Tensor], gradients: list[Tensor], rate: Any) -> None:
        self._step.add_(1)
        self._update(
            parameters,
            gradients,
            self._means,
            self._squares,
            [],
            [self._step] * len(parameters),
            lr=rate,
            beta1=self._config.beta1,
            beta2=self._config.beta2,
            weight_decay=self._config.weight_decay,
            eps=self._config.eps,
            amsgrad=False,
            maximize=False,
        )

    def state(self) -> list[Tensor]:
        return [*[self._step] * len(self._means), *self._means, *self._squares]
