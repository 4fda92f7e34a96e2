"""Stopping rules: when a run ends before its last epoch, and which of its epochs is the best."""

from __future__ import annotations

import enum
import math

from triplicate.config import StoppingConfig
from triplicate.training.metrics import EpochMetrics


class Stop(enum.StrEnum):
    """Why a run ended before its last epoch."""

    TARGET = "target reached"
    UNCHANGED = "accuracy unchanged"
    PATIENCE = "out of patience"


class Watch:
    """Sees the epochs of one run.

    Attributes:
        best_epoch: the epoch with the least validation loss so far (the first of equals); 0 before there is one.
    """

    def __init__(self, config: StoppingConfig) -> None:
        self._config = config
        self._least_loss = math.inf
        self._accuracy = math.nan
        self._same = 0
        self.best_epoch = 0

    def see(self, metrics: EpochMetrics) -> Stop | None:
        """Take note of an epoch; the reason to stop after it, if there is one."""
        self._same = self._same + 1 if metrics.test_accuracy == self._accuracy else 1
        self._accuracy = metrics.test_accuracy
        if metrics.validation_loss is not None and metrics.validation_loss < self._least_loss:
            self._least_loss, self.best_epoch = metrics.validation_loss, metrics.epoch
        target, unchanged, patience = self._config.target_accuracy, self._config.unchanged, self._config.patience
        if target is not None and metrics.test_accuracy >= target:
            return Stop.TARGET
        if unchanged is not None and self._same >= unchanged:
            return Stop.UNCHANGED
        if patience is not None and metrics.epoch - self.best_epoch >= patience:
            return Stop.PATIENCE
        return None
