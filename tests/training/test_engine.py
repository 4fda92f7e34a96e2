"""The engine against a plain PyTorch loop, alone against stacked, and pinned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.conftest import Configure
from tests.training.test_optimizers import oracle
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.models.cnn import Cnn
from triplicate.models.mlp import Mlp
from triplicate.parts import names
from triplicate.training.engine import fit
from triplicate.training.events import EpochEnd, Event, RunEnd, Status, StepsDone
from triplicate.training.seeding import generator

CPU = torch.device("cpu")
BASE = ("model=mlp", "model.hidden=[12,9]", "train.batch_size=16", "train.dtype=float64", "trace=none")


def train(configs: Sequence[RunConfig], dataset: Dataset, stacked: bool = True) -> list[Event]:
    return list(fit(configs, dataset, CPU, stacked))


def losses(events: Sequence[Event], run: int) -> torch.Tensor:
    """The loss of one run at every step."""
    return torch.cat([e.step_losses for e in events if isinstance(e, EpochEnd) and e.run == run])


def end(events: Sequence[Event], run: int) -> RunEnd:
    return next(e for e in events if isinstance(e, RunEnd) and e.run == run)


def by_hand(config: RunConfig, dataset: Dataset) -> nn.Module:
    """The models of these tests, written out in float64."""
    channels, height, width = dataset.image_shape
    classes = len(dataset.classes)
    if isinstance(config.model, Cnn):
        return nn.Sequential(
            nn.Conv2d(channels, 3, 3, padding=1),
            nn.BatchNorm2d(3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.2),
            nn.Conv2d(3, 4, 2),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Flatten(),
            nn.Linear(4 * (height // 2 - 1) * (width // 2 - 1), 5),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(5, classes),
        ).double()
    assert isinstance(config.model, Mlp)
    layers: list[nn.Module] = [nn.Flatten()]
    wide = channels * height * width
    for narrow in config.model.hidden:
        layers += [nn.Linear(wide, narrow), nn.ReLU()]
        layers += [nn.BatchNorm1d(narrow)] if config.model.norm == "after" else []
        layers += [nn.Dropout(config.model.dropout)]
        wide = narrow
    return nn.Sequential(*layers, nn.Linear(wide, classes)).double()


def dropped_by(masks: torch.Generator, rate: float) -> Callable[..., torch.Tensor]:
    """What dropout does to a layer's output, from the run's own stream of uniform numbers."""

    def drop(_module: nn.Module, _inputs: object, outputs: torch.Tensor) -> torch.Tensor:
        if rate == 0:
            return outputs
        return outputs * (torch.rand(outputs.shape, generator=masks) >= rate) / (1 - rate)

    return drop


def plain_loop(config: RunConfig, dataset: Dataset) -> torch.Tensor:
    """The same run as a textbook writes it: nn.Module, torch.optim, one batch after the other."""
    torch.manual_seed(config.seed)
    model = by_hand(config, dataset)
    optimizer = oracle(model.parameters(), config.optimizer)
    masks = generator(config.seed, "dropout")
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.register_forward_hook(dropped_by(masks, module.p))
            module.p = 0.0
    return loop(config, dataset, model, optimizer)


def loop(config: RunConfig, dataset: Dataset, model: nn.Module, optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """The losses of a module and an optimizer of torch, in the run's order of images."""
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


SMALL_CNN = (
    "model=cnn",
    "model.filters=[3,4]",
    "model.kernel=[3,2]",
    "model.padding=[1,0]",
    "model.norm=before",
    "model.pool=[max,none]",
    "model.conv_dropout=0.2",
    "model.hidden=[5]",
    "model.dropout=0.3",
    "train.batch_size=16",
    "train.dtype=float64",
    "trace=none",
)


@pytest.mark.parametrize(
    "model",
    [
        (*BASE, "model.norm=after"),
        (*BASE, "model.dropout=0.4"),
        (*BASE, "model.norm=after", "model.dropout=0.1"),
    ],
)
def test_so_it_is_with_batch_normalisation_and_dropout(
    configure: Configure, small: Dataset, model: tuple[str, ...]
) -> None:
    """112 steps, float64, 1e-10, rates up to 0.01."""
    configs = [
        configure(*model, f"optimizer.lr={lr}", f"seed={seed}", "train.epochs=7")
        for lr, seed in (("0.01", 0), ("0.003", 1), ("0.01", 1))
    ]
    stacked = train(configs, small)
    for run, config in enumerate(configs):
        plain = plain_loop(config, small)
        assert len(plain) == 112
        assert (losses(stacked, run) - losses(train([config], small), 0)).abs().max() < 1e-10
        assert (losses(stacked, run) - plain).abs().max() < 1e-10


