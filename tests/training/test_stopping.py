from __future__ import annotations

import math
from collections.abc import Sequence

from tests.conftest import Configure, epoch_metrics
from triplicate.training.stopping import Stop, Watch


def stops(watch: Watch, accuracies: Sequence[float], losses: Sequence[float | None] | None = None) -> list[Stop | None]:
    rows = zip(accuracies, losses or [None] * len(accuracies), strict=True)
    return [
        watch.see(epoch_metrics(number, test_accuracy=accuracy, **({} if loss is None else {"validation_loss": loss})))
        for number, (accuracy, loss) in enumerate(rows, start=1)
    ]


def test_the_target_is_reached_by_an_equal_accuracy(configure: Configure) -> None:
    watch = Watch(configure("stopping=target", "stopping.target_accuracy=0.5").stopping)
    assert stops(watch, [0.1, 0.49, 0.5]) == [None, None, Stop.TARGET]


def test_an_accuracy_that_stays_exactly_the_same_ends_the_run(configure: Configure) -> None:
    config = configure("stopping.unchanged=3").stopping
    assert stops(Watch(config), [0.1, 0.1, 0.1]) == [None, None, Stop.UNCHANGED]
    assert stops(Watch(config), [0.1, 0.1, 0.2, 0.2, 0.1, 0.1, 0.1])[-1] is Stop.UNCHANGED
    assert set(stops(Watch(config), [0.1, 0.1, 0.1 + 1e-9, 0.1, 0.1])) == {None}
    assert set(stops(Watch(config), [math.nan] * 4)) == {None}


def test_patience_counts_from_the_least_validation_loss(configure: Configure) -> None:
    config = configure("stopping=patience", "stopping.patience=2", "dataset.validation=0.2").stopping
    watch = Watch(config)
    assert stops(watch, [0.1] * 6, [3.0, 2.0, 2.5, 1.0, 1.0, 1.0]) == [None] * 5 + [Stop.PATIENCE]
    assert watch.best_epoch == 4


def test_without_rules_nothing_stops(configure: Configure) -> None:
    assert set(stops(Watch(configure().stopping), [1.0] * 20, [1.0] * 20)) == {None}
