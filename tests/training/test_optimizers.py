"""Every optimizer against torch.optim, run by run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from triplicate.optimizers import Optimizer
from triplicate.optimizers.adam import Adam
from triplicate.optimizers.adamw import AdamW
from triplicate.optimizers.rmsprop import Rmsprop
from triplicate.optimizers.sgd import Sgd
from triplicate.parts import names
from triplicate.training.optimizer import StackOptimizer

STEPS = 12


def sgd(lr: float, weight_decay: float = 0.0, momentum: float = 0.0, nesterov: bool = False) -> Sgd:
    return Sgd(None, lr, weight_decay, momentum, nesterov)


def nesterov(lr: float, weight_decay: float = 0.0) -> Sgd:
    return sgd(lr, weight_decay, 0.9, True)


def rmsprop(lr: float, weight_decay: float = 0.0) -> Rmsprop:
    return Rmsprop(None, lr, weight_decay, alpha=0.95, eps=1e-6)


def adam(lr: float, weight_decay: float = 0.0) -> Adam:
    return Adam(None, lr, weight_decay, beta1=0.8, beta2=0.99, eps=1e-7)


def adamw(lr: float, weight_decay: float = 0.0) -> AdamW:
    return AdamW(None, lr, weight_decay, beta1=0.9, beta2=0.999, eps=1e-8)


def oracle(parameters: Iterable[torch.Tensor], config: Optimizer) -> torch.optim.Optimizer:
    """torch's own optimizer of that configuration."""
    lr, decay = config.lr, config.weight_decay
    if isinstance(config, Sgd):
        return torch.optim.SGD(parameters, lr, momentum=config.momentum, nesterov=config.nesterov, weight_decay=decay)
    if isinstance(config, Rmsprop):
        return torch.optim.RMSprop(parameters, lr, alpha=config.alpha, eps=config.eps, weight_decay=decay)
    assert isinstance(config, Adam)
    kind = torch.optim.AdamW if isinstance(config, AdamW) else torch.optim.Adam
    return kind(parameters, lr, betas=(config.beta1, config.beta2), eps=config.eps, weight_decay=decay)


def gradient(parameter: torch.Tensor, step: int) -> torch.Tensor:
    """Of a bumpy bowl that moves a little each step."""
    return parameter * 0.7 + torch.sin(3 * parameter + step)


def torch_path(start: torch.Tensor, config: Optimizer) -> list[torch.Tensor]:
    parameter = start.clone().requires_grad_()
    optimizer = oracle([parameter], config)
    path = []
    for step in range(STEPS):
        parameter.grad = gradient(parameter.detach(), step)
        optimizer.step()
        path.append(parameter.detach().clone())
    return path


class Stack:
    """A network of one parameter [R, 3, 2], with the gradient of a step."""

    def __init__(self, parameter: torch.Tensor) -> None:
        self.parameter, self.number = parameter, 0

    def rows(self) -> list[list[torch.Tensor]]:
        """Two tensors a run, which share its memory: its first two lines, and the last."""
        return [[parameter[:2], parameter[2]] for parameter in self.parameter]

    def gradient_rows(self) -> list[list[torch.Tensor]]:
        return [[slope[:2], slope[2]] for slope in gradient(self.parameter, self.number)]


def check(rows: Sequence[Optimizer], leaving: int | None = None) -> None:
    """Our runs against torch's single paths; before step `leaving` the second run leaves."""
    torch.manual_seed(3)
    start = torch.randn(len(rows), 3, 2, dtype=torch.float64)
    expected = [torch_path(start[run], config) for run, config in enumerate(rows)]
    stack = Stack(start.clone())
    ours = StackOptimizer(rows, stack)
    kept = list(range(len(rows)))
    for step in range(STEPS):
        if step == leaving:
            stack.parameter = stack.parameter[[0, 2]]
            ours.keep(stack, [0, 2])
            kept = [0, 2]
        stack.number = step
        ours.step(stack)
        for row, run in enumerate(kept):
            torch.testing.assert_close(stack.parameter[row], expected[run][step], rtol=1e-11, atol=1e-13)


RATES = st.floats(1e-4, 0.5)
DECAYS = st.sampled_from([0.0, 1e-4, 0.1])
KINDS: list[Callable[..., Optimizer]] = [nesterov, rmsprop, adam, adamw]


@given(rows=st.lists(st.builds(sgd, RATES, DECAYS, st.sampled_from([0.0, 0.5, 0.9])), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_sgd_with_a_momentum_a_run_follows_torch(rows: list[Sgd]) -> None:
    check(rows)


@pytest.mark.parametrize("kind", KINDS)
@given(settings_of_rows=st.lists(st.tuples(RATES, DECAYS), min_size=1, max_size=4))
@settings(max_examples=25, deadline=None)
def test_each_row_follows_torch(kind: Callable[..., Optimizer], settings_of_rows: list[tuple[float, float]]) -> None:
    check([kind(*row) for row in settings_of_rows])


def test_a_stack_may_hold_every_kind() -> None:
    check([kind(0.1) for kind in [sgd, *KINDS]])


@pytest.mark.parametrize("kind", [sgd, *KINDS])
@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
def test_runs_that_are_kept_go_on_as_they_were(kind: Callable[..., Optimizer], weight_decay: float) -> None:
    check([kind(lr, weight_decay) for lr in (0.1, 0.2, 0.3)], leaving=5)
    check([kind(lr, weight_decay) for lr in (0.1, 0.1, 0.1)], leaving=5)
    check([kind(lr, weight_decay) for lr in (0.2, 0.1, 0.1)], leaving=5)


@pytest.mark.parametrize("kind", [sgd, *KINDS])
def test_runs_that_share_a_rule_are_updated_as_each_alone(kind: Callable[..., Optimizer]) -> None:
    """To the last bit, in float32; and what is remembered of a run is what a rule of its own remembers."""
    start = torch.randn(3, 3, 2, generator=torch.Generator().manual_seed(5))
    rows = [kind(0.1), kind(0.01), kind(0.1)]
    together = Stack(start.clone())
    shared = StackOptimizer(rows, together)
    alone = [Stack(start[run : run + 1].clone()) for run in range(3)]
    single = [StackOptimizer(rows[run : run + 1], alone[run]) for run in range(3)]
    for step in range(STEPS):
        together.number = step
        shared.step(together)
        for run in range(3):
            alone[run].number = step
            single[run].step(alone[run])
            assert torch.equal(together.parameter[run], alone[run].parameter[0])
            assert_same(shared.state_of(run), single[run].state_of(0))


def assert_same(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> None:
    assert len(one) == len(other)
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("kind", [sgd, *KINDS])
def test_rates_in_tensors_are_rates(kind: Callable[..., Optimizer]) -> None:
    """As a CUDA graph reads them; changed in place."""
    start = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(5))
    numbers, tensors = Stack(start.clone()), Stack(start.clone())
    rows = [kind(0.1), kind(0.01)]
    plain, recorded = StackOptimizer(rows, numbers), StackOptimizer(rows, tensors, recorded=True)
    for step in range(STEPS):
        for stack, optimizer in ((numbers, plain), (tensors, recorded)):
            optimizer.scale_rates(1 / (1 + step))
            stack.number = step
            optimizer.step(stack)
    torch.testing.assert_close(tensors.parameter, numbers.parameter, rtol=1e-5, atol=1e-6)


def test_every_optimizer_is_tested() -> None:
    assert {kind(0.1).name for kind in [sgd, *KINDS]} == set(names("optimizer"))
