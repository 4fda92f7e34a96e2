"""The gradient of every tensor at the first step, from the input to the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from triplicate.parts import part
from triplicate.records.run_folder import RunRecord
from triplicate.reports.figures import Figures
from triplicate.reports.plots import canvas, seeds
from triplicate.reports.plots.gradients import ALL, MEAN_ABSOLUTE, STATISTICS
from triplicate.reports.plots.looks import Look, Looks
from triplicate.reports.plots.seeds import Spread
from triplicate.reports.plots.style import PALETTE
from triplicate.reports.plots.trained import Trained
from triplicate.reports.tables import Table

# Inches of the panel at least.
_WIDTH = 3.7


@part("gradient_layers")
@dataclass(frozen=True)
class GradientLayers(Figures):
    """Mean absolute gradient of each parameter tensor at the first traced step; in a sweep a line for each row."""

    def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
        values = _first_step(trained.run)
        if values is None:
            return {"gradient_layers": None}
        return {
            "gradient_layers": _draw(canvas.run_title(trained.run, _WIDTH), [_Line("", Look(PALETTE[0]), [values])])
        }

    def of_sweep(self, table: Table) -> Mapping[str, Figure | None]:
        looks = Looks.of(table.rows)
        lines: dict[int, _Line] = {}
        for number, row in enumerate(table.rows):
            if traced := [values for run in row.runs if (values := _first_step(run)) is not None]:
                lines[number] = _Line(row.label, looks.rows[number], traced)
        return {"gradient_layers": _draw(table.title, list(lines.values()), looks.handles(lines)) if lines else None}


@dataclass(frozen=True)
class _Line:
    """What is drawn of a row: tensor → gradient, of each seed."""

    label: str
    look: Look
    seeds: Sequence[pd.Series]


def _first_step(run: RunRecord) -> pd.Series | None:
    """Tensor → mean absolute gradient at the first traced step, from the input to the output."""
    if run.gradients is None or MEAN_ABSOLUTE not in run.gradients:
        return None
    rows = run.gradients
    tensors = rows[(rows["step"] == rows["step"].min()) & (rows["parameter"] != ALL)]
    if tensors.empty:
        return None
    return pd.Series(tensors[MEAN_ABSOLUTE].to_numpy(), index=tensors["layer"] + "." + tensors["parameter"])


def _draw(title: str, lines: Sequence[_Line], legend: Sequence[Line2D] = ()) -> Figure:
    """Lines over all tensors, solid through the weights and dotted through the biases.

    Networks of different depth leave no gaps.
    """
    names = list(dict.fromkeys(name for line in lines for values in line.seeds for name in values.index))
    spreads = {line.label: [_spread(line, names, is_weight) for is_weight in (True, False)] for line in lines}
    said = seeds.words([spread for pair in spreads.values() for spread in pair])
    figure, (axes,) = canvas.panels(
        1,
        1,
        (max(_WIDTH, 0.15 * len(names)), 2.4),
        title=title,
        caption=" ".join(["Solid: weights. Dotted: biases.", *said]),
        legend=legend,
        margins=canvas.Margins(bottom=0.1 + canvas.label_width(names)),
    )
    for line in lines:
        for spread, dash in zip(spreads[line.label], ("-", ":"), strict=True):
            look = Look(line.look.colour, dash, line.look.marker)
            spread.draw(axes, look, line.label if dash == "-" else "")
    canvas.finish_axes(axes, "", f"{STATISTICS[MEAN_ABSOLUTE]}, first step")
    axes.set_xticks(range(len(names)), names, rotation=90)
    if any(spread.lines for pair in spreads.values() for spread in pair):
        axes.set_yscale("log")
    return figure


def _spread(line: _Line, names: Sequence[str], is_weight: bool) -> Spread:
    """The seeds at the places of their weights, or of their other tensors, on the axis.

    A gradient of 0 has no place on a logarithmic one.
    """
    chosen = [name for name in names if name.endswith("weight") == is_weight]
    places = {name: place for place, name in enumerate(names)}
    found = [values[values.index.isin(chosen)].replace(0, np.nan) for values in line.seeds]
    return Spread.of([values.rename(index=places) for values in found])
