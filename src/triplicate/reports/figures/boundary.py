"""What a network says at every place of a plane of points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from triplicate.parts import part
from triplicate.reports.figures import Figures
from triplicate.reports.plots import canvas
from triplicate.reports.plots.style import colours
from triplicate.reports.plots.tiles import class_handles, draw_points
from triplicate.reports.plots.trained import Trained

_SIDE = 250
_SIZE = (3.1, 3.0)

# So few points, as of xor, are told one by one.
_TOLD = 8


@part("boundary")
@dataclass(frozen=True)
class Boundary(Figures):
    """The regions in which the network decides for each class, and the test points.

    With one logit its probability is the shade, and a line runs where it is a half. At most eight points have the
    probability written beside them: of the second class with one logit, else of the class that is decided for.
    """

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        if trained.samples is None or trained.samples[0].ndim != 2:
            return {}
        inputs, labels = trained.samples
        x, y = _around(inputs[:, 0]), _around(inputs[:, 1])
        grid = torch.cartesian_prod(torch.from_numpy(y), torch.from_numpy(x)).flip(1).to(inputs.dtype)
        logits = trained.logits(grid)
        if logits is None:
            return {}
        classes = trained.classes
        title = canvas.run_title(trained.run, _SIZE[0])
        figure, (axes,) = canvas.panels(1, 1, _SIZE, title=title, legend=class_handles(classes))
        _shade(axes, x, y, logits, len(classes))
        draw_points(axes, inputs, labels, classes)
        if len(inputs) <= _TOLD:
            _tell(axes, trained, inputs)
        canvas.finish_axes(axes, "first coordinate", "second coordinate")
        axes.grid(visible=False)
        axes.set_xlim(x[0], x[-1])
        axes.set_ylim(y[0], y[-1])
        return {"boundary": figure}


def _around(values: Tensor) -> NDArray[np.float64]:
    """Places from somewhat below the least value to somewhat above the greatest."""
    low, high = float(values.min()), float(values.max())
    room = 0.25 * (high - low) or 1.0
    return np.linspace(low - room, high + room, _SIDE)


def regions(logits: Tensor) -> NDArray[np.float64]:
    """Logits [places, outputs] → the probability of the second class for one output, else the number of the class."""
    if logits.shape[1] == 1:
        return logits[:, 0].double().sigmoid().numpy()
    return logits.argmax(1).double().numpy()


def _shade(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], logits: Tensor, classes: int) -> None:
    values = regions(logits).reshape(len(y), len(x))
    palette = np.array(colours(classes))
    if logits.shape[1] > 1:
        shades = palette[values.astype(int)]
    else:
        # From the colour of the first class over white to that of the second.
        sure = np.abs(2 * values - 1)[..., None]
        shades = 1 - sure * (1 - palette[(values > 0.5).astype(int)])
        if values.min() < 0.5 < values.max():
            axes.contour(x, y, values, levels=[0.5], colors="black", linewidths=1.2)
    extent = (float(x[0]), float(x[-1]), float(y[0]), float(y[-1]))
    axes.imshow(1 - 0.35 * (1 - shades), extent=extent, origin="lower", aspect="auto", zorder=0)


def _tell(axes: Axes, trained: Trained, inputs: Tensor) -> None:
    logits = trained.logits(inputs)
    if logits is None:
        return
    for point, text in zip(inputs.tolist(), predictions(logits, trained.classes), strict=True):
        axes.annotate(text, point, xytext=(0, 9), textcoords="offset points", ha="center", va="bottom", fontsize=7)


def predictions(logits: Tensor, classes: list[str]) -> list[str]:
    """Logits [n, outputs] → what is predicted with which probability, in words."""
    if logits.shape[1] == 1:
        return [f"P({canvas.plain(classes[1])}) = {p:.3f}" for p in logits[:, 0].double().sigmoid().tolist()]
    best = logits.double().softmax(1).max(1)
    pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
    return [f"P({canvas.plain(classes[number])}) = {p:.3f}" for p, number in pairs]