@pytest.mark.parametrize("activation", names("activation"))
def test_so_it_is_with_every_activation(configure: Configure, small: Dataset, activation: str) -> None:
    """208 steps, float64, 1e-10; then 112 with batch normalisation and dropout at 0.01."""
    kinds = [(BASE, 0.1, 13), ((*BASE, "model.norm=before", "model.dropout=0.2"), 0.01, 7)]
    for model, lr, epochs in kinds:
        options = (*model, f"activation={activation}", f"train.epochs={epochs}")
        configs = [configure(*options, f"optimizer.lr={lr / (1 + seed)}", f"seed={seed}") for seed in range(3)]
        stacked = train(configs, small)
        for run, config in enumerate(configs):
            assert (losses(stacked, run) - losses(train([config], small), 0)).abs().max() < 1e-10


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("norm", ["none", "after"])
def test_runs_that_leave_at_different_epochs_change_nothing(
    configure: Configure, small: Dataset, optimizer: str, norm: str
) -> None:
    """210 steps at rates where training is stable; 105 with batch normalisation, which makes rounding grow."""
    greatest = {
        "none": {"sgd": 0.1, "rmsprop": 0.003},
        "after": {"rmsprop": 0.001, "adam": 0.003, "adamw": 0.003},
    }[norm].get(optimizer, 0.01)
    target, epochs = (0.5, 14) if norm == "none" else (0.4, 7)
    rules = ("stopping=target", f"stopping.target_accuracy={target}", "stopping.unchanged=null")
    options = (*BASE, *rules, f"optimizer={optimizer}", "dataset.validation=0.1", f"train.epochs={epochs}")
    rows = [(greatest * part, seed) for part in (1, 0.3, 0.1) for seed in (0, 1)]
    more = (f"model.norm={norm}", f"model.dropout={0 if norm == 'none' else 0.1}")
    configs = [configure(*options, *more, f"optimizer.lr={lr}", f"seed={seed}") for lr, seed in rows]
    stacked = train(configs, small)
    lengths = set()
    for run, config in enumerate(configs):
        alone = train([config], small)
        assert len(losses(stacked, run)) == len(losses(alone, 0))
        assert (losses(stacked, run) - losses(alone, 0)).abs().max() < 1e-10
        for name, tensor in end(alone, 0).weights.items():
            torch.testing.assert_close(end(stacked, run).weights[name], tensor, rtol=1e-9, atol=1e-9)
        lengths.add(len(losses(alone, 0)))
    assert len(lengths) > 1


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_a_cnn_is_trained_as_a_plain_loop_does(configure: Configure, small: Dataset, optimizer: str) -> None:
    """112 steps with batch normalisation and dropout, float64, 1e-10."""
    config = configure(*SMALL_CNN, f"optimizer={optimizer}", "optimizer.lr=0.01", "seed=3", "train.epochs=7")
    plain = plain_loop(config, small)
    for stacked in (True, False):
        assert (losses(train([config], small, stacked), 0) - plain).abs().max() < 1e-10


def test_a_summed_loss_is_a_mean_at_a_greater_rate(configure: Configure, small: Dataset) -> None:
    summed = configure(*BASE, "train.reduction=sum", "optimizer.lr=0.001", "train.epochs=2")
    mean = configure(*BASE, "optimizer.lr=0.016", "train.epochs=2")
    difference = losses(train([summed], small), 0) - losses(train([mean], small), 0)
    assert difference.abs().max() < 1e-10


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
def test_in_float32_a_stack_begins_as_each_run_alone(configure: Configure, small: Dataset, optimizer: str) -> None:
    """The first ten steps to 1e-5, with runs that share their images and runs that do not."""
    shared = (*BASE, "train.dtype=float32", f"optimizer={optimizer}", "model.dropout=0.2", "train.epochs=1")
    rows = [configure(*shared, f"optimizer.lr={lr}", f"seed={s}") for lr, s in ((0.01, 0), (0.003, 0), (0.01, 1))]
    together = train(rows, small)
    for run, config in enumerate(rows):
        alone = losses(train([config], small), 0)[:10]
        assert len(alone) == 10
        assert ((losses(together, run)[:10] - alone).abs() / alone).max() < 1e-5


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_autocast_is_what_torch_does(configure: Configure, small: Dataset, model: str, optimizer: str) -> None:
    """Against a plain loop with torch.autocast, as near as bfloat16 is; and no run depends on another."""
    layers = (*BASE, "activation=relu") if model == "mlp" else (*SMALL_CNN, "model.conv_dropout=0", "model.dropout=0")
    shared = (*layers, "train.dtype=float32", f"optimizer={optimizer}", "train.epochs=2", "optimizer.lr=0.01")
    rows = [configure(*shared, "train.autocast=bfloat16", f"seed={seed}") for seed in (0, 1, 0)]
    exact = losses(train([configure(*shared, "seed=0")], small), 0)
    for stacked in (True, False):
        told = losses(train(rows if stacked else rows[:1], small, stacked), 0)
        torch.manual_seed(0)
        module = by_hand(rows[0], small).float()
        for layer in module.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        oracle_losses = loop(rows[0], small, Autocast(module), oracle(module.parameters(), rows[0].optimizer))
        assert (told - oracle_losses).abs().max() < 0.02
        assert not torch.equal(told, exact)


