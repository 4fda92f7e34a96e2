from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from tests.conftest import Configure, epoch_metrics
from tests.training.test_engine import BASE, end, train
from triplicate.datasets import Dataset, Images
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.stopping import StoppingRule, best_epoch
from triplicate.training.events import EpochEnd, Event


def history(accuracies: Sequence[float], losses: Sequence[float | None] | None = None) -> list[EpochMetrics]:
    pairs = zip(accuracies, losses or [None] * len(accuracies), strict=True)
    return [
        epoch_metrics(number, test_accuracy=accuracy, **({} if loss is None else {"validation_loss": loss}))
        for number, (accuracy, loss) in enumerate(pairs, start=1)
    ]


def stops(rule: StoppingRule, epochs: Sequence[EpochMetrics]) -> list[str | None]:
    """What the rule says after each epoch."""
    return [rule.reason(epochs[:count]) for count in range(1, len(epochs) + 1)]


def test_the_target_is_reached_by_an_equal_accuracy(configure: Configure) -> None:
    rule = configure("stopping=target", "stopping.target_accuracy=0.5").stopping
    assert stops(rule, history([0.1, 0.49, 0.5])) == [None, None, "target reached"]


def test_an_accuracy_that_stays_exactly_the_same_ends_the_run(configure: Configure) -> None:
    rule = configure("stopping=target", "stopping.target_accuracy=null", "stopping.unchanged=3").stopping
    assert stops(rule, history([0.1, 0.1, 0.1])) == [None, None, "accuracy unchanged"]
    assert stops(rule, history([0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.1]))[-1] == "accuracy unchanged"
    assert set(stops(rule, history([0.1, 0.1, 0.1 + 1e-9, 0.1, 0.1]))) == {None}
    assert set(stops(rule, history([math.nan] * 4))) == {None}


def test_patience_counts_from_the_least_validation_loss(configure: Configure) -> None:
    rule = configure("stopping=patience", "stopping.patience=2", "dataset.validation=0.2").stopping
    epochs = history([0.1] * 6, [3.0, 2.0, 2.5, 1.0, 1.0, 1.0])
    assert stops(rule, epochs) == [None] * 5 + ["out of patience"]
    assert best_epoch(epochs, "validation_loss") == 4


def test_an_epoch_without_a_finite_validation_loss_is_never_the_best() -> None:
    assert best_epoch(history([0.1] * 3, [math.nan, math.inf, 2.0]), "validation_loss") == 3
    assert best_epoch(history([0.1] * 2, [math.nan, math.inf]), "validation_loss") == 0


def test_patience_knows_which_way_a_measure_is_better(configure: Configure) -> None:
    rule = configure("stopping=patience", "stopping.patience=2", "stopping.measure=test_accuracy").stopping
    assert stops(rule, history([0.5, 0.6, 0.5, 0.7, 0.7, 0.1])) == [None] * 5 + ["out of patience"]
    assert set(stops(rule, history([0.1, 0.2, 0.3, 0.4]))) == {None}


def test_what_is_better_by_too_little_does_not_count(configure: Configure) -> None:
    """As Keras's EarlyStopping: against the last epoch that counted, so that many small steps do in the end."""
    options = ("stopping=patience", "stopping.patience=3", "dataset.validation=0.2")
    losses = [1.0, 0.96, 0.92, 0.88, 0.87, 0.86]
    rule = configure(*options, "stopping.min_delta=0.1").stopping
    assert stops(rule, history([0.1] * 6, losses)) == [None] * 6
    rule = configure(*options, "stopping.min_delta=0.2").stopping
    assert stops(rule, history([0.1] * 6, losses))[3:] == ["out of patience"] * 3
    assert set(stops(configure(*options).stopping, history([0.1] * 6, losses))) == {None}


def curve(events: Sequence[Event], column: str) -> list[float | None]:
    return [event.metrics.value(column) for event in events if isinstance(event, EpochEnd)]


def test_patience_fires_where_a_network_learns_by_heart(configure: Configure, small: Dataset) -> None:
    """Random labels: the training loss falls and falls, and what was set apart only becomes worse."""
    labels = torch.randint(0, 4, (len(small.train),), generator=torch.Generator().manual_seed(0))
    noise = replace(small, train=Images(small.train.pixels, labels))
    options = ("model=mlp", "model.hidden=[64]", "optimizer=adam", "optimizer.lr=0.01", "trace=none")
    rule = ("dataset.validation=0.25", "stopping=patience", "stopping.patience=4")
    for column, best in {"validation_loss": min, "validation_accuracy": max, "test_accuracy": max}.items():
        events = train([configure(*options, *rule, f"stopping.measure={column}", "train.epochs=40")], noise)
        numbers = curve(events, column)
        first = numbers.index(best(numbers)) + 1
        assert end(events, 0).stopped == "out of patience"
        assert end(events, 0).tested_epoch == first
        assert len(numbers) == first + 4 < 40
    for data, column in ((noise, "train_loss"), (small, "evaluated_train_loss")):
        more = (f"stopping.measure={column}", "train.evaluate_training=true", "train.epochs=15")
        events = train([configure(*options, *rule, *more)], data)
        assert end(events, 0).stopped is None
        assert len(curve(events, column)) == 15


def test_a_stacks_runs_lose_patience_each_by_itself(configure: Configure, small: Dataset) -> None:
    options = (*BASE, "train.epochs=12", "stopping=patience", "stopping.patience=2", "stopping.measure=test_loss")
    configs = [configure(*options, f"optimizer.lr={lr}", "optimizer.momentum=0.9") for lr in (0.05, 2, 1e-6)]
    stacked = train(configs, small)
    lengths = [len([e for e in stacked if isinstance(e, EpochEnd) and e.run == run]) for run in range(3)]
    assert len(set(lengths)) > 1
    for run, config in enumerate(configs):
        alone = train([config], small)
        assert (end(stacked, run).stopped, end(stacked, run).tested_epoch) == (
            end(alone, 0).stopped,
            end(alone, 0).tested_epoch,
        )
        assert len(curve(alone, "test_loss")) == lengths[run]


def test_without_rules_nothing_stops(configure: Configure) -> None:
    assert set(stops(configure().stopping, history([1.0] * 20, [1.0] * 20))) == {None}
