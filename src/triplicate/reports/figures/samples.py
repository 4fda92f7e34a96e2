"""Examples of a data set, with their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure
from torch import Tensor

from triplicate.parts import part
from triplicate.reports.figures import Figures
from triplicate.reports.plots import canvas
from triplicate.reports.plots.tiles import class_handles, draw_points, image_pixels
from triplicate.reports.plots.trained import Trained


@part("samples")
@dataclass(frozen=True)
class SamplesFigure(Figures):
    """A few test images, or all test points."""

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        return {"samples": trained.samples and samples(*trained.samples, trained.classes)}


def samples(inputs: Tensor, labels: Tensor, classes: Sequence[str]) -> Figure:
    """Examples of a data set with their labels.

    Args:
        inputs: images, uint8 or in [0, 1], [n, channels, height, width]; or points [n, 2].
        labels: class numbers [n].
        classes: name of each class.
    """
    if inputs.ndim == 2:
        return _points(inputs, labels, classes)
    channels, height, width = inputs.shape[1:]
    colour = {1: "grey", 3: "colour"}.get(channels, f"{channels} channels")
    caption = f"{height} × {width} pixels, {colour}"
    columns = min(5, len(inputs))
    names = [canvas.wrap(classes[int(label)], 18) for label in labels]
    heading = 0.08 + canvas.label_height(names)
    margins = canvas.Margins(left=0.12, bottom=0.08, top=heading)
    rows = -(-len(inputs) // columns)
    figure, panels = canvas.panels(
        rows, columns, (1.1, 1.1), caption=caption, margins=margins, gaps=(0.12, 0.04 + heading)
    )
    for axes, image, name in zip(panels, inputs, names, strict=False):
        axes.imshow(image_pixels(image))
        axes.set_title(name, fontsize=7, pad=3)
    for axes in panels:
        axes.set_axis_off()
    return figure


def _points(inputs: Tensor, labels: Tensor, classes: Sequence[str]) -> Figure:
    figure, (axes,) = canvas.panels(1, 1, (3.1, 3.0), legend=class_handles(classes))
    draw_points(axes, inputs, labels, classes)
    canvas.finish_axes(axes, "first coordinate", "second coordinate")
    return figure
