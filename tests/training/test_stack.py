from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from triplicate.models.mlp import mlp
from triplicate.training.activations import ACTIVATIONS
from triplicate.training.seeding import generator
from triplicate.training.stack import Alone, Batched

CPU = torch.device("cpu")


def models(
    count: int, hidden: list[int], activation: str, norm: str = "none", dropout: float = 0.0
) -> list[nn.Sequential]:
    torch.manual_seed(7)
    made = [mlp((1, 3, 4), hidden, 5, ACTIVATIONS[activation], norm, dropout).double() for _ in range(count)]
    for model in made:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias)
    return made


def generators(count: int) -> list[torch.Generator]:
    return [generator(run, "dropout") for run in range(count)]


@given(
    count=st.integers(1, 4),
    hidden=st.lists(st.integers(1, 6), max_size=3),
    batch=st.integers(2, 5),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    norm=st.sampled_from(["none", "before", "after"]),
    training=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_run_computes_what_its_own_model_computes(
    count: int, hidden: list[int], batch: int, activation: str, norm: str, training: bool
) -> None:
    alone = models(count, hidden, activation, norm)
    network = Batched(alone, generators(count)).train(training)
    inputs = torch.randn(count, batch, 1, 3, 4, dtype=torch.float64)
    scores = network(inputs)
    gradients = torch.autograd.grad(scores.square().sum(), list(network.trainable().values()))
    for run, model in enumerate(alone):
        expected = model.train(training)(inputs[run])
        torch.testing.assert_close(scores[run], expected, rtol=1e-10, atol=1e-10)
        own = torch.autograd.grad(expected.square().sum(), list(model.parameters()))
        for stacked, single in zip(gradients, own, strict=True):
            as_single = stacked[run].T if single.ndim == 2 else stacked[run].reshape(single.shape)
            torch.testing.assert_close(as_single, single, rtol=1e-9, atol=1e-9)
        for name, tensor in model.state_dict().items():
            torch.testing.assert_close(network.state(run)[name], tensor, rtol=1e-12, atol=1e-12)


def test_the_names_of_the_parameters_are_those_of_the_model() -> None:
    alone = models(2, [3, 2], "relu", "after", 0.5)
    assert list(Batched(alone, generators(2)).trainable()) == [name for name, _ in alone[0].named_parameters()]
    assert list(Alone.of_torch(alone[0], generators(1)[0], CPU).trainable()) == list(dict(alone[1].named_parameters()))


def test_unstacked_weights_load_into_the_plain_model() -> None:
    alone = models(3, [6, 2], "relu", "before", 0.5)
    network = Batched(alone, generators(3))
    for run, model in enumerate(alone):
        state = network.state(run)
        assert list(state) == list(model.state_dict())
        for name, tensor in model.state_dict().items():
            assert torch.equal(state[name], tensor)


@pytest.mark.parametrize("norm", ["none", "before"])
def test_runs_that_are_kept_go_on_as_they_were(norm: str) -> None:
    network = Batched(models(4, [3], "tanh", norm, 0.3), generators(4))
    other = Batched(models(4, [3], "tanh", norm, 0.3), generators(4))
    inputs = torch.randn(4, 6, 1, 3, 4, dtype=torch.float64)
    torch.autograd.grad(network(inputs).sum(), list(network.parameters()))
    other(inputs)
    kept = torch.tensor([0, 3])
    network.keep(kept)
    after, expected = network(inputs[kept]), other(inputs)
    torch.testing.assert_close(after, expected[kept], rtol=1e-12, atol=1e-12)
    shapes = [g.shape for g in torch.autograd.grad(after.sum(), list(network.parameters()))]
    assert shapes == [p.shape for p in network.parameters()]


def test_a_mask_is_of_its_own_run_whatever_the_company() -> None:
    """Dropout in a stack of three, alone in a stack of one, and in a plain module."""
    inputs = torch.randn(3, 8, 1, 3, 4, dtype=torch.float64)
    stacked = Batched(models(3, [40, 30], "relu", dropout=0.4), generators(3))(inputs)
    for run in range(3):
        single = models(3, [40, 30], "relu", dropout=0.4)[run]
        one = Batched([single], [generators(3)[run]])(inputs[run : run + 1])
        plain = Alone.of_torch(copy.deepcopy(single), generators(3)[run], CPU)(inputs[run : run + 1])
        torch.testing.assert_close(stacked[run], one[0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(one, plain, rtol=1e-12, atol=1e-12)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    network = Batched([nn.Sequential(nn.Dropout(0.25)), nn.Sequential(nn.Dropout(0.5))], generators(2))
    dropped = network(torch.ones(2, 400, 100))
    for run, rate in enumerate((0.25, 0.5)):
        zeros = dropped[run] == 0
        assert zeros.float().mean().item() == pytest.approx(rate, abs=0.01)
        assert dropped[run][~zeros].unique().item() == pytest.approx(1 / (1 - rate))
    assert torch.equal(network.eval()(torch.ones(2, 3, 3)), torch.ones(2, 3, 3))


def test_a_layer_without_a_rule_is_refused() -> None:
    with pytest.raises(TypeError, match="LSTM"):
        Batched([nn.Sequential(nn.LSTM(2, 2))], generators(1))


def test_frozen_batch_normalisation_keeps_its_statistics() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2 * 4, 3))
    model[0].requires_grad_(False)
    model[1].requires_grad_(False)
    network = Alone.of_torch(model, generators(1)[0], CPU).train()
    network(torch.randn(1, 5, 1, 4, 4))
    assert list(network.trainable()) == ["3.weight", "3.bias"]
    assert torch.equal(network.state(0)["1.running_mean"], torch.zeros(2))
    model[1].requires_grad_(True)
    network.train()(torch.randn(1, 5, 1, 4, 4))
    assert not torch.equal(network.state(0)["1.running_mean"], torch.zeros(2))
