"""The charts of a page as specifications in Vega-Lite. Data, scales and what is hidden are filled in by page.js.

Colours are variables of page.css, so that a chart follows the light and the dark scheme and the printer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Specification = dict[str, Any]

_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
# As many as page.css has variables for.
_COLOURS = 8
_DASHES = ([1, 0], [6, 3], [2, 2], [8, 3, 2, 3])
# With more points than this the markers hide the line.
_MARKED = 40


def colours(count: int, is_ordered: bool = False) -> list[str]:
    """A colour for each line, in the words of CSS; a ramp from dark to light for things in an order, or for many."""
    if count <= (_COLOURS // 2 if is_ordered else _COLOURS):
        return [f"var(--line-{number})" for number in range(count)]
    return [_on_ramp(place / (count - 1)) for place in range(count)]


def _on_ramp(place: float) -> str:
    """From 0 to 1: between the first and the second colour of the ramp, or the second and the third."""
    start, part = (0, 2 * place) if place < 0.5 else (1, 2 * place - 1)
    return f"color-mix(in oklab, var(--ramp-{start}), var(--ramp-{start + 1}) {100 * part:.1f}%)"


def dashes(count: int) -> list[list[int]]:
    """A dash for each line: who cannot tell the colours apart, or prints in grey, has these."""
    return [_DASHES[number % len(_DASHES)] for number in range(count)]


def over_epochs(epochs: int) -> Specification:
    """Mean and range of the seeds of each row over the epochs, or each seed.

    Data: `x` the epoch, `y`, `line` the number of the row, `run` that of the run. The mean and the range end where the
    first seed of a row ends; from there on each of the others is a line of its own.
    """
    statistics: list[Any] = [
        {
            "aggregate": [
                {"op": "mean", "field": "y", "as": "mean"},
                {"op": "min", "field": "y", "as": "low"},
                {"op": "max", "field": "y", "as": "high"},
                {"op": "valid", "field": "y", "as": "n"},
            ],
            "groupby": ["line", "x"],
        },
        {"joinaggregate": [{"op": "max", "field": "n", "as": "of"}], "groupby": ["line"]},
        {"filter": "!seeds && datum.n == datum.of"},
    ]
    alone: list[Any] = [
        {"joinaggregate": [{"op": "valid", "field": "y", "as": "n"}], "groupby": ["line", "x"]},
        {"joinaggregate": [{"op": "max", "field": "n", "as": "of"}], "groupby": ["line"]},
        {"filter": "seeds || datum.n < datum.of"},
    ]
    band = {
        "transform": statistics,
        "mark": {"type": "area", "opacity": 0.16, "clip": True, "aria": False},
        "encoding": {"y": _y("low"), "y2": {"field": "high"}},
    }
    mean = {
        "transform": statistics,
        "mark": _line(width=2, marked=epochs <= _MARKED),
        "encoding": {"y": _y("mean"), "strokeDash": _dash()},
    }
    seeds = {
        "transform": alone,
        "mark": _line(width=1.1, marked=epochs <= _MARKED),
        "encoding": {"y": _y("y"), "strokeDash": _dash(), "detail": {"field": "run", "type": "nominal"}},
    }
    return _chart([band, mean, seeds], "epoch")


def over_steps() -> Specification:
    """A line for each run of each layer or row over the training steps. Data as in `over_epochs`."""
    lines = {
        "mark": _line(width=1, marked=False),
        "encoding": {"y": _y("y"), "strokeDash": _dash(), "detail": {"field": "run", "type": "nominal"}},
    }
    return _chart([lines], "step")


def _chart(layers: Sequence[Specification], x: str) -> Specification:
    at = {
        "data": {"values": [{}]},
        "mark": {"type": "rule", "strokeDash": [3, 3], "color": "var(--muted)", "clip": True, "aria": False},
        "encoding": {"x": {"datum": {"expr": "at"}, "type": "quantitative"}},
    }
    first = {**layers[0], "params": [{"name": "brush", "select": {"type": "interval", "encodings": ["x"]}}]}
    return {
        "$schema": _SCHEMA,
        "width": "container",
        "height": 270,
        "autosize": {"type": "fit", "contains": "padding"},
        "background": "transparent",
        "padding": 2,
        "datasets": {"points": []},
        "data": {"name": "points"},
        "params": [
            {"name": "hidden", "value": []},
            {"name": "at", "value": 0},
            {"name": "seeds", "value": False},
        ],
        "transform": [{"filter": "indexof(hidden, datum.line) < 0"}],
        "encoding": {
            "x": {
                "field": "x",
                "type": "quantitative",
                "title": x,
                "scale": {"zero": False, "nice": False},
                "axis": {"tickMinStep": 1, "format": ",d", "grid": False, "tickCount": 6},
            },
            "color": {"field": "line", "type": "nominal", "scale": {"domain": [], "range": []}, "legend": None},
        },
        "layer": [first, *layers[1:], at],
        "config": _CONFIG,
    }


def _y(field: str) -> Specification:
    return {
        "field": field,
        "type": "quantitative",
        "title": None,
        "scale": {"type": "linear", "zero": False, "nice": True},
        "axis": {"tickCount": 5},
    }


def _dash() -> Specification:
    return {"field": "line", "type": "nominal", "scale": {"domain": [], "range": []}, "legend": None}


def _line(width: float, marked: bool) -> Specification:
    point: Any = {"size": 14, "filled": True, "aria": False} if marked else False
    return {"type": "line", "strokeWidth": width, "point": point, "clip": True, "aria": False}


_CONFIG: Specification = {
    "font": 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif',
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "domainColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "gridColor": "var(--grid)",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "labelOverlap": True,
    },
    "view": {"stroke": None},
}
