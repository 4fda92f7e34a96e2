from __future__ import annotations

import math
from collections.abc import Sequence

from tests.conftest import Configure, epoch_metrics
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.stopping import StoppingRule, best_epoch


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
    assert best_epoch(epochs) == 4


def test_an_epoch_without_a_finite_validation_loss_is_never_the_best() -> None:
    assert best_epoch(history([0.1] * 3, [math.nan, math.inf, 2.0])) == 3
    assert best_epoch(history([0.1] * 2, [math.nan, math.inf])) == 0


def test_without_rules_nothing_stops(configure: Configure) -> None:
    assert set(stops(configure().stopping, history([1.0] * 20, [1.0] * 20))) == {None}
