"""Gradients over the steps and over the layers, of one run and of a sweep, from gradients.csv."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from triplicate.records.run_folder import RunRecord
from triplicate.reports.plots import canvas, seeds
from triplicate.reports.plots.looks import Look, Looks
from triplicate.reports.plots.scales import Scale
from triplicate.reports.plots.seeds import Curve, Spread
from triplicate.reports.plots.style import Colour, ramp
from triplicate.reports.tables import Table

ALL = "all"
_LAYERS = "layers"
MEAN_ABSOLUTE = "mean_absolute"
_MEAN = "mean"
STATISTICS = {
    _MEAN: "signed mean",
    MEAN_ABSOLUTE: "mean absolute gradient",
    "l2": "L2 norm",
}
_ABREAST = 4
_SIZE = (3.4, 1.55)

# A panel of a trace: one below the other, and side by side.
_TRACE = ((4.6, 1.15), (2.4, 1.1))

# Two networks whose norms lie this factor apart would be a line and a flat line.
_WIDE = 5

# Panels of a signed mean have a scale each where most values of one row reach this many times as far as those of
# another, which a common scale would show as a flat line.
_UNEQUAL = 10


def of_run(run: RunRecord) -> Figure | None:
    """Signed mean over all parameters above, L2 norm of every layer below; None where nothing was traced.

    Where single tensors were traced both panels show these. The next run's takes the place of the figure.
    """
    if run.gradients is None:
        return None
    traced = _main_lines(run.gradients)
    labels = tuple(label for label, _ in traced)
    title = canvas.run_title(run, _SIZE[0])
    figure, above, below = _panels_of_run(labels, title.count("\n") + 1)
    over = [_curve(steps, _MEAN) for label, steps in traced if label in _above(labels)]
    under = [_curve(steps, "l2") for _, steps in traced]
    scales = Scale.of(over, may_be_log=False), Scale.of(under, wide=_WIDE)
    # What is cut off is told for both panels at once: their edges are marked apart.
    canvas.tell(figure, title, " ".join(dict.fromkeys([*scales[0].words(), *scales[1].words()])))
    for axes, lines, scale in ((above, over, scales[0]), (below, under, scales[1])):
        canvas.set_lines(axes, lines)
        scale.apply(axes)
        for line, drawn in zip(lines, axes.get_lines(), strict=False):
            scale.mark(axes, line, to_rgb(drawn.get_color()))
    return figure


def _curve(steps: pd.DataFrame, statistic: str) -> Curve:
    return Curve.of(steps.set_index("step")[statistic]).thinned()


def _above(labels: Sequence[str]) -> Sequence[str]:
    """Whose signed mean is shown."""
    return [ALL] if ALL in labels else labels


@functools.lru_cache(maxsize=4)
def _panels_of_run(labels: tuple[str, ...], lines: int) -> tuple[Figure, Axes, Axes]:
    """A figure with an empty line for each of these in the panel below, and for some in that above."""
    layers = [label for label in labels if label != ALL]
    named = dict(zip(layers, ramp(np.linspace(0, 1, len(layers))), strict=True))
    looks = {label: Look(named.get(label, (0.0, 0.0, 0.0)), marker="") for label in labels}
    figure, (above, below) = canvas.panels(
        2,
        1,
        _SIZE,
        title="\n".join(["x"] * lines),
        caption="x\nx",
        legend=[look.handle(label) for label, look in looks.items()],
        share="x",
    )
    for label, look in looks.items():
        for axes in (above, below) if label in _above(labels) else (below,):
            axes.plot([], [], linewidth=0.7, color=look.colour, label=label)
    above.axhline(0, color="0.6", linewidth=0.6, label="zero")
    canvas.finish_axes(above, "", "signed mean" + (", all parameters" if ALL in labels else ""))
    canvas.finish_axes(below, "training step", "L2 norm of the gradient")
    canvas.whole_numbers(below)
    return figure, above, below


def _main_lines(gradients: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Name → steps of the whole network and its layers, or of the tensors where these alone were traced."""
    whole = gradients[gradients["parameter"] == ALL]
    if len(whole):
        return [(str(layer), steps) for layer, steps in whole.groupby("layer", sort=False)]
    names = gradients["layer"] + "." + gradients["parameter"]
    return [(str(name), steps) for name, steps in gradients.groupby(names, sort=False)]


@dataclass(frozen=True)
class _Entry:
    """One entry of report.gradients, '<layer>.<parameter>.<statistic>', with '@<steps>' for the first steps alone."""

    layer: str
    parameter: str
    statistic: str
    steps: int | None

    @staticmethod
    def read(text: str) -> _Entry | None:
        """None where it is none."""
        place, _, first = text.partition("@")
        place, _, statistic = place.rpartition(".")
        layer, _, parameter = place.rpartition(".")
        if statistic not in STATISTICS or (first and not first.isdecimal()):
            return None
        return _Entry(layer, parameter, statistic, int(first) if first else None)

    @property
    def is_layers(self) -> bool:
        return (self.layer, self.parameter) == ("", _LAYERS)

    @property
    def words(self) -> str:
        """What is drawn."""
        what = "gradient of each layer" if self.is_layers else f"gradient of {self._place}"
        return f"{what}, the first {self.steps} steps" if self.steps is not None else what

    @property
    def _place(self) -> str:
        if self.layer == ALL:
            return "all parameters"
        return f"all of {self.layer}" if self.parameter == ALL else f"{self.layer}.{self.parameter}"

    def traced(self, run: RunRecord, layer: str, parameter: str) -> pd.Series | None:
        """The statistic of one tensor over the steps; None where the run has not traced it."""
        table = run.gradients
        if table is None or self.statistic not in table:
            return None
        chosen = (table["layer"] == layer) & (table["parameter"] == parameter)
        if self.steps is not None:
            chosen &= table["step"] <= self.steps
        return table[chosen].set_index("step")[self.statistic] if chosen.any() else None

    def of(self, run: RunRecord) -> pd.Series | None:
        return self.traced(run, self.layer, self.parameter)


