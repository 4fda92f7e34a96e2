"""What tells the rows of a figure apart, and what is left of a long line."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from triplicate.reports.plots import style
from triplicate.reports.plots.looks import Looks, places
from triplicate.reports.plots.seeds import Curve, Spread
from triplicate.reports.rows import Row

# From linear sRGB to what people without red or green cones see (Machado, Oliveira and Fernandes 2009, severity 1).
BLIND = {
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(colour: Sequence[float], blindness: str = "") -> NDArray[np.float64]:
    """A colour as CIE L*a*b*, as it is seen."""
    values = np.array(colour)
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    seen = np.array(BLIND[blindness]) @ linear if blindness else linear
    x, y, z = np.cbrt(TO_XYZ @ seen.clip(0, 1) / [0.9505, 1, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("blindness", ["", "red", "green"])
def test_any_two_colours_of_the_palette_are_told_apart(blindness: str) -> None:
    seen = [lab(colour, blindness) for colour in style.PALETTE]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 20


def test_neighbours_are_told_apart_in_grey() -> None:
    lightness = [float(lab(colour)[0]) for colour in style.PALETTE]
    assert np.abs(np.diff(lightness)).min() > 20
    assert max(lightness) < 82  # on white


@pytest.mark.parametrize(("count", "least"), [(4, 18), (8, 7), (24, 2)])
def test_a_ramp_is_an_order_in_grey_too(count: int, least: float) -> None:
    shades = style.ramp(np.linspace(0, 1, count))
    for blindness in ("", "red", "green"):
        lightness = [float(lab(shade, blindness)[0]) for shade in shades]
        assert np.diff(lightness).min() > 0.75 * least
    assert np.diff([float(lab(shade)[0]) for shade in shades]).min() > least


def rows(*axes: dict[str, str]) -> list[Row]:
    return [Row(one, (), (), {}) for one in axes]


def legend(looks: Looks, count: int) -> list[str]:
    return [str(handle.get_label()) for handle in looks.handles(range(count))]


def test_a_numeric_axis_is_a_scale_in_the_order_of_its_values() -> None:
    looks = Looks.of(rows(*({"optimizer.lr": rate} for rate in ("1", "0.001", "0.1", "0.01"))))
    lightness = [float(lab(look.colour)[0]) for look in looks.rows]
    assert sorted(range(4), key=lightness.__getitem__) == [1, 3, 2, 0]
    assert legend(looks, 4) == ["optimizer.lr", "1", "0.001", "0.1", "0.01"]


def test_places_on_a_scale_are_by_value_or_logarithm_and_never_together() -> None:
    assert places([0.001, 0.01, 1]) == pytest.approx([0, 1 / 3, 1])
    assert places([0.1, 0.2, 0.4]) == pytest.approx([0, 1 / 3, 1])
    assert places([0.1, 0.1001, 0.4]) == pytest.approx([0, 0.5, 1])


def test_of_two_axes_one_is_the_colour_and_one_the_line_style() -> None:
    names = list(itertools.product(("1", "0.1", "0.01"), ("relu", "tanh")))
    looks = Looks.of(rows(*({"activation": activation, "optimizer.lr": rate} for rate, activation in names)))
    for (one, a), (other, b) in itertools.combinations(zip(names, looks.rows, strict=True), 2):
        assert (a.colour == b.colour) == (one[0] == other[0])
        assert (a.dash == b.dash) == (one[1] == other[1])
    assert legend(looks, 6) == ["optimizer.lr", "1", "0.1", "0.01", "activation", "relu", "tanh"]


def test_words_have_distinct_colours_and_a_legend_has_only_what_is_shown() -> None:
    looks = Looks.of(rows(*({"model": name} for name in ("a", "b", "c"))))
    assert [look.colour for look in looks.rows] == list(style.PALETTE[:3])
    assert [str(handle.get_label()) for handle in looks.handles({0, 2})] == ["model", "a", "c"]
    assert legend(Looks.of(rows({})), 1) == []


def test_a_long_line_keeps_its_extremes() -> None:
    draws = np.random.default_rng(0)
    values = draws.normal(size=18_760)
    values[[5_000, 12_345]] = [40, -50]
    thinned = Curve.of(pd.Series(values, index=np.arange(1, 18_761))).thinned()
    assert len(thinned.x) < 5_000
    assert (np.diff(thinned.x) > 0).all()
    assert thinned.y[thinned.x == 5_001] == [40]
    assert thinned.y[thinned.x == 12_346] == [-50]
    assert (thinned.y == values[thinned.x.astype(int) - 1]).all()
    # In each place across the panel the least and the greatest are those of all.
    for start in range(0, 18_760 - 469, 469):
        part = thinned.y[(thinned.x > start) & (thinned.x <= start + 469)]
        assert part.max() == values[start : start + 469].max()
        assert part.min() == values[start : start + 469].min()


def test_one_seed_has_no_band() -> None:
    assert not len(Spread.of([pd.Series([1.0, 2.0], index=[1, 2])]).low)
