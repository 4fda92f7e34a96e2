from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from triplicate.models.mlp import mlp
from triplicate.training import stack
from triplicate.training.activations import ACTIVATIONS


def models(count: int, hidden: list[int], activation: str) -> list[nn.Sequential]:
    torch.manual_seed(7)
    return [mlp((1, 3, 4), hidden, 5, ACTIVATIONS[activation]).double() for _ in range(count)]


@given(
    count=st.integers(1, 4),
    hidden=st.lists(st.integers(1, 6), max_size=3),
    batch=st.integers(1, 5),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
)
@settings(max_examples=40, deadline=None)
def test_every_run_computes_what_its_own_model_computes(
    count: int, hidden: list[int], batch: int, activation: str
) -> None:
    alone = models(count, hidden, activation)
    network = stack.stack(alone)
    inputs = torch.randn(count, batch, 1, 3, 4, dtype=torch.float64)
    scores = network(inputs)
    gradients = torch.autograd.grad(scores.square().sum(), list(network.parameters()))
    for run, model in enumerate(alone):
        expected = model(inputs[run])
        torch.testing.assert_close(scores[run], expected, rtol=1e-12, atol=1e-12)
        own = torch.autograd.grad(expected.square().sum(), list(model.parameters()))
        for stacked, single in zip(gradients, own, strict=True):
            as_single = stacked[run].T if single.ndim == 2 else stacked[run, 0]
            torch.testing.assert_close(as_single, single, rtol=1e-12, atol=1e-12)


def test_unstacked_weights_load_into_the_plain_model() -> None:
    alone = models(3, [6, 2], "relu")
    network = stack.stack(alone)
    for run, model in enumerate(alone):
        state = stack.unstack(network, run)
        assert list(state) == list(model.state_dict())
        for name, tensor in model.state_dict().items():
            assert torch.equal(state[name], tensor)


def test_runs_that_are_kept_go_on_as_they_were() -> None:
    network = stack.stack(models(4, [3], "tanh"))
    inputs = torch.randn(4, 2, 1, 3, 4, dtype=torch.float64)
    before = network(inputs)
    torch.autograd.grad(before.sum(), list(network.parameters()))
    kept = torch.tensor([0, 3])
    stack.keep(network, kept)
    after = network(inputs[kept])
    torch.testing.assert_close(after, before[kept], rtol=1e-12, atol=1e-12)
    shapes = [g.shape for g in torch.autograd.grad(after.sum(), list(network.parameters()))]
    assert shapes == [p.shape for p in network.parameters()]


def test_a_layer_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError, match="LSTM"):
        stack.stack([nn.Sequential(nn.LSTM(2, 2))])