def of_sweep(table: Table, entry: str) -> Figure | None:
    """One entry of report.gradients; None where no run has traced it or nothing is called so.

    A panel for each row: the lines of several would cover each other.

    Args:
        entry: '<layer>.<parameter>.<statistic>', such as all.all.l2 or conv1.weight.mean, or 'layers.<statistic>' for
            every layer; '@150' behind it shows the first 150 steps.
    """
    read = _Entry.read(entry)
    if read is None:
        return None
    if read.is_layers:
        return _of_layers(table, read)
    looks = Looks.of(table.rows)
    found = {n: seeds.of_row(row.runs, [read.of(run) for run in row.runs]) for n, row in enumerate(table.rows)}
    found = {number: spread for number, spread in found.items() if spread.lines}
    if not found:
        return None
    is_signed = read.statistic == _MEAN
    own = is_signed and _unequal(found.values())
    scales = {number: _scale(spread.lines, is_signed) for number, spread in found.items()}
    if not own:
        common = _scale([line for spread in found.values() for line in spread.lines], is_signed)
        scales = dict.fromkeys(found, common)
    said = [*seeds.words(list(found.values())), *(["Each panel has its own scale."] if own else [])]
    said += dict.fromkeys(word for scale in scales.values() for word in scale.words())
    figure, panels = canvas.multiples(
        [table.rows[number].label for number in found],
        _columns(len(found)),
        _TRACE[min(_columns(len(found)), 2) - 1],
        x="training step",
        y=STATISTICS[read.statistic],
        title=f"{table.title}\n{read.words}",
        caption=" ".join(said),
        own_scales=own,
    )
    for axes, (number, spread) in zip(panels, found.items(), strict=True):
        colour = looks.rows[number].colour
        if is_signed:
            axes.axhline(0, color="0.6", linewidth=0.6)
        spread.draw(axes, Look(colour, marker=""), table.rows[number].label, marked=False)
        _finish(axes, scales[number], spread.lines, colour)
    return figure


def _finish(axes: Axes, scale: Scale, lines: Sequence[Curve], colour: Colour) -> None:
    for line in lines:
        scale.mark(axes, line, colour)
    scale.apply(axes)
    canvas.whole_numbers(axes)


def _scale(lines: Sequence[Curve], is_signed: bool) -> Scale:
    return Scale.of(lines, may_be_log=not is_signed, wide=_WIDE)


def _columns(count: int) -> int:
    """Panels side by side, of so many."""
    return 1 if count <= 4 else min(_ABREAST, -(-count // 4))


def _unequal(spreads: Iterable[Spread]) -> bool:
    """Whether most values of one row reach many times as far from 0 as those of another."""
    reach = [float(np.quantile(np.abs(spread.lines[0].y), 0.9)) for spread in spreads]
    return min(reach) > 0 and max(reach) > _UNEQUAL * min(reach)


def _of_layers(table: Table, entry: _Entry) -> Figure | None:
    """A panel for each row of the table; the layers from dark to light in the order of the network."""
    found = [(row, layers) for row in table.rows if (layers := _layers(row.runs, entry))]
    if not found:
        return None
    names = list(dict.fromkeys(name for _, layers in found for name in layers))
    shades = dict(zip(names, ramp(np.linspace(0, 1, len(names))), strict=True))
    spreads = [spread for _, layers in found for spread in layers.values()]
    means = [spread.lines[0] for spread in spreads]
    scale = _scale(means, entry.statistic == _MEAN)
    said = [sentence.replace(" Band: ± 1 standard deviation.", "") for sentence in seeds.words(spreads)]
    columns = min(_ABREAST, len(found))
    figure, panels = canvas.multiples(
        [row.label for row, _ in found],
        columns,
        (2.1 if columns > 1 else 3.7, 2.1),
        x="training step",
        y=STATISTICS[entry.statistic],
        title=f"{table.title}\n{entry.words}",
        caption=" ".join([*said, *scale.words()]),
        legend=[Look(shade, marker="").handle(name) for name, shade in shades.items()],
    )
    for axes, (_, layers) in zip(panels, found, strict=True):
        for name, spread in layers.items():
            shown = spread.lines[0].thinned()
            axes.plot(shown.x, shown.y, linewidth=0.7, color=shades[name], label=name)
            _finish(axes, scale, spread.lines[:1], shades[name])
    return figure


def _layers(runs: Sequence[RunRecord], entry: _Entry) -> dict[str, Spread]:
    """Layer → its statistic over the steps of each run, from the input to the output."""
    tables = [run.gradients for run in runs if run.gradients is not None]
    names = dict.fromkeys(str(name) for t in tables for name in t["layer"] if name != ALL)
    found = {name: seeds.of_row(runs, [entry.traced(run, name, ALL) for run in runs]) for name in names}
    return {name: spread for name, spread in found.items() if spread.lines}
