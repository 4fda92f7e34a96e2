"""The engine against a plain PyTorch loop, alone against stacked, and pinned."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch.nn import functional

from tests.conftest import Configure
from tests.training.test_optimizers import oracle
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.models.mlp import mlp
from triplicate.training.engine import EpochEnd, Event, Progress, RunEnd, Status, fit
from triplicate.training.seeding import generator

CPU = torch.device("cpu")
BASE = ("model=mlp", "model.hidden=[12,9]", "train.batch_size=16", "train.dtype=float64", "trace=none")


def train(configs: Sequence[RunConfig], dataset: Dataset) -> list[Event]:
    return list(fit(configs, dataset, CPU))


def losses(events: Sequence[Event], run: int) -> torch.Tensor:
    """The loss of one run at every step."""
    return torch.cat([e.step_losses for e in events if isinstance(e, EpochEnd) and e.run == run])


def end(events: Sequence[Event], run: int) -> RunEnd:
    return next(e for e in events if isinstance(e, RunEnd) and e.run == run)


def plain_loop(config: RunConfig, dataset: Dataset) -> torch.Tensor:
    """The same run as a textbook writes it: nn.Module, torch.optim, one batch after the other."""
    torch.manual_seed(config.seed)
    model = mlp(dataset.image_shape, config.model.hidden, len(dataset.classes), torch.nn.ReLU).double()
    optimizer = oracle(model.parameters(), config.optimizer)
    order = generator(config.seed, "order")
    pixels, labels = dataset.train.pixels.double() / 255, dataset.train.labels
    seen = []
    for _ in range(config.train.epochs):
        indices = torch.randperm(len(labels), generator=order) if config.train.shuffle else torch.arange(len(labels))
        for batch in indices.split(config.train.batch_size):
            loss = functional.cross_entropy(model(pixels[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen.append(loss.detach())
    return torch.stack(seen)


@pytest.mark.parametrize("shuffle", [True, False])
def test_stacked_equals_alone_equals_a_plain_loop(configure: Configure, small: Dataset, shuffle: bool) -> None:
    """300 steps, float64, rates up to 0.1: every loss to 1e-10."""
    rows = [("0.1", "0", "0"), ("0.01", "1", "0.9"), ("0.05", "2", "0.5"), ("0.1", "1", "0")]
    configs = [
        configure(
            *BASE,
            f"optimizer.lr={lr}",
            f"seed={seed}",
            f"optimizer.momentum={momentum}",
            "optimizer.weight_decay=0.001",
            "train.epochs=20",
            f"train.shuffle={shuffle}",
        )
        for lr, seed, momentum in rows
    ]
    stacked = train(configs, small)
    for run, config in enumerate(configs):
        alone = losses(train([config], small), 0)
        plain = plain_loop(config, small)
        assert len(alone) == len(plain) == 320
        assert (losses(stacked, run) - alone).abs().max() < 1e-10
        assert (alone - plain).abs().max() < 1e-10


@pytest.mark.parametrize("optimizer", ["momentum", "rmsprop", "adam", "adamw"])
def test_so_it_is_with_every_optimizer(configure: Configure, small: Dataset, optimizer: str) -> None:
    """200 steps, float64, 1e-10."""
    rows = [("0.001", "0"), ("0.01", "1"), ("0.003", "2")]
    configs = [
        configure(*BASE, f"optimizer={optimizer}", f"optimizer.lr={lr}", f"seed={seed}", "train.epochs=13")
        for lr, seed in rows
    ]
    stacked = train(configs, small)
    for run, config in enumerate(configs):
        plain = plain_loop(config, small)
        assert len(plain) == 208
        assert (losses(stacked, run) - losses(train([config], small), 0)).abs().max() < 1e-10
        assert (losses(stacked, run) - plain).abs().max() < 1e-10


def test_five_steps_are_pinned(configure: Configure, small: Dataset) -> None:
    """Not one digit moves unless somebody means it. The numbers are of torch's own loop on the same data."""
    config = configure(*BASE, "optimizer.lr=0.1", "seed=3", "train.epochs=1")
    pinned = [1.4166563259, 1.3334422130, 1.4002298842, 1.3684468402, 1.3801548949]
    assert losses(train([config], small), 0)[:5].tolist() == pytest.approx(pinned, abs=1e-9)


def test_the_last_short_batch_is_trained_on(configure: Configure, small: Dataset) -> None:
    config = configure(*BASE, "train.batch_size=100", "train.epochs=1")
    assert len(losses(train([config], small), 0)) == 3


