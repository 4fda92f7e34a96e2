"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from triplicate.errors import UserError
from triplicate.lazy import torch
from triplicate.optimizers import Optimizer
from triplicate.parts import key, part

if TYPE_CHECKING:
    from torch import Tensor


@part("sgd")
@dataclass(frozen=True)
class Sgd(Optimizer):
    """Stochastic gradient descent as torch.optim.SGD defines it."""

    is_shared: ClassVar[bool] = True
    is_capturable: ClassVar[bool] = True

    lr: float = key("learning rate", above=0, per_run=True)
    weight_decay: float = key("L2 penalty added to the gradient", at_least=0, per_run=True)
    momentum: float = key("momentum", at_least=0, below=1, per_run=True)
    nesterov: bool = key("Nesterov's momentum", per_run=True)

    def __post_init__(self) -> None:
        if self.nesterov and self.momentum == 0:
            raise UserError("optimizer.nesterov", "it needs a momentum", "set optimizer.momentum, such as 0.9")

    @property
    def is_plain_descent(self) -> bool:
        return self.momentum == self.weight_decay == 0

    def rule(self, parameters: Sequence[Tensor]) -> SgdRule:
        return SgdRule(self, parameters)


class SgdRule:
    """What torch.optim.SGD does where it is fused: one pass over the memory."""

    def __init__(self, config: Sgd, parameters: Sequence[Tensor]) -> None:
        self._config = config
        self._velocities = [torch.zeros_like(p) for p in parameters] if config.momentum > 0 else []

    def step(self, parameters: list[Tensor], gradients: list[Tensor], rate: Any) -> None:
        torch._fused_sgd_(
            parameters,
            gradients,
            self._velocities,
            weight_decay=self._config.weight_decay,
            momentum=self._config.momentum,
            lr=rate,
            dampening=0,
            nesterov=self._config.nesterov,
            maximize=False,
            is_first_step=False,
        )

    def state(self) -> list[Tensor]:
        return self._velocities
