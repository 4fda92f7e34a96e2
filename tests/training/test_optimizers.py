from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from triplicate.config import OptimizerConfig
from triplicate.training.optimizers import Sgd

STEPS = 12


def sgd(lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> OptimizerConfig:
    return OptimizerConfig("sgd", lr, momentum, nesterov, weight_decay)


def gradient(parameter: torch.Tensor, step: int) -> torch.Tensor:
    """Of a bumpy bowl that moves a little each step."""
    return parameter * 0.7 + torch.sin(3 * parameter + step)


def torch_path(start: torch.Tensor, config: OptimizerConfig) -> list[torch.Tensor]:
    parameter = start.clone().requires_grad_()
    oracle = torch.optim.SGD(
        [parameter],
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
    )
    path = []
    for step in range(STEPS):
        parameter.grad = gradient(parameter.detach(), step)
        oracle.step()
        path.append(parameter.detach().clone())
    return path


configs = st.builds(
    sgd,
    lr=st.floats(1e-4, 0.5),
    momentum=st.sampled_from([0.0, 0.5, 0.9]),
    weight_decay=st.sampled_from([0.0, 1e-4, 0.1]),
)


@given(rows=st.lists(configs, min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_each_row_follows_torch(rows: list[OptimizerConfig]) -> None:
    check(rows)


@given(rows=st.lists(st.builds(sgd, st.floats(1e-4, 0.5), st.just(0.9), st.just(True)), min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_nesterov_follows_torch(rows: list[OptimizerConfig]) -> None:
    check(rows)


def check(rows: list[OptimizerConfig]) -> None:
    torch.manual_seed(3)
    start = torch.randn(len(rows), 3, 2, dtype=torch.float64)
    expected = [torch_path(start[run], config) for run, config in enumerate(rows)]
    parameter = start.clone()
    ours = Sgd(rows, start)
    for step in range(STEPS):
        ours.step([parameter], [gradient(parameter, step)])
        for run in range(len(rows)):
            torch.testing.assert_close(parameter[run], expected[run][step], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_runs_that_are_kept_go_on_as_they_were(momentum: float) -> None:
    rows = [sgd(0.1, momentum), sgd(0.2, momentum), sgd(0.3, momentum)]
    start = torch.randn(3, 4, dtype=torch.float64)
    expected = [torch_path(start[run], config) for run, config in enumerate(rows)]
    parameter = start.clone()
    ours = Sgd(rows, start)
    kept = torch.arange(3)
    for step in range(STEPS):
        if step == 5:
            kept = torch.tensor([0, 2])
            parameter = parameter[kept]
            ours.keep(kept)
        ours.step([parameter], [gradient(parameter, step)])
        for row, run in enumerate(kept.tolist()):
            torch.testing.assert_close(parameter[row], expected[run][step], rtol=1e-12, atol=1e-13)
