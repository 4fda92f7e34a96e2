"""Every layer against central finite differences and against torch.autograd, in float64, over drawn shapes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from triplicate.activations.gelu import GeluLayer
from triplicate.activations.gelu_tanh import GeluTanhLayer
from triplicate.activations.leaky_relu import LeakyReluLayer
from triplicate.activations.relu import ReluLayer
from triplicate.activations.sigmoid import SigmoidLayer
from triplicate.activations.tanh import TanhLayer
from triplicate.losses import Loss
from triplicate.numpy_backend.convolution import Convolution
from triplicate.numpy_backend.layer import Array, Layer
from triplicate.numpy_backend.linear import Flatten, Linear
from triplicate.numpy_backend.loss import NumpyLoss
from triplicate.numpy_backend.pooling import AveragePool, GlobalAverage, MaxPool
from triplicate.numpy_backend.regularization import BatchNorm, Dropout
from triplicate.parts import find, names

TOLERANCE = 1e-6
STEP = 1e-6

Function = Callable[..., torch.Tensor]


def draw(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def relative(ours: Array, expected: Array) -> float:
    """The largest difference, by the largest number expected; finite differences have an error of about 1e-11."""
    assert ours.shape == expected.shape
    return float(np.abs(ours - expected).max() / max(np.abs(expected).max(), 1e-4))


def differences(function: Callable[[], float], array: Array) -> Array:
    """∂function/∂array, by central finite differences."""
    found = np.zeros_like(array)
    for place in np.ndindex(array.shape):
        kept = array[place]
        array[place] = kept + STEP
        above = function()
        array[place] = kept - STEP
        below = function()
        array[place] = kept
        found[place] = (above - below) / (2 * STEP)
    return found


def check(layer: Layer, inputs: Array, parameters: list[Array], oracle: Function) -> None:
    """The layer's outputs and gradients against torch's, and its gradients against finite differences."""
    outputs = layer.forward(inputs, True)
    tensors = [torch.tensor(array, requires_grad=True) for array in (inputs, *parameters)]
    expected = oracle(*tensors)
    assert relative(outputs, expected.detach().numpy()) < 1e-12
    gradient = draw(999_983, *outputs.shape)  # of no stream that the inputs are drawn from
    wanted = torch.autograd.grad(expected, tensors, torch.tensor(gradient))

    def value() -> float:
        return float((layer.forward(inputs, True) * gradient).sum())

    layer.forward(inputs, True)
    ours = [layer.input_gradient(gradient), *layer.parameter_gradients(gradient)]
    for array, mine, theirs in zip((inputs, *parameters), ours, wanted, strict=True):
        assert relative(np.asarray(mine), theirs.numpy()) < TOLERANCE
        assert relative(np.asarray(mine), differences(value, array)) < TOLERANCE


SEEDS = st.integers(0, 10_000)
BATCH = st.integers(1, 3)


@given(SEEDS, BATCH, st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_linear(seed: int, batch: int, inputs: int, outputs: int) -> None:
    weight, bias = draw(seed, outputs, inputs), draw(seed + 1, outputs)
    check(Linear(weight, bias), draw(seed + 2, batch, inputs), [weight, bias], functional.linear)


@st.composite
def images(draw_from: st.DrawFn) -> tuple[int, int, int, int, int, int]:
    """Channels, height, width, kernel, stride, padding that leave something: uneven, also a stride over the kernel."""
    kernel = draw_from(st.integers(1, 3))
    padding = draw_from(st.integers(0, 2))
    least = max(1, kernel - 2 * padding)
    height, width = draw_from(st.integers(least, 6)), draw_from(st.integers(least, 6))
    return draw_from(st.integers(1, 2)), height, width, kernel, draw_from(st.integers(1, 4)), padding


@given(SEEDS, BATCH, images(), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_convolution(seed: int, batch: int, shape: tuple[int, int, int, int, int, int], filters: int) -> None:
    channels, height, width, kernel, stride, padding = shape
    weight, bias = draw(seed, filters, channels, kernel, kernel), draw(seed + 1, filters)
    layer = Convolution(weight, bias, stride, padding)
    inputs = draw(seed + 2, batch, channels, height, width)
    check(layer, inputs, [weight, bias], lambda x, w, b: functional.conv2d(x, w, b, stride, padding))


@pytest.mark.parametrize(("kind", "oracle"), [(MaxPool, functional.max_pool2d), (AveragePool, functional.avg_pool2d)])
@given(SEEDS, BATCH, images())
@settings(max_examples=30, deadline=None)
def test_pooling(
    kind: Callable[[int, int], Layer],
    oracle: Function,
    seed: int,
    batch: int,
    shape: tuple[int, int, int, int, int, int],
) -> None:
    channels, height, width, side, stride, _ = shape
    inputs = draw(seed, batch, channels, height + 2, width + 2)
    check(kind(side, stride), inputs, [], lambda x: oracle(x, side, stride))


def test_the_first_of_equal_pixels_gets_the_gradient() -> None:
    """As in torch; behind ReLU many are zero."""
    inputs = np.zeros((1, 1, 4, 4))
    layer = MaxPool(2, 2)
    tensor = torch.zeros(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    layer.forward(inputs, True)
    gradient = draw(0, 1, 1, 2, 2)
    wanted = torch.autograd.grad(functional.max_pool2d(tensor, 2), tensor, torch.tensor(gradient))[0]
    assert np.array_equal(layer.input_gradient(gradient), wanted.numpy())


@given(SEEDS, BATCH, images())
@settings(max_examples=20, deadline=None)
def test_global_average_and_flatten(seed: int, batch: int, shape: tuple[int, int, int, int, int, int]) -> None:
    inputs = draw(seed, batch, *shape[:3])
    check(GlobalAverage(), inputs, [], lambda x: x.mean((2, 3), keepdim=True))
    check(Flatten(), inputs, [], lambda x: x.flatten(1))


@pytest.mark.parametrize(
    ("layer", "oracle"),
    [
        (ReluLayer(), functional.relu),
        (LeakyReluLayer(0.01), functional.leaky_relu),
        (TanhLayer(), torch.tanh),
        (SigmoidLayer(), torch.sigmoid),
        (GeluLayer(), functional.gelu),
        (GeluTanhLayer(), lambda x: functional.gelu(x, approximate="tanh")),
    ],
)
@given(SEEDS, BATCH, st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_activations(layer: Layer, oracle: Function, seed: int, batch: int, width: int) -> None:
    inputs = 2 * draw(seed, batch, width)
    inputs[np.abs(inputs) < 1e-4] = 0.5  # a finite difference over a kink is of neither side
    check(layer, inputs, [], oracle)


def batch_norm(features: int, seed: int) -> tuple[BatchNorm, Array, Array, Array, Array, np.ndarray]:
    weight, bias = 1 + 0.3 * draw(seed, features), draw(seed + 1, features)
    mean, var, batches = draw(seed + 2, features), np.ones(features), np.array(0)
    return BatchNorm(weight, bias, mean, var, batches, 0.1, 1e-5), weight, bias, mean, var, batches


@given(SEEDS, st.integers(1, 3), st.booleans(), st.integers(3, 5))
@settings(max_examples=30, deadline=None)
def test_batch_norm(seed: int, features: int, of_images: bool, batch: int) -> None:
    """From three values on: two are normalised to ±1 whatever they are, and have no gradient to compare."""
    layer, weight, bias, *_ = batch_norm(features, seed)
    inputs = draw(seed + 3, batch, features, *((2, 3) if of_images else ()))
    check(layer, inputs, [weight, bias], lambda x, w, b: functional.batch_norm(x, None, None, w, b, True, 0.1, 1e-5))


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 2, 5)])
def test_running_statistics_are_torchs(shape: tuple[int, ...]) -> None:
    layer, weight, bias, mean, var, batches = batch_norm(3, 1)
    oracle = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(3).double()
    oracle.load_state_dict(
        {
            "weight": torch.tensor(weight),
            "bias": torch.tensor(bias),
            "running_mean": torch.tensor(mean),
            "running_var": torch.tensor(var),
            "num_batches_tracked": torch.tensor(0),
        }
    )
    for step in range(4):
        inputs = draw(step, *shape)
        expected = oracle(torch.tensor(inputs)).detach().numpy()
        np.testing.assert_allclose(layer.forward(inputs, True), expected, atol=1e-12)
    np.testing.assert_allclose(mean, oracle.running_mean.numpy(), atol=1e-12)
    np.testing.assert_allclose(var, oracle.running_var.numpy(), atol=1e-12)
    assert int(batches) == 4
    inputs = draw(9, *shape)
    expected = oracle.eval()(torch.tensor(inputs)).detach().numpy()
    np.testing.assert_allclose(layer.forward(inputs, False), expected, atol=1e-12)


def test_dropout_keeps_what_it_drew_and_evaluation_all() -> None:
    drawn = np.random.default_rng(0).random((50, 40), dtype=np.float32)
    layer = Dropout(0.3, lambda shape: drawn[: shape[0], : shape[1]])
    inputs = draw(1, 50, 40)
    mask = (drawn >= 0.3) / 0.7
    check(layer, inputs[:3, :4], [], lambda x: x * torch.tensor(mask[:3, :4]))
    np.testing.assert_allclose(layer.forward(inputs, True), inputs * mask)
    assert layer.forward(inputs, False) is inputs


LOSS_ORACLES: dict[str, Function] = {
    "binary_cross_entropy": lambda s, y: functional.binary_cross_entropy_with_logits(s[:, 0], y, reduction="none"),
    "cross_entropy": lambda s, y: functional.cross_entropy(s, y.long(), reduction="none"),
    "perceptron": lambda s, y: functional.relu(-(2 * y - 1) * s[:, 0]),
}


# Of losses that have some.
KEYS = {"cross_entropy": {"label_smoothing": 0.0}}


def numpy_loss(name: str) -> NumpyLoss:
    part = find("loss", name)(**KEYS.get(name, {}))
    assert isinstance(part, Loss)
    made = part.numpy_loss()
    assert made is not None
    return made


@pytest.mark.parametrize("name", names("loss"))
@given(SEEDS, st.integers(1, 6), st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_losses(name: str, seed: int, batch: int, classes: int) -> None:
    is_binary = name != "cross_entropy"
    logits = 3 * draw(seed, batch, 1 if is_binary else classes)
    labels = np.random.default_rng(seed).integers(0, 2 if is_binary else classes, batch)
    loss, gradient = numpy_loss(name), draw(seed + 1, batch)
    tensor = torch.tensor(logits, requires_grad=True)
    expected = LOSS_ORACLES[name](tensor, torch.tensor(labels, dtype=torch.float64))
    np.testing.assert_allclose(loss.forward(logits, labels), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    ours = loss.backward(gradient)
    assert relative(ours, torch.autograd.grad(expected, tensor, torch.tensor(gradient))[0].numpy()) < TOLERANCE
    numeric = differences(lambda: float((loss.forward(logits, labels) * gradient).sum()), logits)
    assert relative(ours, numeric) < TOLERANCE


def test_logits_that_would_overflow_do_not() -> None:
    logits, labels = np.array([[1000.0, 0.0], [-1000.0, 0.0]]), np.array([0, 0])
    np.testing.assert_allclose(numpy_loss("cross_entropy").forward(logits, labels), [0, 1000])
    np.testing.assert_allclose(numpy_loss("binary_cross_entropy").forward(logits[:, :1], labels), [1000, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_format_stays(dtype: type) -> None:
    """In float32 nothing is computed in float64 on the way."""
    layers: list[Layer] = [
        Convolution(draw(0, 2, 1, 2, 2).astype(dtype), draw(1, 2).astype(dtype), 1, 1),
        GeluLayer(),
        GeluTanhLayer(),
        SigmoidLayer(),
        TanhLayer(),
        LeakyReluLayer(0.01),
        ReluLayer(),
        BatchNorm(*(np.ones(2, dtype) for _ in range(4)), np.array(0), 0.1, 1e-5),
        MaxPool(2, 2),
        AveragePool(2, 1),
        Dropout(0.5, lambda shape: np.random.default_rng(0).random(shape)),
        GlobalAverage(),
        Flatten(),
        Linear(draw(2, 3, 2).astype(dtype), draw(3, 3).astype(dtype)),
    ]
    inputs = draw(4, 3, 1, 6, 6).astype(dtype)
    for layer in layers:
        inputs = layer.forward(inputs, True)
        assert inputs.dtype == dtype, layer
    loss = numpy_loss("cross_entropy")
    assert loss.forward(inputs, np.array([0, 1, 2])).dtype == dtype
    gradient = loss.backward(np.ones(3, dtype))
    for layer in reversed(layers):
        assert all(array.dtype == dtype for array in layer.parameter_gradients(gradient)), layer
        gradient = layer.input_gradient(gradient)
        assert gradient.dtype == dtype, layer
