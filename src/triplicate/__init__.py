"""triplicate: small image-classification studies, every run in three seeds, every table with its source.

`triplicate.sweep("dataset=mnist", "optimizer.lr=0.1,0.01")` trains and `triplicate.open(folder)` reads what a
sweep has left; both give a `Sweep`.

What a part from outside needs can be imported from here: `from triplicate import Activation, key, part`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from triplicate.activations import Activation as Activation
    from triplicate.augmentations import Augmentation as Augmentation
    from triplicate.cli import main as main
    from triplicate.datasets import Dataset as Dataset
    from triplicate.datasets import DataSource as DataSource
    from triplicate.datasets import Images as Images
    from triplicate.errors import UserError as UserError
    from triplicate.initializers import Initializer as Initializer
    from triplicate.losses import Loss as Loss
    from triplicate.measures import ConfusionMeasure as ConfusionMeasure
    from triplicate.measures import ExampleMeasure as ExampleMeasure
    from triplicate.measures import RunMeasure as RunMeasure
    from triplicate.models import Model as Model
    from triplicate.optimizers import Optimizer as Optimizer
    from triplicate.optimizers import TorchOptimizer as TorchOptimizer
    from triplicate.parts import key as key
    from triplicate.parts import part as part
    from triplicate.python import SweepFailed as SweepFailed
    from triplicate.python import sweep as sweep
    from triplicate.reports.figures import Figures as Figures
    from triplicate.results import Run as Run
    from triplicate.results import Sweep as Sweep
    from triplicate.results import open as open  # noqa: A004 (it is asked for as triplicate.open)
    from triplicate.schedules import Schedule as Schedule
    from triplicate.stopping import StoppingRule as StoppingRule
    from triplicate.trackers import Ending as Ending
    from triplicate.trackers import RunLog as RunLog
    from triplicate.trackers import TrackedEpoch as TrackedEpoch
    from triplicate.trackers import TrackedRun as TrackedRun
    from triplicate.trackers import TrackedSweep as TrackedSweep
    from triplicate.trackers import Tracker as Tracker

__version__ = "0.1.0"

# Imported when they are first asked for, so that `triplicate --version` needs none of it.
_HOMES = {
    "Activation": "activations",
    "Augmentation": "augmentations",
    "ConfusionMeasure": "measures",
    "DataSource": "datasets",
    "Dataset": "datasets",
    "Ending": "trackers",
    "ExampleMeasure": "measures",
    "Figures": "reports.figures",
    "Images": "datasets",
    "Initializer": "initializers",
    "Loss": "losses",
    "Model": "models",
    "Optimizer": "optimizers",
    "Run": "results",
    "RunLog": "trackers",
    "RunMeasure": "measures",
    "Schedule": "schedules",
    "StoppingRule": "stopping",
    "Sweep": "results",
    "SweepFailed": "python",
    "TorchOptimizer": "optimizers",
    "TrackedEpoch": "trackers",
    "TrackedRun": "trackers",
    "TrackedSweep": "trackers",
    "Tracker": "trackers",
    "UserError": "errors",
    "key": "parts",
    "main": "cli",
    "open": "results",
    "part": "parts",
    "sweep": "python",
}

__all__ = [
    "Activation",
    "ConfusionMeasure",
    "DataSource",
    "Dataset",
    "Ending",
    "ExampleMeasure",
    "Figures",
    "Images",
    "Initializer",
    "Loss",
    "Model",
    "Optimizer",
    "Run",
    "RunLog",
    "RunMeasure",
    "Schedule",
    "StoppingRule",
    "Sweep",
    "SweepFailed",
    "TorchOptimizer",
    "TrackedEpoch",
    "TrackedRun",
    "TrackedSweep",
    "Tracker",
    "UserError",
    "key",
    "main",
    "open",
    "part",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'triplicate' has no attribute {name!r}")
    return getattr(importlib.import_module(f"triplicate.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
