"""The names that a configuration may give to measures and plots; here, so that checking them costs no matplotlib."""

from __future__ import annotations

from collections.abc import Mapping

# Measure → heading in a table for people.
MEASURES: Mapping[str, str] = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy %",
    "evaluated_train_loss": "evaluated training loss",
    "evaluated_train_accuracy": "evaluated training accuracy %",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy %",
    "test_precision": "test precision %",
    "test_recall": "test recall %",
    "test_f1": "test F1 %",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy %",
    "accuracy_gap": "training - test accuracy %",
    "best_test_accuracy": "best test accuracy %",
    "best_epoch": "best epoch",
    "epochs": "epochs",
    "epochs_to_target": "epochs to target",
    "tested_epoch": "tested epoch",
    "seconds": "seconds",
    "images_per_second": "images a second",
    "peak_memory_mib": "peak memory MiB",
    "parameters": "parameters",
}

# Over the epochs of a run, of any column of metrics.csv: mean_test_loss.
OVER_EPOCHS: Mapping[str, str] = {"mean": "mean", "std": "std of", "min": "least", "max": "greatest"}

# Figures for report.figures, beyond the curves, bars and gradients that have keys of their own.
FIGURES = (
    "activation_maps",
    "boundary",
    "feature_maps",
    "filters",
    "gradient_layers",
    "samples",
    "steps",
)
