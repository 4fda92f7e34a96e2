"""Optimizers over a stack: each hyperparameter is a row with a number a run.

They do what torch.optim does, operation by operation in its order; torch.optim is their oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from triplicate.config import OptimizerConfig


class Sgd:
    """Stochastic gradient descent with momentum, Nesterov's momentum and weight decay (torch.optim.SGD).

    Args:
        configs: one a run; all have the same `nesterov`.
        like: a tensor of the data type and on the device of the parameters.
    """

    def __init__(self, configs: Sequence[OptimizerConfig], like: Tensor) -> None:
        row = like.new_tensor
        self._negative_rates = row([-c.lr for c in configs])
        self._momenta = row([c.momentum for c in configs])
        self._decays = row([c.weight_decay for c in configs])
        self._nesterov = configs[0].nesterov
        self._has_momentum = any(c.momentum > 0 for c in configs)
        self._has_decay = any(c.weight_decay > 0 for c in configs)
        self._velocities: list[Tensor] = []

    @torch.no_grad()
    def step(self, parameters: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Update every parameter [R, …] in place by its gradient [R, …]."""
        if self._has_momentum and not self._velocities:
            self._velocities = [torch.zeros_like(p) for p in parameters]
        for number, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            update = gradient
            if self._has_decay:
                update = update.addcmul(parameter, _column(self._decays, parameter))
            if self._has_momentum:
                update = self._with_momentum(number, update)
            parameter.addcmul_(update, _column(self._negative_rates, parameter))

    def keep(self, runs: Tensor) -> None:
        """Drop from the stack all runs but these (indices [K])."""
        self._negative_rates = self._negative_rates[runs]
        self._momenta = self._momenta[runs]
        self._decays = self._decays[runs]
        self._velocities = [v[runs] for v in self._velocities]

    def _with_momentum(self, number: int, gradient: Tensor) -> Tensor:
        velocity = self._velocities[number]
        momenta = _column(self._momenta, gradient)
        velocity.mul_(momenta).add_(gradient)
        return gradient.addcmul(velocity, momenta) if self._nesterov else velocity


def _column(row: Tensor, like: Tensor) -> Tensor:
    """A row [R] shaped [R, 1, …] to meet a tensor [R, …]."""
    return row.view(-1, *[1] * (like.ndim - 1))


OPTIMIZERS: Mapping[str, Callable[[Sequence[OptimizerConfig], Tensor], Sgd]] = {"sgd": Sgd}