class Autocast(nn.Module):
    """A module whose products torch computes in bfloat16."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._module = module

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self._module(inputs.float()).float()


def test_a_schedule_changes_the_rate_after_its_epochs(configure: Configure, small: Dataset) -> None:
    stepped = configure(*BASE, "schedule=step", "schedule.every=2", "schedule.gamma=1e-300", "train.epochs=4")
    constant = configure(*BASE, "train.epochs=2")
    events = train(
        [stepped, configure(*BASE, "schedule=step", "schedule.every=2", "schedule.gamma=1e-300", "seed=1")], small
    )
    tests = [e.metrics.test_loss for e in events if isinstance(e, EpochEnd) and e.run == 0]
    expected = [e.metrics.test_loss for e in train([constant], small) if isinstance(e, EpochEnd)]
    assert tests[:2] == pytest.approx(expected, abs=1e-12)
    assert tests[2] == tests[3] == pytest.approx(tests[1], abs=1e-12)


def test_a_run_that_reaches_its_target_leaves_and_the_others_go_on(configure: Configure, small: Dataset) -> None:
    rules = ("stopping=target", "stopping.target_accuracy=0.9", "stopping.unchanged=null", "train.epochs=30")
    configs = [
        configure(*BASE, *rules, f"optimizer.lr={lr}", "optimizer.momentum=0.9", f"seed={seed}")
        for lr, seed in (("0.1", 0), ("0.001", 0), ("0.1", 1))
    ]
    events = train(configs, small)
    curves = [[e.metrics.test_accuracy for e in events if isinstance(e, EpochEnd) and e.run == run] for run in range(3)]
    for run in (0, 2):
        assert end(events, run).stopped == "target reached"
        assert curves[run][-1] >= 0.9 > max(curves[run][:-1])
    assert len(curves[0]) < len(curves[1])
    alone = losses(train([configs[1]], small), 0)
    assert (losses(events, 1) - alone).abs().max() < 1e-10


@pytest.mark.parametrize("model", [(*BASE, "optimizer.lr=1"), (*SMALL_CNN, "optimizer.lr=0.3")])
def test_the_best_epoch_is_kept_and_tested(configure: Configure, small: Dataset, model: tuple[str, ...]) -> None:
    """At a wild rate the validation loss rises again; the weights are those of an earlier epoch."""
    rules = ("stopping=best", "dataset.validation=0.25", "optimizer.momentum=0.9", "seed=1")
    config = configure(*model, *rules, "train.epochs=12")
    events = train([config], small)
    rows = [e.metrics for e in events if isinstance(e, EpochEnd)]
    best = min(rows, key=lambda row: row.validation_loss if row.validation_loss is not None else math.inf)
    kept = end(events, 0)
    assert kept.tested_epoch == best.epoch < 12
    assert int(kept.confusion.trace()) / len(small.test) == pytest.approx(best.test_accuracy)
    shorter = end(train([configure(*model, *rules, f"train.epochs={best.epoch}")], small), 0)
    for name, tensor in kept.weights.items():
        torch.testing.assert_close(tensor, shorter.weights[name], rtol=1e-9, atol=1e-9)


def test_training_images_are_evaluated_where_asked_for(configure: Configure, small: Dataset) -> None:
    config = configure(*BASE, "train.evaluate_training=true", "train.epochs=2")
    same = Dataset(small.train, small.train, small.classes)
    last = [e.metrics for e in train([config], same) if isinstance(e, EpochEnd)][-1]
    assert last.evaluated_train_loss == pytest.approx(last.test_loss, abs=1e-12)
    assert last.evaluated_train_accuracy == last.test_accuracy
    assert last.evaluated_train_loss < last.train_loss


def test_the_accuracy_of_each_step_adds_up(configure: Configure, small: Dataset) -> None:
    events = train([configure(*BASE, "train.epochs=1", "train.batch_size=100")], small)
    epoch = next(e for e in events if isinstance(e, EpochEnd))
    assert len(epoch.step_accuracies) == 3
    correct = (epoch.step_accuracies * torch.tensor([100, 100, 56])).sum()
    assert correct.item() / 256 == pytest.approx(epoch.metrics.train_accuracy, abs=1e-6)


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
    model = config.model.build(small.image_shape, 4, config.activation).double()
    logits = model(small.train.pixels.double() / 255)
    assert metrics.test_loss == pytest.approx(functional.cross_entropy(logits, small.train.labels).item(), abs=1e-12)
    assert metrics.test_accuracy == float((logits.argmax(1) == small.train.labels).double().mean())


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
    steps = sum(e.run_steps for e in train(configs, small) if isinstance(e, StepsDone))
    assert steps == 2 * 3 * math.ceil(256 / 5)


def test_weights_begin_as_manual_seed_gives_them(configure: Configure, small: Dataset) -> None:
    config = configure(*BASE, "seed=5", "train.epochs=1", "optimizer.lr=1e-300", "train.dtype=float32")
    before = torch.random.get_rng_state()
    weights = end(train([config], small), 0).weights
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(5)
    model = config.model.build(small.image_shape, 4, config.activation)
    for name, tensor in model.state_dict().items():
        assert torch.equal(weights[name], tensor)
