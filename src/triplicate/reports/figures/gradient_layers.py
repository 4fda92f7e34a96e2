"""The gradient of every tensor at the first step, from the input to the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from triplicate.parts import part
from triplicate.records.run_folder import RunRecord
from triplicate.reports.figures import Figures
from triplicate.reports.plots import canvas
from triplicate.reports.plots.gradients import ALL, MEAN_ABSOLUTE, STATISTICS, coloured
from triplicate.reports.plots.trained import Trained
from triplicate.reports.tables import Table


@part("gradient_layers")
@dataclass(frozen=True)
class GradientLayers(Figures):
    """Mean absolute gradient of each parameter tensor at the first traced step; in a sweep a line for each row."""

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        values = _first_step(trained.run)
        figure = None if values is None else _over_layers("", [("", canvas.colours(1)[0], [values])])
        return {"gradient_layers": figure}

    def of_sweep(self, table: Table) -> Mapping[str, Figure | None]:
        found = [
            (row.label, colour, [values for run in row.runs if (values := _first_step(run)) is not None])
            for row, colour in coloured(table)
        ]
        found = [line for line in found if line[2]]
        return {"gradient_layers": _over_layers(table.title, found) if found else None}


def _first_step(run: RunRecord) -> pd.Series | None:
    """Tensor → mean absolute gradient at the first traced step, from the input to the output."""
    if run.gradients is None or MEAN_ABSOLUTE not in run.gradients:
        return None
    rows = run.gradients
    tensors = rows[(rows["step"] == rows["step"].min()) & (rows["parameter"] != ALL)]
    if tensors.empty:
        return None
    return pd.Series(tensors[MEAN_ABSOLUTE].to_numpy(), index=tensors["layer"] + "." + tensors["parameter"])


def _over_layers(title: str, lines: Sequence[tuple[str, canvas.Colour, Sequence[pd.Series]]]) -> Figure:
    """Lines (label, colour, one series per seed) over all tensors. Networks of different depth leave no gaps."""
    names = list(dict.fromkeys(name for _, _, seeds in lines for values in seeds for name in values.index))
    width = max(5.5, 0.2 * len(names))
    margins = canvas.Margins(bottom=0.55 + canvas.label_width(names))
    labels = [label for label, _, _ in lines]
    figure, (axes,) = canvas.panels(1, 1, (width, 3.3), title=title, legend=labels, margins=margins)
    for label, colour, seeds in lines:
        mean, std = canvas.mean_and_std([_positioned(values, names) for values in seeds])
        weights = np.array([names[place].endswith("weight") for place in mean.index])
        for chosen, style, named in ((weights, "o-", label), (~weights, "o:", "")):
            _draw_tensors(axes, mean[chosen], std[chosen], style, colour, named)
    canvas.finish_axes(axes, "solid: weights, dotted: biases", f"{STATISTICS[MEAN_ABSOLUTE]}, first step")
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize="small")
    if canvas.drawn(axes).size:
        axes.set_yscale("log")
    canvas.outside_legend(axes)
    return figure


def _draw_tensors(axes: Axes, mean: pd.Series, std: pd.Series, style: str, colour: canvas.Colour, label: str) -> None:
    axes.plot(mean.index, mean, style, markersize=4, linewidth=1.2, color=colour, label=label)
    low = np.maximum(mean - std, mean / 10)  # below 0 there is no logarithm
    axes.fill_between(mean.index, low, mean + std, color=colour, alpha=0.15, linewidth=0)


def _positioned(values: pd.Series, names: Sequence[str]) -> pd.Series:
    """The values at the places of their tensors on the axis. A gradient of 0 has no place on a logarithmic one."""
    places = [names.index(name) for name in values.index]
    return pd.Series(values.to_numpy(), index=places).replace(0, np.nan)
