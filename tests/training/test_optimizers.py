"""Every optimizer against torch.optim, a row a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from triplicate.config import AdamConfig, OptimizerConfig, RmspropConfig, SgdConfig
from triplicate.training.optimizers import OPTIMIZERS, Optimizer

STEPS = 12


def sgd(lr: float, weight_decay: float = 0.0, momentum: float = 0.0, nesterov: bool = False) -> SgdConfig:
    return SgdConfig("sgd", lr, weight_decay, momentum, nesterov)


def nesterov(lr: float, weight_decay: float = 0.0) -> SgdConfig:
    return sgd(lr, weight_decay, 0.9, True)


def rmsprop(lr: float, weight_decay: float = 0.0) -> RmspropConfig:
    return RmspropConfig("rmsprop", lr, weight_decay, alpha=0.95, eps=1e-6)


def adam(lr: float, weight_decay: float = 0.0) -> AdamConfig:
    return AdamConfig("adam", lr, weight_decay, beta1=0.8, beta2=0.99, eps=1e-7)


def adamw(lr: float, weight_decay: float = 0.0) -> AdamConfig:
    return AdamConfig("adamw", lr, weight_decay, beta1=0.9, beta2=0.999, eps=1e-8)


def oracle(parameters: Iterable[torch.Tensor], config: OptimizerConfig) -> torch.optim.Optimizer:
    """torch's own optimizer of that configuration."""
    lr, decay = config.lr, config.weight_decay
    if isinstance(config, SgdConfig):
        return torch.optim.SGD(parameters, lr, momentum=config.momentum, nesterov=config.nesterov, weight_decay=decay)
    if isinstance(config, RmspropConfig):
        return torch.optim.RMSprop(parameters, lr, alpha=config.alpha, eps=config.eps, weight_decay=decay)
    kind = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    return kind(parameters, lr, betas=(config.beta1, config.beta2), eps=config.eps, weight_decay=decay)


def gradient(parameter: torch.Tensor, step: int) -> torch.Tensor:
    """Of a bumpy bowl that moves a little each step."""
    return parameter * 0.7 + torch.sin(3 * parameter + step)


def torch_path(start: torch.Tensor, config: OptimizerConfig) -> list[torch.Tensor]:
    parameter = start.clone().requires_grad_()
    optimizer = oracle([parameter], config)
    path = []
    for step in range(STEPS):
        parameter.grad = gradient(parameter.detach(), step)
        optimizer.step()
        path.append(parameter.detach().clone())
    return path


def check(rows: Sequence[OptimizerConfig], leaving: int | None = None) -> None:
    """Our rows against torch's single paths; before step `leaving` the second run leaves."""
    torch.manual_seed(3)
    start = torch.randn(len(rows), 3, 2, dtype=torch.float64)
    expected = [torch_path(start[run], config) for run, config in enumerate(rows)]
    parameter = start.clone()
    ours = Optimizer(rows, [parameter])
    kept = list(range(len(rows)))
    for step in range(STEPS):
        if step == leaving:
            parameter = parameter[[0, 2]]
            ours.keep([0, 2])
            kept = [0, 2]
        ours.step([parameter], [gradient(parameter, step)])
        for row, run in enumerate(kept):
            torch.testing.assert_close(parameter[row], expected[run][step], rtol=1e-11, atol=1e-13)


RATES = st.floats(1e-4, 0.5)
DECAYS = st.sampled_from([0.0, 1e-4, 0.1])
KINDS: list[Callable[..., OptimizerConfig]] = [nesterov, rmsprop, adam, adamw]


@given(rows=st.lists(st.builds(sgd, RATES, DECAYS, st.sampled_from([0.0, 0.5, 0.9])), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_sgd_with_a_momentum_a_run_follows_torch(rows: list[SgdConfig]) -> None:
    check(rows)


@pytest.mark.parametrize("kind", KINDS)
@given(settings_of_rows=st.lists(st.tuples(RATES, DECAYS), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_each_row_follows_torch(
    kind: Callable[..., OptimizerConfig], settings_of_rows: list[tuple[float, float]]
) -> None:
    check([kind(*row) for row in settings_of_rows])


def test_a_stack_may_hold_every_kind() -> None:
    check([kind(0.1) for kind in [sgd, *KINDS]])


@pytest.mark.parametrize("kind", [sgd, *KINDS])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_runs_that_are_kept_go_on_as_they_were(kind: Callable[..., OptimizerConfig], weight_decay: float) -> None:
    check([kind(lr, weight_decay) for lr in (0.1, 0.2, 0.3)], leaving=5)


def test_every_optimizer_is_tested() -> None:
    assert {kind(0.1).name for kind in [sgd, *KINDS]} == set(OPTIMIZERS)
