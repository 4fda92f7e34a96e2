"""Optimizers over a stack: rate, momentum and weight decay are rows with a number a run.

They do what torch.optim does, operation by operation in its order; torch.optim is their oracle in the tests.
What is no row (betas, alpha, eps, nesterov) agrees in all runs of a stack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from triplicate.config import AdamConfig, RmspropConfig, SgdConfig


class Optimizer(Protocol):
    """What the engine asks of an optimizer."""

    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Update every parameter [R, …] in place by its gradient [R, …]."""

    def scale_rates(self, factor: float) -> None:
        """From now on every rate is the configured one times `factor`."""

    def keep(self, runs: Tensor) -> None:
        """Drop from the stack all runs but these (indices [K])."""


class Sgd:
    """Stochastic gradient descent with momentum, Nesterov's momentum and weight decay (torch.optim.SGD).

    Args:
        configs: one a run; all have the same `nesterov`.
        like: a tensor of the data type and on the device of the parameters.
    """

    def __init__(self, configs: Sequence[SgdConfig], like: Tensor) -> None:
        self._rates = like.new_tensor([c.lr for c in configs])
        self._factor = 1.0
        self._momenta = like.new_tensor([c.momentum for c in configs])
        self._decays = _decays(configs, like)
        self._nesterov = configs[0].nesterov
        self._has_momentum = any(c.momentum > 0 for c in configs)
        self._velocities: list[Tensor] = []

    @torch.no_grad()
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        if self._has_momentum and not self._velocities:
            self._velocities = [torch.zeros_like(p) for p in parameters]
        negative_rates = -self._factor * self._rates
        for number, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            update = _decayed(gradient, parameter, self._decays)
            if self._has_momentum:
                update = self._with_momentum(number, update)
            parameter.addcmul_(update, _column(negative_rates, parameter))

    def scale_rates(self, factor: float) -> None:
        self._factor = factor

    def keep(self, runs: Tensor) -> None:
        self._rates = self._rates[runs]
        self._momenta = self._momenta[runs]
        self._decays = _kept(self._decays, runs)
        self._velocities = [v[runs] for v in self._velocities]

    def _with_momentum(self, number: int, gradient: Tensor) -> Tensor:
        velocity = self._velocities[number]
        momenta = _column(self._momenta, gradient)
        velocity.mul_(momenta).add_(gradient)
        return gradient.addcmul(velocity, momenta) if self._nesterov else velocity


class Rmsprop:
    """RMSprop without momentum, not centred (torch.optim.RMSprop).

    Args:
        configs: one a run; all have the same `alpha` and `eps`.
        like: a tensor of the data type and on the device of the parameters.
    """

    def __init__(self, configs: Sequence[RmspropConfig], like: Tensor) -> None:
        self._rates = like.new_tensor([c.lr for c in configs])
        self._factor = 1.0
        self._decays = _decays(configs, like)
        self._alpha = configs[0].alpha
        self._eps = configs[0].eps
        self._squares: list[Tensor] = []

    @torch.no_grad()
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        if not self._squares:
            self._squares = [torch.zeros_like(p) for p in parameters]
        negative_rates = -self._factor * self._rates
        for parameter, gradient, square in zip(parameters, gradients, self._squares, strict=True):
            update = _decayed(gradient, parameter, self._decays)
            square.mul_(self._alpha).addcmul_(update, update, value=1 - self._alpha)
            root = square.sqrt().add_(self._eps)
            parameter.add_((update * _column(negative_rates, parameter)).div_(root))

    def scale_rates(self, factor: float) -> None:
        self._factor = factor

    def keep(self, runs: Tensor) -> None:
        self._rates = self._rates[runs]
        self._decays = _kept(self._decays, runs)
        self._squares = [s[runs] for s in self._squares]


class Adam:
    """Adam (torch.optim.Adam), or AdamW (torch.optim.AdamW) where the configurations name that.

    Args:
        configs: one a run; all have the same name, betas and `eps`.
        like: a tensor of the data type and on the device of the parameters.
    """

    def __init__(self, configs: Sequence[AdamConfig], like: Tensor) -> None:
        first = configs[0]
        self._rates = like.new_tensor([c.lr for c in configs])
        self._factor = 1.0
        self._decays = _decays(configs, like)
        self._decoupled = first.name == "adamw"
        self._beta1, self._beta2, self._eps = first.beta1, first.beta2, first.eps
        self._steps = 0
        self._means: list[Tensor] = []
        self._squares: list[Tensor] = []

    @torch.no_grad()
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        if not self._means:
            self._means = [torch.zeros_like(p) for p in parameters]
            self._squares = [torch.zeros_like(p) for p in parameters]
        self._steps += 1
        root_correction = math.sqrt(1 - self._beta2**self._steps)
        rates = self._factor * self._rates
        negative_sizes = rates / (self._beta1**self._steps - 1)
        for parameter, gradient, mean, square in zip(parameters, gradients, self._means, self._squares, strict=True):
            update = gradient
            if self._decoupled and self._decays is not None:
                parameter.mul_(1 - _column(rates * self._decays, parameter))
            elif not self._decoupled:
                update = _decayed(gradient, parameter, self._decays)
            mean.lerp_(update, 1 - self._beta1)
            square.mul_(self._beta2).addcmul_(update, update, value=1 - self._beta2)
            root = (square.sqrt() / root_correction).add_(self._eps)
            parameter.add_((mean * _column(negative_sizes, parameter)).div_(root))

    def scale_rates(self, factor: float) -> None:
        self._factor = factor

    def keep(self, runs: Tensor) -> None:
        self._rates = self._rates[runs]
        self._decays = _kept(self._decays, runs)
        self._means = [m[runs] for m in self._means]
        self._squares = [s[runs] for s in self._squares]


def _decays(configs: Sequence[SgdConfig | RmspropConfig | AdamConfig], like: Tensor) -> Tensor | None:
    """The weight decays [R]; None where no run has one."""
    if all(c.weight_decay == 0 for c in configs):
        return None
    return like.new_tensor([c.weight_decay for c in configs])


def _decayed(gradient: Tensor, parameter: Tensor, decays: Tensor | None) -> Tensor:
    return gradient if decays is None else gradient.addcmul(parameter, _column(decays, parameter))


def _kept(row: Tensor | None, runs: Tensor) -> Tensor | None:
    return None if row is None else row[runs]


def _column(row: Tensor, like: Tensor) -> Tensor:
    """A row [R] shaped [R, 1, …] to meet a tensor [R, …]."""
    return row.view(-1, *[1] * (like.ndim - 1))


# The plan puts runs into one stack only if their optimizers have the same name, hence the same configuration class.
OPTIMIZERS: Mapping[str, Callable[[Sequence[Any], Tensor], Optimizer]] = {
    "sgd": Sgd,
    "rmsprop": Rmsprop,
    "adam": Adam,
    "adamw": Adam,
}
