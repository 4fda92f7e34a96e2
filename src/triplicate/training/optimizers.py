"""Optimizers over a stack: each run is updated by its own rule, with its own numbers.

The arithmetic is that of torch.optim's functions, fused into one pass over the memory where torch has that (a step of
Adam over six MLPs 128-64 took 0.39 ms so, and 2.9 ms written out). The classes of torch.optim are not used: to make
one imports torch's compiler, for a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from triplicate.config import AdamConfig, OptimizerConfig, RmspropConfig, SgdConfig


class Rule(Protocol):
    """How one run is updated."""

    def step(self, parameters: list[Tensor], gradients: list[Tensor], factor: float) -> None:
        """Update the run's parameters in place, at its rate times `factor`."""

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes and the next one needs."""


class Sgd:
    """Stochastic gradient descent with momentum, Nesterov's momentum and weight decay, as torch.optim.SGD."""

    def __init__(self, config: SgdConfig, parameters: Sequence[Tensor]) -> None:
        self._config = config
        self._velocities = [torch.zeros_like(p) for p in parameters] if config.momentum > 0 else []

    def step(self, parameters: list[Tensor], gradients: list[Tensor], factor: float) -> None:
        config = self._config
        sgd(
            parameters,
            gradients,
            [*self._velocities] or [None] * len(parameters),
            fused=True,
            lr=config.lr * factor,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
            dampening=0,
            maximize=False,
        )

    def state(self) -> list[Tensor]:
        return self._velocities


class Rmsprop:
    """RMSprop without momentum, not centred, as torch.optim.RMSprop."""

    def __init__(self, config: RmspropConfig, parameters: Sequence[Tensor]) -> None:
        self._config = config
        self._steps = [torch.zeros((), device=p.device) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]

    def step(self, parameters: list[Tensor], gradients: list[Tensor], factor: float) -> None:
        config = self._config
        rmsprop(
            parameters,
            gradients,
            self._squares,
            [],
            [],
            self._steps,
            capturable=parameters[0].is_cuda,
            lr=config.lr * factor,
            alpha=config.alpha,
            eps=config.eps,
            weight_decay=config.weight_decay,
            momentum=0,
            centered=False,
        )

    def state(self) -> list[Tensor]:
        return [*self._steps, *self._squares]


class Adam:
    """Adam as torch.optim.Adam, or AdamW as torch.optim.AdamW where the configuration names that."""

    def __init__(self, config: AdamConfig, parameters: Sequence[Tensor]) -> None:
        self._config = config
        self._steps = [torch.zeros((), device=p.device) for p in parameters]
        self._means = [torch.zeros_like(p) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]

    def step(self, parameters: list[Tensor], gradients: list[Tensor], factor: float) -> None:
        config = self._config
        adam(
            parameters,
            gradients,
            self._means,
            self._squares,
            [],
            self._steps,
            fused=True,
            decoupled_weight_decay=config.name == "adamw",
            amsgrad=False,
            lr=config.lr * factor,
            beta1=config.beta1,
            beta2=config.beta2,
            eps=config.eps,
            weight_decay=config.weight_decay,
            maximize=False,
        )

    def state(self) -> list[Tensor]:
        return [*self._steps, *self._means, *self._squares]


OPTIMIZERS: Mapping[str, Callable[[Any, Sequence[Tensor]], Rule]] = {
    "sgd": Sgd,
    "rmsprop": Rmsprop,
    "adam": Adam,
    "adamw": Adam,
}


class Optimizer:
    """The rules of all runs of a stack."""

    def __init__(self, configs: Sequence[OptimizerConfig], blocks: Sequence[Tensor]) -> None:
        """Args: `configs`, one a run; `blocks`, the parameters, each [R, …]."""
        self._configs = list(configs)
        self._rules = [OPTIMIZERS[c.name](c, [block[run] for block in blocks]) for run, c in enumerate(configs)]
        self._rates = blocks[0].new_tensor([c.lr for c in configs])
        self.scale_rates(1.0)

    @torch.no_grad()
    def step(self, blocks: Sequence[Tensor], gradients: Sequence[Tensor]) -> None:
        """Update every parameter [R, …] in place by its gradient [R, …]."""
        for run, rule in enumerate(self._rules):
            rule.step([block[run] for block in blocks], [gradient[run] for gradient in gradients], self.factor)

    def plain_rates(self) -> Tensor | None:
        """The rates [R], if every run's update takes its rate times the gradient and nothing else; else None."""
        return self._plain_rates

    def scale_rates(self, factor: float) -> None:
        """From now on every rate is the configured one times `factor`."""
        self.factor = factor
        plain = all(isinstance(c, SgdConfig) and c.momentum == c.weight_decay == 0 for c in self._configs)
        self._plain_rates = self._rates * factor if plain else None

    def keep(self, runs: Sequence[int]) -> None:
        """Drop from the stack all runs but these."""
        self._configs = [self._configs[run] for run in runs]
        self._rates = self._rates[list(runs)]
        self._rules = [self._rules[run] for run in runs]
        self.scale_rates(self.factor)

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes and the next one needs."""
        return [tensor for rule in self._rules for tensor in rule.state()]
