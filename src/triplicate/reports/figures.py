"""Plots of one run and of a sweep, each from the records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from triplicate.records import atomic
from triplicate.records.run_folder import RunRecord
from triplicate.reports.tables import Row, Table

# Set by hand: laying out anew ("constrained") doubled the time of a sweep's three dozen plots.
_MARGINS = {"left": 0.13, "right": 0.98, "bottom": 0.12, "top": 0.93}

_LOSS = "loss (mean over images)"
_ACCURACY = "accuracy (%)"
_SPLITS = {"train": "training", "validation": "validation", "test": "test"}


def write_run(run: RunRecord) -> tuple[Path, ...]:
    """Write plots/loss.png, plots/accuracy.png and, if gradients were traced, plots/gradients.png of one run."""
    folder = run.path / "plots"
    folder.mkdir(exist_ok=True)
    written = [
        _save(_curves(run.metrics, "loss", _LOSS, 1), folder / "loss.png"),
        _save(_curves(run.metrics, "accuracy", _ACCURACY, 100), folder / "accuracy.png"),
    ]
    if run.gradients is not None:
        written.append(_save(_gradients(run.gradients), folder / "gradients.png"))
    return tuple(written)


def write_sweep(table: Table, folder: Path) -> tuple[Path, ...]:
    """Write loss_curves.png and accuracy_curves.png: one colour a row of the table, a band over its seeds."""
    return (
        _save(_sweep_curves(table, "loss", _LOSS, 1), folder / "loss_curves.png"),
        _save(_sweep_curves(table, "accuracy", _ACCURACY, 100), folder / "accuracy_curves.png"),
    )


def _curves(metrics: pd.DataFrame, measure: str, label: str, scale: float) -> Figure:
    figure, axes = _figure()
    for split, name in _SPLITS.items():
        column = f"{split}_{measure}"
        if column in metrics:
            axes.plot(metrics["epoch"], scale * metrics[column], marker=".", label=name)
    _finish_axes(axes, "epoch", label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    return figure


def _gradients(rows: pd.DataFrame) -> Figure:
    """Signed mean over all parameters above; L2 norm of every layer below."""
    figure = Figure(figsize=(6.4, 6.4))
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={**_MARGINS, "bottom": 0.08, "left": 0.11})
    whole = rows[rows["parameter"] == "all"]
    for layer, steps in whole.groupby("layer", sort=False):
        if layer == "all":
            above.plot(steps["step"], steps["mean"], linewidth=1, color="black")
        below.plot(steps["step"], steps["l2"], linewidth=1, label=str(layer))
    above.axhline(0, color="0.7", linewidth=0.8)
    _finish_axes(above, "", "signed mean, all parameters")
    above.ticklabel_format(axis="y", scilimits=(-2, 3))
    _finish_axes(below, "step", "L2 norm of the gradient")
    below.legend(fontsize="small")
    return figure


def _sweep_curves(table: Table, measure: str, label: str, scale: float) -> Figure:
    """Training beside test, with one legend to the right of both."""
    figure = Figure(figsize=(10.5, 4.2))
    margins = {"left": 0.065, "right": 0.82, "bottom": 0.12, "top": 0.86, "wspace": 0.06}
    panels = figure.subplots(1, 2, sharey=True, gridspec_kw=margins)
    colours = _colours(len(table.rows))
    for axes, split in zip(panels, ("train", "test"), strict=True):
        for row, colour in zip(table.rows, colours, strict=True):
            _band(axes, row, f"{split}_{measure}", scale, colour)
        axes.set_title(_SPLITS[split], fontsize="medium")
        _finish_axes(axes, "epoch", label if split == "train" else "")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(table.title)
    if any(row.axes for row in table.rows):
        panels[-1].legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
    return figure


def _band(axes: Axes, row: Row, measure: str, scale: float, colour: object) -> None:
    """The mean over the seeds of a row, and a band of one standard deviation about it."""
    curves = pd.concat([run.metrics.set_index("epoch")[measure] for run in row.runs], axis=1)
    finite = scale * curves.replace([np.inf, -np.inf], np.nan)
    mean, std = finite.mean(axis=1), finite.std(axis=1, ddof=1).fillna(0)
    axes.plot(mean.index, mean, marker=".", color=colour, label=row.label)
    axes.fill_between(mean.index, mean - std, mean + std, color=colour, alpha=0.2, linewidth=0)


def _colours(count: int) -> Sequence[object]:
    """Distinct colours; a gradient where a palette would repeat itself."""
    palette = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    if count <= len(palette):
        return list(palette[:count])
    return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.95, count)))


def _figure() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 4.2))
    return figure, figure.subplots(gridspec_kw=_MARGINS)


def _finish_axes(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="0.9")
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: Path) -> Path:
    atomic.write_with(path, lambda temporary: figure.savefig(temporary, format="png", dpi=100))
    return path
