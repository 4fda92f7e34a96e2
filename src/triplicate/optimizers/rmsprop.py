"""RMSprop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.lazy import torch
from triplicate.optimizers import Optimizer
from triplicate.parts import key, part

if TYPE_CHECKING:
    from torch import Tensor


@part("rmsprop")
@dataclass(frozen=True)
class Rmsprop(Optimizer):
    """RMSprop as torch.optim.RMSprop defines it, without momentum and not centred."""

    stacked: ClassVar = "elementwise"
    is_capturable: ClassVar[bool] = True

    lr: float = key("learning rate", above=0, per_run=True)
    weight_decay: float = key("L2 penalty added to the gradient", at_least=0, per_run=True)
    alpha: float = key("fraction of the old mean of squares that stays", at_least=0, below=1, per_run=True)
    eps: float = key("added to the root of the mean of squares", at_least=0, per_run=True)

    def rule(self, parameters: Sequence[Tensor]) -> RmspropRule:
        return RmspropRule(self, parameters)


class RmspropRule:
    """torch's function: the class imports torch's compiler when it is made."""

    def __init__(self, config: Rmsprop, parameters: Sequence[Tensor]) -> None:
        from torch.optim.rmsprop import rmsprop

        self._config, self._update = config, rmsprop
        self._steps = [torch.zeros((), device=p.device) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]

    def step(self, parameters: list[Tensor], gradients: list[Tensor], rate: float) -> None:
        self._update(
            parameters,
            gradients,
            self._squares,
            [],
            [],
            self._steps,
            capturable=parameters[0].is_cuda,
            lr=rate,
            alpha=self._config.alpha,
            eps=self._config.eps,
            weight_decay=self._config.weight_decay,
            momentum=0,
            centered=False,
        )

    def state(self) -> list[Tensor]:
        return [*self._steps, *self._squares]
