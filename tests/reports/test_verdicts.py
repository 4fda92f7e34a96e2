"""Verdicts against scipy.stats, a simulation, and cases decided by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from triplicate.reports.verdicts import Kind, Stated, stated, verdict

REPRODUCED, CLOSE, DIFFERS, NOT_COMPARABLE = Kind


def kind(measure: str, values: Sequence[float], published: float | str, **others: Any) -> Kind | None:
    found = verdict(measure, values, published, **others)
    return None if found is None else found.kind


RATE = [0.871, 0.874, 0.880]


def test_the_interval_is_that_of_one_more_run() -> None:
    """A t test of two samples of which one has no spread of its own: pooled, n - 1 degrees."""
    half = stats.t.ppf(0.975, 2) * np.std(RATE, ddof=1) * math.sqrt(1 + 1 / 3)
    mean = np.mean(RATE)
    for sign in (-1, 1):
        inside, outside = (f"{100 * (mean + sign * (half + more)):.6f} %" for more in (-1e-6, 1e-6))
        assert kind("test_accuracy", RATE, inside) is REPRODUCED
        assert kind("test_accuracy", RATE, outside) is not REPRODUCED
    found = verdict("test_accuracy", RATE, 0.87)
    assert found is not None
    low, high = 100 * (mean - half), 100 * (mean + half)
    assert found.reason == f"by 3 seeds a single run would lie in {low:.2f} to {high:.2f} (95 %)"
    assert found.words == "reproduced"


@pytest.mark.parametrize(("seeds", "runs"), [(3, 1), (3, 3), (5, 1)])
def test_of_equal_recipes_95_in_100_are_reproduced(seeds: int, runs: int) -> None:
    draws = np.random.default_rng(0)
    here = draws.normal(50.0, 1.0, (2000, seeds))
    there = draws.normal(50.0, 1.0, (2000, runs)).mean(axis=1)
    found = [
        kind("test_loss", list(values), f"{published:.12f}", published_runs=runs)
        for values, published in zip(here, there, strict=True)
    ]
    assert 0.93 < np.mean([one is REPRODUCED for one in found]) < 0.97


@given(st.lists(st.floats(0.5, 0.52), min_size=2, max_size=5), st.floats(0.4, 0.6), st.integers(1, 9))
def test_more_published_runs_narrow_the_interval(values: list[float], published: float, runs: int) -> None:
    order = [REPRODUCED, CLOSE, DIFFERS]
    one, more = (kind("test_accuracy", values, published, published_runs=k) for k in (1, 1 + runs))
    assert one in order
    assert more in order
    assert order.index(one) <= order.index(more)


@pytest.mark.parametrize(
    ("values", "published", "expected"),
    [
        ([0.880, 0.8801, 0.8802], 0.8665, CLOSE),
        ([0.880, 0.8801, 0.8802], 0.8645, DIFFERS),
        ([0.880, 0.8801, 0.8802], 0.88, REPRODUCED),
        ([0.8745, 0.8746, 0.8747], "0.87", REPRODUCED),  # it rounds to it
        ([0.8745, 0.8746, 0.8747], 0.87, REPRODUCED),
        ([0.8745, 0.8746, 0.8747], "0.8700", CLOSE),
        ([0.91, 0.9101, 0.9102], 0.9, CLOSE),  # 0.9 may be 90 %, and is not 'between 85 and 95'
        ([1.0, 1.0, 1.0], 1.0, REPRODUCED),
        ([0.75, 0.75, 0.75], 1.0, DIFFERS),
        ([0.99, 0.99, 0.99], 1.0, CLOSE),
        ([0.88], 0.8801, CLOSE),
        ([0.88], 0.80, DIFFERS),
        ([0.9051, 0.9049, 0.9050], "about 90.5 %", REPRODUCED),
    ],
)
def test_percents(values: list[float], published: float | str, expected: Kind) -> None:
    assert kind("test_accuracy", values, published) is expected


@pytest.mark.parametrize(
    ("measure", "values", "published", "expected"),
    [
        ("test_loss", [0.5100, 0.5101, 0.5102], "0.500", CLOSE),
        ("test_loss", [0.5200, 0.5201, 0.5202], "0.500", DIFFERS),
        ("parameters", [669706.0] * 3, 669706, REPRODUCED),
        ("parameters", [669706.0], 669706, REPRODUCED),
        ("parameters", [669706.0] * 3, "669,706", REPRODUCED),
        ("parameters", [670000.0] * 3, 669706, CLOSE),
        ("parameters", [600000.0] * 3, 669706, DIFFERS),
        ("seconds", [58.6, 58.7, 58.5], 58.6, NOT_COMPARABLE),
        ("peak_memory_mib", [58.0] * 3, 58, NOT_COMPARABLE),
        ("images_per_second", [58.0] * 3, 58, NOT_COMPARABLE),
        ("mean_seconds", [58.0] * 3, 58, NOT_COMPARABLE),
        ("test_loss", [0.5, 0.6], "see figure 3", NOT_COMPARABLE),
    ],
)
def test_other_measures(measure: str, values: list[float], published: float | str, expected: Kind) -> None:
    assert kind(measure, values, published) is expected


@pytest.mark.parametrize(
    ("values", "is_least", "published", "expected"),
    [
        ([100.0, 100.0, 100.0], True, ">100", REPRODUCED),
        ([100.0, 99.0, 98.0], True, ">100", CLOSE),
        ([3.0, 3.0, 3.0], True, ">100", NOT_COMPARABLE),
        ([60.0, 61.0, 65.0], False, ">100", DIFFERS),
        ([110.0, 120.0, 130.0], False, ">100", REPRODUCED),
        ([3.0, 3.0, 3.0], True, 6, NOT_COMPARABLE),
        ([19.0, 20.0, 20.0], True, 6, DIFFERS),
        ([6.0, 6.0, 6.0], True, 6, NOT_COMPARABLE),
        ([4.0, 5.0, 3.0], False, "<6", REPRODUCED),
        ([9.0, 9.0, 9.0], True, "<6", NOT_COMPARABLE),
        ([3.0, 3.0, 3.0], True, "<6", NOT_COMPARABLE),
        ([13.0, 15.0, 14.0], False, 14, REPRODUCED),
    ],
)
def test_bounds_are_bounds(values: list[float], is_least: bool, published: float | str, expected: Kind) -> None:
    assert kind("best_epoch", values, published, is_least=is_least) is expected


def test_where_there_was_no_number() -> None:
    for nothing in ("N/A", "NaN", " n/a "):
        assert kind("best_epoch", [], nothing, without=3) is REPRODUCED
        assert kind("best_epoch", [4.0], nothing, without=2) is CLOSE
        assert kind("best_epoch", [4.0, 5.0], nothing) is DIFFERS
    assert kind("best_epoch", [], 4, without=3) is DIFFERS
    assert verdict("best_epoch", [], 4) is None
    assert verdict("best_epoch", [4.0], math.nan) is None


def test_words_and_reasons() -> None:
    values = [0.880, 0.8801, 0.8802]
    found = verdict("test_accuracy", values, 0.80)
    assert found is not None
    assert found.words == "differs, not explained"
    assert found.reason.startswith(
        "8.01 points above the published number; by 3 seeds a single run would lie in 87.96 to"
    )
    found = verdict("test_accuracy", values, 0.80, explained="batch size not stated")
    assert found is not None
    assert found.words == "differs: batch size not stated"
    found = verdict("test_accuracy", values, 0.80, not_comparable="recipe not stated")
    assert found is not None
    assert (found.kind, found.words) == (NOT_COMPARABLE, "not comparable: recipe not stated")
    found = verdict("test_accuracy", values[:1], 0.879)
    assert found is not None
    assert (found.kind, found.words) == (CLOSE, "close (one seed)")
    assert found.reason == "0.10 points above the published number; one seed has no interval"
    found = verdict("test_accuracy", values, 0.88, published_runs=3)
    assert found is not None
    assert "the mean of 3 runs would lie in" in found.reason
    assert found.difference == pytest.approx(0.0001)
    for measure, published in (("seconds", 58), ("best_epoch", ">100"), ("best_epoch", "N/A")):
        other = verdict(measure, [101.0], published)
        assert other is not None
        assert math.isnan(other.difference)


@pytest.mark.parametrize(
    ("measure", "published", "expected"),
    [
        ("test_accuracy", "about 90 %", Stated(0.9, 0.005)),
        ("test_accuracy", "90.50%", Stated(0.905, 0.00005)),
        ("test_accuracy", 0.8740, Stated(0.874, 0.0005)),
        ("test_accuracy", 1.0, Stated(1.0, 0.005)),
        ("test_loss", "0.620", Stated(0.62, 0.0005)),
        ("best_epoch", ">100", Stated(100.0, 0.5, ">")),
        ("best_epoch", ">= 100", Stated(100.0, 0.5, ">")),
        ("best_epoch", "≤ 7", Stated(7.0, 0.5, "<")),
        ("parameters", "1,863,690", Stated(1863690.0, 0.5)),
        ("parameters", 176784778, Stated(176784778.0, 0.5)),
        ("test_loss", "-1.5e3", Stated(-1500.0, 50.0)),
        ("test_loss", 1e-7, Stated(1e-7, 5e-8)),
        ("test_loss", "N/A", None),
        ("test_loss", "", None),
        ("test_loss", "12 of 13", None),
    ],
)
def test_what_was_published_is_read(measure: str, published: float | str, expected: Stated | None) -> None:
    found = stated(measure, published)
    if expected is None or found is None:
        assert found is expected
        return
    assert found.number == pytest.approx(expected.number)
    assert found.rounding == pytest.approx(expected.rounding)
    assert found.bound == expected.bound
