"""The step on a GPU, where there is one, and what stands in for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from tests.conftest import Configure
from tests.training.test_engine import BASE, SMALL_CNN, losses, train
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.training import devices
from triplicate.training.batches import Preprocess, everything
from triplicate.training.build import build
from triplicate.training.cuda_graphs import Recorder
from triplicate.training.engine import fit, is_recorded
from triplicate.training.evaluation import Evaluator
from triplicate.training.events import EpochEnd, RunEnd
from triplicate.training.network import Batched
from triplicate.training.objective import Objective
from triplicate.training.seeding import generator

CUDA = torch.device("cuda")
OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adamw")

MODELS = {
    "plain": BASE,
    "norm and dropout": (*BASE, "model.norm=after", "model.dropout=0.2"),
    "cnn": tuple(option for option in SMALL_CNN if "trace" not in option),
}


WITHOUT_MASKS = {
    "plain": BASE,
    "norm": (*BASE, "model.norm=after"),
    "cnn without dropout": (*MODELS["cnn"], "model.conv_dropout=0", "model.dropout=0"),
}


@pytest.fixture(autouse=True)
def _same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """CuDNN has convolutions whose sums are in another order each time."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)


def configs(configure: Configure, model: str, optimizer: str, *more: str) -> list[RunConfig]:
    """Batches of 100, 100 and 56 images, some steps traced, and a rate that changes."""
    shared = (*MODELS[model], f"optimizer={optimizer}", "train.batch_size=100", "train.epochs=4", "schedule=cosine")
    traced = ("trace.first=2", "trace.every=5")
    return [configure(*shared, *traced, *more, f"optimizer.lr={lr}", f"seed={s}") for lr, s in ((0.01, 0), (0.003, 1))]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_stacked_convolutions_equal_convolutions_alone(configure: Configure, small: Dataset, optimizer: str) -> None:
    """As on a GPU: 112 steps with batch normalisation and dropout, float64, 1e-10."""
    rows = [
        configure(*SMALL_CNN, f"optimizer={optimizer}", f"optimizer.lr={lr}", f"seed={seed}", "train.epochs=7")
        for lr, seed in ((0.01, 0), (0.003, 1), (0.001, 0))
    ]
    alone = [losses(train([row], small, stacked=False), 0) for row in rows]
    stacked = train(rows, small)
    for run in range(len(rows)):
        assert len(alone[run]) == 112
        assert (losses(stacked, run) - alone[run]).abs().max() < 1e-10


def on_gpu(
    rows: Sequence[RunConfig], dataset: Dataset, recorded: bool, stacked: bool = True
) -> list[EpochEnd | RunEnd]:
    """What the engine yields on a GPU, as CUDA graphs or not; each run with its own masks.

    A GPU draws other masks than a CPU, so that these are compared on the GPU.
    """
    chosen = [replace(row, executor=replace(row.executor, cuda_graphs=recorded)) for row in rows]
    assert is_recorded(chosen[0], CUDA) == recorded
    return [e for e in fit(chosen, dataset, devices.begin(CUDA), stacked) if isinstance(e, EpochEnd | RunEnd)]


def assert_equal(one: Sequence[EpochEnd | RunEnd], other: Sequence[EpochEnd | RunEnd]) -> None:
    """The losses of every step, all that was evaluated, and the traced gradients, to 1e-10."""
    assert len(one) == len(other) > 0
    for mine, twin in zip(one, other, strict=True):
        assert mine.run == twin.run
        assert numbers(mine) == pytest.approx(numbers(twin), rel=0, abs=1e-10)


def numbers(event: EpochEnd | RunEnd) -> list[float]:
    if isinstance(event, RunEnd):
        gradients = [number for row in event.gradients for number in (row.mean, row.mean_absolute, row.l2)]
        return [*gradients, *event.confusion.flatten().tolist()]
    metrics = event.metrics
    evaluated = (metrics.test_loss, metrics.validation_loss, metrics.evaluated_train_loss)
    counted = (metrics.test_accuracy, metrics.validation_accuracy, metrics.evaluated_train_accuracy)
    found = (metrics.train_loss, *evaluated, *counted, *metrics.test.values())
    return [*event.step_losses.tolist(), *(number for number in found if number is not None)]


@pytest.mark.cuda
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_on_a_gpu_replayed_is_eager(configure: Configure, small: Dataset, model: str, optimizer: str) -> None:
    rows = configs(configure, model, optimizer, "train.evaluate_training=true", "dataset.validation=0.25")
    assert_equal(on_gpu(rows, small, recorded=True), on_gpu(rows, small, recorded=False))


@pytest.mark.cuda
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_on_a_gpu_a_network_alone_replayed_is_eager(
    configure: Configure, small: Dataset, model: str, optimizer: str
) -> None:
    """Modules as they are, which no rule has stacked."""
    rows = configs(configure, model, optimizer)[:1]
    recorded, plain = (on_gpu(rows, small, recorded, stacked=False) for recorded in (True, False))
    assert_equal(recorded, plain)


@pytest.mark.cuda
@pytest.mark.parametrize("model", MODELS)
def test_on_a_gpu_a_replayed_evaluation_is_eager(configure: Configure, small: Dataset, model: str) -> None:
    """Of the same weights: nothing is trained between the two, and a replay adds to no earlier one."""
    (row, _), device = configs(configure, model, "sgd"), devices.begin(CUDA)
    network = Batched([build(row, small.image_shape, 4).to(device, torch.float64)], [generator(0, "dropout", device)])
    selection = everything(small.test.to(device), Preprocess(torch.float64, None, None, None), 1)
    recorder = Recorder(network.generators)
    plain, replayed = (Evaluator(network, selection, Objective.of(row), 4, {}, how) for how in (None, recorder))
    expected = plain()
    for _ in range(3):
        found = replayed()
        assert torch.equal(found.confusion, expected.confusion)
        assert (found.loss - expected.loss).abs().max() < 1e-10


@pytest.mark.cuda
@pytest.mark.parametrize("model", ["plain", "norm", "cnn without dropout"])
@pytest.mark.parametrize(
    ("dtype", "steps", "relative", "absolute"), [("float64", 112, 0.0, 1e-10), ("float32", 10, 1e-5, 0.0)]
)
def test_on_a_gpu_is_what_is_on_a_cpu(
    configure: Configure,
    small: Dataset,
    model: str,
    dtype: str,
    steps: int,
    relative: float,
    absolute: float,
) -> None:
    """Where no mask is drawn; in float32 for as long as the rounding has not grown."""
    options = (*WITHOUT_MASKS[model], f"train.dtype={dtype}", "train.batch_size=16", "train.epochs=7")
    rows = [configure(*options, "optimizer=momentum", "optimizer.lr=0.01", f"seed={seed}") for seed in (0, 1)]
    there, here = on_gpu(rows, small, recorded=True), train(rows, small)
    for run in range(len(rows)):
        expected = losses(here, run)[:steps]
        assert len(expected) == steps
        torch.testing.assert_close(losses(there, run)[:steps], expected, rtol=relative, atol=absolute)
