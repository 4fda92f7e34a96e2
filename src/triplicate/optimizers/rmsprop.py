"""RMSprop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from triplicate.lazy import torch
from triplicate.optimizers import Optimizer
from triplicate.parts import key, part

if TYPE_CHECKING:
    from torch import Tensor


@part("rmsprop")
@dataclass(frozen=True)
class Rmsprop(Optimizer):
    """RMSprop as torch.optim.RMSprop defines it, without momentum and not centred."""

    is_shared: ClassVar[bool] = True
    is_capturable: ClassVar[bool] = True

    lr: float = key("learning rate", above=0, per_run=True)
    weight_decay: float = key("L2 penalty added to the gradient", at_least=0, per_run=True)
    alpha: float = key(
        "fraction of the running mean of squared gradients that is kept in each step", at_least=0, below=1, per_run=True
    )
    eps: float = key(
        "added to the root of the running mean of squared gradients, by which a step is divided",
        at_least=0,
        per_run=True,
    )

    def rule(self, parameters: Sequence[Tensor]) -> RmspropRule:
        return RmspropRule(self, parameters)


class RmspropRule:
    """What torch.optim.RMSprop does, over all tensors at once."""

    def __init__(self, config: Rmsprop, parameters: Sequence[Tensor]) -> None:
        self._config = config
        self._squares = [torch.zeros_like(p) for p in parameters]

    def step(self, parameters: list[Tensor], gradients: list[Tensor], rate: Any) -> None:
        config = self._config
        if config.weight_decay != 0:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=config.weight_decay))
        torch._foreach_mul_(self._squares, config.alpha)
        torch._foreach_addcmul_(self._squares, gradients, gradients, value=1 - config.alpha)
        roots = torch._foreach_sqrt(self._squares)
        torch._foreach_add_(roots, config.eps)
        if not isinstance(rate, torch.Tensor):
            torch._foreach_addcdiv_(parameters, gradients, roots, value=-rate)
            return
        updates = torch._foreach_mul(gradients, rate)
        torch._foreach_div_(updates, roots)
        torch._foreach_sub_(parameters, updates)

    def state(self) -> list[Tensor]:
        return self._squares
