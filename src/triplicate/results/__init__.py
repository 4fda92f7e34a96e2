"""What a sweep has left, as objects: `triplicate.open(folder)` gives a `Sweep`, which has a `Run` for each run."""

from triplicate.results.evaluated import Evaluated
from triplicate.results.predictions import Predictions
from triplicate.results.run import Run
from triplicate.results.sweep import Sweep, open  # noqa: A004 (it is asked for as triplicate.open)

__all__ = ["Evaluated", "Predictions", "Run", "Sweep", "open"]
