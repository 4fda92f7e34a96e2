"""The lines of gradients.csv."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GradientRow:
    """The gradient at one step (the first is 1), over all parameters, a layer, or one of its tensors.

    `layer` 'all' is the whole network; `parameter` 'all' is weight and bias together.
    """

    step: int
    layer: str
    parameter: str
    mean: float
    mean_absolute: float
    l2: float
