from __future__ import annotations

import copy
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from triplicate.activations import Activation
from triplicate.models.mlp import Mlp
from triplicate.parts import classes
from triplicate.training.draws import Draws
from triplicate.training.network import Alone, Batched
from triplicate.training.seeding import generator
from triplicate.training.stacked_layers import StackedDropout

ACTIVATIONS: dict[str, type[Activation]] = classes("activation")  # type: ignore[assignment]
CPU = torch.device("cpu")


def models(
    count: int, hidden: list[int], activation: str, norm: str = "none", dropout: float = 0.0
) -> list[nn.Sequential]:
    torch.manual_seed(7)
    model = Mlp(tuple(hidden), norm, dropout, "torch")
    made = [model.build((1, 3, 4), 5, ACTIVATIONS[activation]()).double() for _ in range(count)]
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
    check_as_alone(
        models(count, hidden, activation, norm), torch.randn(count, batch, 1, 3, 4, dtype=torch.float64), training
    )


@given(
    count=st.integers(1, 3),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    norm=st.booleans(),
    pool=st.sampled_from([nn.MaxPool2d(2), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Identity()]),
    stride=st.integers(1, 2),
    training=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_so_it_is_with_convolutions(
    count: int, activation: str, norm: bool, pool: nn.Module, stride: int, training: bool
) -> None:
    torch.manual_seed(7)
    alone = [small_cnn(activation, norm, pool, stride) for _ in range(count)]
    check_as_alone(alone, torch.randn(count, 4, 2, 7, 6, dtype=torch.float64), training)


def small_cnn(activation: str, norm: bool, pool: nn.Module, stride: int) -> nn.Sequential:
    def behind(filters: int) -> list[nn.Module]:
        normed = [nn.BatchNorm2d(filters)] if norm else []
        return [*normed, ACTIVATIONS[activation]()()]

    pooled = [] if isinstance(pool, nn.Identity) else [pool]
    convolutions = [nn.Conv2d(2, 3, 3, stride, 1), *behind(3), *pooled, nn.Conv2d(3, 4, 1), *behind(4), nn.Flatten()]
    size = nn.Sequential(*convolutions).eval()(torch.zeros(1, 2, 7, 6)).shape[1]
    return nn.Sequential(*convolutions, nn.Linear(size, 5)).double()


def check_as_alone(alone: Sequence[nn.Module], inputs: torch.Tensor, training: bool) -> None:
    """Logits, gradients, a step of descent and running statistics of a stack, against those of each model by itself."""
    network = Batched(alone, generators(len(alone))).train(training)
    before = {name: p.detach().clone() for name, p in network.trainable().items()}
    logits = network(inputs)
    network.backward(logits, 2 * logits)
    rates = torch.linspace(0.1, 0.3, len(alone), dtype=torch.float64)
    descended = before
    if network.can_descend():
        other = Batched(alone, generators(len(alone)))
        given = other(inputs)
        other.descend(given, -2 * rates.view(-1, 1, 1) * given)
        descended = {name: p.detach() for name, p in other.trainable().items()}
    for run, model in enumerate(alone):
        expected = model.train(training)(inputs[run])
        torch.testing.assert_close(logits[run], expected, rtol=1e-10, atol=1e-10)
        own = torch.autograd.grad(expected.square().sum(), list(model.parameters()))
        for name, gradient, single in zip(before, network.gradients(), own, strict=True):
            torch.testing.assert_close(gradient[run], single, rtol=1e-9, atol=1e-9)
            if network.can_descend():
                stepped = before[name][run] - rates[run] * single
                torch.testing.assert_close(descended[name][run], stepped, rtol=1e-9, atol=1e-9)
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
    network(inputs)
    other(inputs)
    kept = network.keep([0, 3])
    after, whole = kept(inputs[[0, 3]]), other(inputs)
    torch.testing.assert_close(after, whole[[0, 3]], rtol=1e-12, atol=1e-12)
    kept.backward(after, torch.ones_like(after))
    other.backward(whole, torch.ones_like(whole))
    for gradient, of_all in zip(kept.gradients(), other.gradients(), strict=True):
        torch.testing.assert_close(gradient, of_all[[0, 3]], rtol=1e-9, atol=1e-12)


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
    network = StackedDropout([nn.Dropout(0.25), nn.Dropout(0.5)], Draws(generators(2), CPU))
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