def test_losses_and_accuracies_are_means_over_images(configure: Configure, small: Dataset) -> None:
    """At a rate that moves nothing, training and evaluation see the same network."""
    config = configure(*BASE, "train.batch_size=100", "train.epochs=1", "optimizer.lr=1e-300", "seed=4")
    same = Dataset(small.train, small.train, small.classes)
    events = train([config], same)
    metrics = next(e for e in events if isinstance(e, EpochEnd)).metrics
    assert metrics.train_loss == pytest.approx(metrics.test_loss, abs=1e-12)
    assert metrics.train_accuracy == metrics.test_accuracy
    torch.manual_seed(4)
    model = mlp(small.image_shape, config.model.hidden, 4, torch.nn.ReLU).double()
    scores = model(small.train.pixels.double() / 255)
    assert metrics.test_loss == pytest.approx(functional.cross_entropy(scores, small.train.labels).item(), abs=1e-12)
    assert metrics.test_accuracy == float((scores.argmax(1) == small.train.labels).double().mean())


def test_it_learns(configure: Configure, small: Dataset) -> None:
    config = configure(*BASE, "optimizer.lr=0.1", "optimizer.momentum=0.9", "train.epochs=15")
    events = train([config], small)
    accuracies = [e.metrics.test_accuracy for e in events if isinstance(e, EpochEnd)]
    assert accuracies[-1] > 0.9
    assert end(events, 0).confusion.sum() == len(small.test)
    assert end(events, 0).confusion.trace() / len(small.test) == pytest.approx(accuracies[-1])


def test_a_run_that_diverges_leaves_and_the_others_do_not_notice(configure: Configure, small: Dataset) -> None:
    calm = [configure(*BASE, f"seed={seed}", "train.epochs=3", "optimizer.momentum=0.9") for seed in (0, 2)]
    wild = configure(*BASE, "seed=1", "train.epochs=3", "optimizer.lr=1e200", "optimizer.momentum=0.9")
    events = train([calm[0], wild, calm[1]], small)
    assert end(events, 1).status is Status.DIVERGED
    rows = [e.metrics for e in events if isinstance(e, EpochEnd) and e.run == 1]
    assert len(rows) == 1
    assert math.isnan(rows[0].test_accuracy)
    step = end(events, 1).diverged_step
    assert step is not None
    own = losses(events, 1)
    assert not own[step - 1].isfinite()
    assert own[: step - 1].isfinite().all()
    for run, config in ((0, calm[0]), (2, calm[1])):
        assert end(events, run).status is Status.FINISHED
        assert (losses(events, run) - losses(train([config], small), 0)).abs().max() < 1e-10


def test_when_all_diverge_training_stops(configure: Configure, small: Dataset) -> None:
    configs = [configure(*BASE, f"seed={seed}", "train.epochs=50", "optimizer.lr=1e200") for seed in (0, 1)]
    events = train(configs, small)
    assert [e.run for e in events if isinstance(e, RunEnd)] == [0, 1]
    assert max(e.metrics.epoch for e in events if isinstance(e, EpochEnd)) == 1


def test_validation_images_are_set_apart(configure: Configure, small: Dataset) -> None:
    config = configure(*BASE, "dataset.validation=0.25", "train.epochs=1")
    events = train([config], small)
    metrics = next(e for e in events if isinstance(e, EpochEnd)).metrics
    assert metrics.validation_loss is not None
    assert metrics.validation_accuracy is not None
    assert metrics.validation_accuracy * 64 == pytest.approx(round(metrics.validation_accuracy * 64))
    assert len(losses(events, 0)) == 192 / 16


def test_progress_adds_up_to_all_steps_of_all_runs(configure: Configure, small: Dataset) -> None:
    configs = [configure(*BASE, f"seed={seed}", "train.epochs=3", "train.batch_size=5") for seed in (0, 1)]
    steps = sum(e.run_steps for e in train(configs, small) if isinstance(e, Progress))
    assert steps == 2 * 3 * math.ceil(256 / 5)


def test_weights_begin_as_manual_seed_gives_them(configure: Configure, small: Dataset) -> None:
    config = configure(*BASE, "seed=5", "train.epochs=1", "optimizer.lr=1e-300", "train.dtype=float32")
    before = torch.random.get_rng_state()
    weights = end(train([config], small), 0).weights
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(5)
    model = mlp(small.image_shape, config.model.hidden, 4, torch.nn.ReLU)
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], tensor)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(configure: Configure, small: Dataset) -> None:
    configs = [configure(*BASE, f"seed={seed}", "train.epochs=3") for seed in (0, 1)]
    on_gpu = list(fit(configs, small, torch.device("cuda")))
    for run in (0, 1):
        assert (losses(on_gpu, run) - losses(train(configs, small), run)).abs().max() < 1e-10
