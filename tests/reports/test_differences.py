"""Paired differences, compared with scipy.stats, with simulations and with examples worked by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from triplicate.records.run_folder import RunRecord
from triplicate.reports.differences import (
    Compare,
    Differences,
    holm,
    interval,
    main_measure,
    needed_seeds,
    of_rows,
    p_value,
    power,
)
from triplicate.reports.rows import Cell, Row


def run(seed: int, values: Mapping[str, float | None], epochs: int) -> RunRecord:
    status = "diverged" if None in values.values() else "finished"
    summary = {"seed": seed, "status": status, "measures": dict(values)}
    return RunRecord(Path(), {"train": {"epochs": epochs}}, summary, pd.DataFrame(), None, None, f"{seed}", "")


def row(
    name: str, values: Sequence[float | None], measure: str = "test_accuracy", first: int = 0, epochs: int = 100
) -> Row:
    runs = [run(seed, {measure: value}, epochs) for seed, value in enumerate(values, start=first)]
    settled = [one for one in runs if one.summary["status"] == "finished"]
    return Row({"optimizer.lr": name}, tuple(runs), (), {measure: Cell.of(measure, settled)})


def compared(*rows: Row, compare: Compare = Compare.BEST) -> Differences:
    return of_rows(rows, next(iter(rows[0].cells)), compare)


ONE, OTHER = [0.871, 0.874, 0.880], [0.832, 0.834, 0.835]


def test_a_pair_is_that_of_scipy() -> None:
    (pair,) = compared(row("0.01", OTHER), row("0.1", ONE)).pairs
    expected = stats.ttest_rel(ONE, OTHER)
    confidence = expected.confidence_interval(0.95)
    assert pair.places == (1, 0)
    assert pair.mean == pytest.approx(np.mean(ONE) - np.mean(OTHER))
    assert pair.tested is not None
    assert pair.tested.p == pair.tested.corrected_p == pytest.approx(expected.pvalue)
    assert (pair.tested.interval.low, pair.tested.interval.high) == pytest.approx((confidence.low, confidence.high))
    low, high = 100 * confidence.low, 100 * confidence.high
    assert pair.words == f"0.1 beats 0.01 by 4.13 points, 95 % interval {low:.2f} to {high:.2f}, 3 seeds"


VALUES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=9)


@given(VALUES, st.sampled_from([0.05, 0.01, 0.0002]))
def test_intervals_and_p_are_those_of_scipy(pairs: list[tuple[float, float]], level: float) -> None:
    one, other = zip(*pairs, strict=True)
    differences = [a - b for a, b in pairs]
    if np.ptp(differences) < 1e-6:
        return
    expected = stats.ttest_rel(one, other)
    confidence = expected.confidence_interval(1 - level)
    found = interval(differences, level)
    assert (found.low, found.high) == pytest.approx((confidence.low, confidence.high), rel=1e-6, abs=1e-9)
    assert p_value(differences) == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)


def test_an_interval_holds_the_true_difference_in_95_of_100_sweeps() -> None:
    draws = np.random.default_rng(0).normal(0.3, 1.0, (10_000, 3))
    found = [interval(list(values)) for values in draws]
    assert 0.93 < np.mean([one.low <= 0.3 <= one.high for one in found]) < 0.97


def test_of_equal_rows_at_most_5_in_100_sweeps_have_a_difference() -> None:
    """The best of six equal rows against the others: without a correction it is seldom that none differs."""
    values = np.random.default_rng(0).normal(0.5, 0.01, (200, 6, 3))
    sweeps = [[row(f"{place}", list(one)) for place, one in enumerate(rows)] for rows in values]
    found = [compared(*rows).pairs for rows in sweeps]
    shown = [any(pair.tested is not None and pair.tested.is_shown for pair in pairs) for pairs in found]
    alone = [any(pair.tested is not None and pair.tested.p < 0.05 for pair in pairs) for pairs in found]
    assert np.mean(shown) < 0.07
    assert np.mean(alone) > 0.3


def test_holm_as_worked_by_hand() -> None:
    """0.01 · 4, 0.013 · 3, 0.03 · 2, 0.04 · 1, each at least the one before: 0.06 is not below 0.05, so no more is."""
    corrected, levels = holm([0.03, 0.01, 0.04, 0.013])
    assert corrected == pytest.approx([0.06, 0.04, 0.06, 0.04])
    assert levels == pytest.approx([0.05 / 2, 0.05 / 4, 0.05 / 2, 0.05 / 3])
    assert holm([]) == ([], [])
    assert holm([0.03]) == ([0.03], [pytest.approx(0.05)])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_keeps_the_order_and_is_never_below_nor_beyond_bonferroni(p: list[float]) -> None:
    corrected, levels = holm(p)
    order = sorted(range(len(p)), key=lambda place: p[place])
    assert [corrected[place] for place in order] == sorted(corrected)
    for value, found, level in zip(p, corrected, levels, strict=True):
        assert value <= found <= min(1.0, len(p) * value) or found == pytest.approx(value)
        assert 0.05 / len(p) <= level <= 0.05 + 1e-12
        assert (value < level) == (found < 0.05) or found == pytest.approx(0.05)


def test_a_corrected_interval_holds_0_where_no_difference_is_shown() -> None:
    draws = np.random.default_rng(1)
    for _ in range(50):
        rows = [row(f"{r}", list(draws.normal(0.5 + 0.02 * r, 0.01, 4))) for r in range(4)]
        for pair in compared(*rows, compare=Compare.ALL).pairs:
            assert pair.tested is not None
            assert (pair.tested.corrected.low > 0) == pair.tested.is_shown
            assert pair.tested.corrected.low <= pair.tested.interval.low + 1e-12


def test_the_seeds_that_are_needed_show_the_difference_in_80_of_100_sweeps() -> None:
    draws = np.random.default_rng(0)
    for effect in (0.6, 1.5, 4.0):
        seeds = needed_seeds(effect)
        assert seeds is not None
        for count, at_least, at_most in ((seeds, 0.78, 1.0), (seeds - 1, 0.0, 0.82)):
            if count > 1:
                values = draws.normal(effect, 1.0, (10_000, count))
                shown = np.mean(stats.ttest_1samp(values, 0.0, axis=1).pvalue < 0.05)
                assert at_least < shown < at_most
                assert power(effect, count, 0.05) == pytest.approx(shown, abs=0.015)
    assert needed_seeds(0.01) is None
    assert needed_seeds(1e7) == 2
    assert needed_seeds(1.0, 0.05 / 276) > needed_seeds(1.0)  # type: ignore[operator]


def test_what_is_not_shown_says_what_it_would_take() -> None:
    (pair,) = compared(row("0.1", [0.50, 0.52, 0.51]), row("0.01", [0.51, 0.50, 0.50])).pairs
    assert pair.words.startswith("no difference shown between 0.1 and 0.01: 0.67 points, 95 % interval -3.13 to 4.46")
    assert "3 seeds; a difference of that size would take about" in pair.words


def test_of_a_loss_less_is_better() -> None:
    (pair,) = compared(row("1", [0.5, 0.52, 0.51], "test_loss"), row("2", [0.4, 0.41, 0.42], "test_loss")).pairs
    assert pair.names == ("2", "1")
    assert pair.mean == pytest.approx(-0.1)
    assert pair.words.startswith("2 beats 1 by 0.1000, 95 % interval 0.0")


def test_what_nobody_calls_better_is_described() -> None:
    (pair,) = compared(row("1", [0.5, 0.52, 0.51], "unknown"), row("2", [0.4, 0.41, 0.42], "unknown")).pairs
    assert pair.words.startswith("1 is greater than 2 by 0.1000")


def test_a_pair_is_over_the_seeds_that_both_have() -> None:
    four, other = row("4", [0.5, 0.6, 0.55, 0.9]), row("3", [0.4, 0.52, None], first=0)
    (pair,) = compared(four, other).pairs
    assert pair.seeds == (0, 1)
    assert pair.mean == pytest.approx(0.09)
    assert "2 seeds" in pair.words
    (one,) = compared(row("a", [0.5, 0.6]), row("b", [0.4, 0.5, 0.6], first=1)).pairs
    assert one.seeds == (1,)
    assert one.words == "a and b: 20.00 points apart in the one seed that both have: not tested"
    (none,) = compared(row("a", [0.5, 0.6]), row("b", [0.4, 0.5], first=5)).pairs
    assert none.words == "a and b: not compared, since no seed has a number in both"
    assert compared(row("a", [0.5, 0.6]), row("b", [None, None])).pairs == ()


@pytest.mark.parametrize(
    ("one", "other", "measure", "epochs", "words"),
    [
        ([0.5, 0.6, 0.7], [0.5, 0.6, 0.7], "test_accuracy", 9, "a and b: the same in each of 3 seeds: not tested"),
        (
            [0.5, 0.6, 0.7],
            [0.4, 0.5, 0.6],
            "test_accuracy",
            9,
            "a and b: 10.00 points apart in each of 3 seeds: not tested",
        ),
        ([1200.0] * 3, [200.0] * 3, "parameters", 9, "b and a: 1,000 apart, the same for every seed"),
        ([200.0] * 3, [200.0] * 3, "parameters", 9, "a and b: the same"),
        ([0.5], [0.4], "test_accuracy", 9, "a and b: 10.00 points apart in the one seed that both have: not tested"),
        (
            [9.0, 8.0, 7.0],
            [2.0, 3.0, 3.0],
            "best_epoch",
            9,
            "b and a: not compared, since some runs were still getting better when they ended",
        ),
    ],
)
def test_what_cannot_be_tested_is_said(
    one: list[float | None], other: list[float | None], measure: str, epochs: int, words: str
) -> None:
    found = compared(row("a", one, measure, epochs=epochs), row("b", other, measure, epochs=epochs))
    assert [pair.words for pair in found.pairs] == [words]
    assert found.tested == 0
    assert found.limits == ""
    assert found.first is None


def test_a_number_that_is_not_finite_is_none() -> None:
    (pair,) = compared(row("a", [0.5, math.inf, 0.7, math.nan]), row("b", [0.4, 0.5, 0.61, 0.2])).pairs
    assert pair.seeds == (0, 2)


def test_numbers_beyond_all_arithmetic_are_not_compared() -> None:
    (pair,) = compared(row("a", [1e308, -1e308, 1e308]), row("b", [-1e308, 1e300, 3.0])).pairs
    assert pair.words == "a and b: not compared, since their numbers are too great"


def test_of_many_pairs_the_clearest_are_said() -> None:
    draws = np.random.default_rng(0)
    rows = [row(f"{place}", list(draws.normal(0.5 + place / 100, 0.0001, 6))) for place in range(24)]
    found = compared(*rows, compare=Compare.ALL)
    assert len(found.pairs) == found.tested == 276
    sentences = found.sentences(10)
    assert len(sentences) == 11
    assert sentences[-1] == "266 more pairs: 266 with a difference shown, 0 without"
    best = compared(*rows)
    assert len(best.pairs) == 23
    assert best.tested == 276
    assert all(pair.names[0] == "23" for pair in best.pairs)
    assert best.first is not None
    assert best.first.names == ("23", "22")
    assert "corrected for all 276 pairs of rows" in best.limits
    assert "few" not in best.limits
    assert compared(*rows, compare=Compare.NONE).pairs == ()


def test_the_limits_of_few_seeds_are_said() -> None:
    assert "3 seeds are few" in compared(row("0.01", OTHER), row("0.1", ONE)).limits


def test_the_measure_to_compare_in() -> None:
    assert main_measure(["parameters", "seconds", "test_loss", "test_accuracy"]) == "test_loss"
    assert main_measure(["std_test_accuracy"]) == "std_test_accuracy"
    assert main_measure(["parameters", "seconds"]) is None
