"""How the rows of a table are told apart in all its figures: a colour, a line style and a marker for each."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.lines import Line2D

from triplicate.reports.plots.style import DASHES, MARKERS, Colour, Dash, colours, ramp
from triplicate.reports.rows import Row

# Where the greatest value is this many times the least, a colour scale is logarithmic.
_LOGARITHMIC = 20

# Values closer together than this part of an even distance get colours at even distances.
_CLOSE = 0.6


@dataclass(frozen=True)
class Look:
    colour: Colour
    dash: Dash = "-"
    marker: str = "o"

    def handle(self, label: str) -> Line2D:
        """What stands for it in a legend."""
        return Line2D([], [], color=self.colour, linestyle=self.dash, marker=self.marker, label=label)


@dataclass(frozen=True)
class _Axis:
    """A key that varies over the rows, with a look for each of its values in the order of the table."""

    key: str
    of: Mapping[str, Look]


@dataclass(frozen=True)
class Looks:
    """The looks of the rows, and what a legend says of them.

    One key is shown by colour: a numeric one as a scale in the order of its values, another by distinct colours. Of two
    keys that with more values, or the numeric one, is the colour and the other the line style. More keys, or more
    values than there are line styles, are shown as one list of rows.
    """

    rows: tuple[Look, ...]
    _axes: tuple[_Axis, ...]
    _of_rows: tuple[Mapping[str, str], ...]

    @staticmethod
    def of(rows: Sequence[Row]) -> Looks:
        told = tuple(row.axes if row.axes else {"": row.label} for row in rows)
        varying = [key for key in told[0] if len({one[key] for one in told}) > 1] if told else []
        if len(varying) == 2 and (two := _two(varying, told)) is not None:
            return two
        if len(varying) != 1:
            key = ", ".join(varying)
            told = tuple({key: row.label} for row in rows)
            varying = [key]
        axis = _coloured(varying[0], told)
        return Looks(tuple(axis.of[one[axis.key]] for one in told), (axis,), told)

    def handles(self, shown: Collection[int]) -> list[Line2D]:
        """The entries of a legend for these rows: a heading without a line, then a line for each value, key by key."""
        entries: list[Line2D] = []
        for axis in self._axes:
            values = dict.fromkeys(self._of_rows[number][axis.key] for number in sorted(shown))
            if list(values) == [""]:
                continue
            named = all("=" not in value for value in values)
            entries += [Line2D([], [], linestyle="none", label=axis.key)] if named and axis.key else []
            entries += [axis.of[value].handle(value) for value in values]
        return entries


def _two(keys: Sequence[str], told: tuple[Mapping[str, str], ...]) -> Looks | None:
    """Colour by one key and line style by the other; None where there are too many values for that."""
    values = {key: list(dict.fromkeys(one[key] for one in told)) for key in keys}
    by_colour, by_dash = sorted(keys, key=lambda key: (_numbers(values[key]) is None, -len(values[key])))
    if len(values[by_dash]) > len(DASHES):
        by_colour, by_dash = by_dash, by_colour
    pairs = {(one[by_colour], one[by_dash]) for one in told}
    if len(values[by_dash]) > len(DASHES) or len(pairs) < len(told):
        return None
    colour = _coloured(by_colour, told)
    looks = {value: Look((0.35, 0.35, 0.35), dash, "") for value, dash in zip(values[by_dash], DASHES, strict=False)}
    rows = tuple(
        Look(colour.of[one[by_colour]].colour, looks[one[by_dash]].dash, colour.of[one[by_colour]].marker)
        for one in told
    )
    return Looks(rows, (colour, _Axis(by_dash, looks)), told)


def _coloured(key: str, told: Sequence[Mapping[str, str]]) -> _Axis:
    values = list(dict.fromkeys(one[key] for one in told))
    numbers = _numbers(values)
    found = colours(len(values)) if numbers is None else ramp(places(numbers))
    order = np.argsort(np.argsort(numbers)) if numbers is not None else np.arange(len(values))
    markers = [MARKERS[place % len(MARKERS)] for place in order]
    return _Axis(key, {v: Look(c, marker=m) for v, c, m in zip(values, found, markers, strict=True)})


def _numbers(values: Sequence[str]) -> list[float] | None:
    """The values as numbers; None where one is a word, or there are so few that no order is seen."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return None
    return numbers if len(values) > 2 and all(map(math.isfinite, numbers)) else None


def places(numbers: Sequence[float]) -> list[float]:
    """Where numbers stand on a scale from 0 to 1: by value or by its logarithm; evenly where two would be too close."""
    values = np.array(numbers)
    if values.min() > 0 and values.max() > _LOGARITHMIC * values.min():
        values = np.log(values)
    scaled = (values - values.min()) / (values.max() - values.min())
    steps = np.diff(np.sort(scaled))
    if steps.min() < _CLOSE / len(steps):
        scaled = np.argsort(np.argsort(values)) / (len(values) - 1)
    return [float(place) for place in scaled]
