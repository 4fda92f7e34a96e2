from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Configure
from triplicate.config import as_plain
from triplicate.records.run_folder import RunRecord
from triplicate.records.sweep_folder import Absent, Sweep, Wanted
from triplicate.reports.numbers import mean_with_std, number
from triplicate.reports.rows import Cell, mean_and_std
from triplicate.reports.tables import Table, write

ENVIRONMENT = {"machine": "a machine, 2 cores", "device": "cpu", "triplicate": "0", "torch": "2"}
ACCURACIES = {"0.1": [0.871, 0.874, 0.880], "0.01": [0.70, 0.71, 0.75]}
PUBLISHED = {"optimizer.lr=0.10": {"test_accuracy": 0.87}}


def record(
    configure: Configure,
    folder: Path,
    overrides: Mapping[str, str],
    accuracy: float | None,
    *,
    setting: str | None = None,
    **others: Any,
) -> RunRecord:
    lr, seed = float(overrides["optimizer.lr"]), int(overrides["seed"])
    status = "finished" if accuracy is not None else "diverged"
    measures = {"test_accuracy": accuracy, "train_loss": accuracy, "test_loss": accuracy, "best_epoch": 3}
    summary: dict[str, Any] = {
        "status": status,
        "tested_epoch": 3,
        "job": 0,
        "seed": seed,
        "overrides": overrides,
        "choices": {"model": "mlp_base"},
        "measures": measures,
        "finished_at": "2026-01-01T00:00:00",
        "command": "triplicate x=1",
        "environment": ENVIRONMENT,
    } | others
    epochs = [1, 2, 3]
    curve = [1.0, 0.5, float("nan") if accuracy is None else 0.25]
    table = pd.DataFrame(
        {"epoch": epochs, **{f"{s}_{m}": curve for s in ("train", "test") for m in ("loss", "accuracy")}}
    )
    rows = [{"step": s, "layer": "all", "parameter": "all", "mean": 1e-5, "l2": 0.5} for s in (1, 2)]
    config = as_plain(configure(f"optimizer.lr={lr}", f"seed={seed}", "report.title=Rates"))
    config["report"]["published"] = PUBLISHED
    path = folder / f"{lr}-{seed}"
    path.mkdir(exist_ok=True)
    setting = setting or f"setting of {lr}"
    return RunRecord(path, config, summary, table, pd.DataFrame(rows), None, f"{setting}, {seed}", setting)


def absent(overrides: Mapping[str, str], state: str, cause: str = "", setting: str | None = None) -> Absent:
    setting = setting or f"setting of {float(overrides['optimizer.lr'])}"
    name = ",".join(f"{k}={v}" for k, v in overrides.items())
    wanted = Wanted(0, f"{setting}, {overrides['seed']}", setting, int(overrides["seed"]), name, overrides, {})
    return Absent(wanted, Path("out", "runs", name), state, cause, {})


def table_of(
    runs: Sequence[RunRecord],
    absent: Sequence[Absent] = (),
    report: Mapping[str, Any] | None = None,
    order: Sequence[str] = (),
) -> Table:
    return Table.of(Sweep(tuple(runs), tuple(absent), report, (), tuple(order)))


@pytest.fixture
def runs(configure: Configure, tmp_path: Path) -> list[RunRecord]:
    return [
        record(configure, tmp_path, {"seed": str(seed), "optimizer.lr": lr, "experiment": "x"}, accuracy)
        for lr, accuracies in ACCURACIES.items()
        for seed, accuracy in enumerate(accuracies)
    ]


def test_mean_std_published_and_difference(runs: list[RunRecord]) -> None:
    frame = table_of(runs).frame()
    assert list(frame["optimizer.lr"]) == ["0.1", "0.01"]
    assert list(frame["n"]) == [3, 3]
    for row, accuracies in enumerate(ACCURACIES.values()):
        assert frame["test_accuracy_mean"][row] == pytest.approx(np.mean(accuracies))
        assert frame["test_accuracy_std"][row] == pytest.approx(np.std(accuracies, ddof=1))
    assert frame["test_accuracy_published"][0] == 0.87
    assert frame["test_accuracy_difference"][0] == pytest.approx(0.005)
    assert math.isnan(frame["test_accuracy_published"][1])


def test_people_read_percent_and_points(runs: list[RunRecord]) -> None:
    table = table_of(runs)
    for text in (table.as_text(), table.as_markdown()):
        assert "87.50 ± 0.46" in text
        assert "87.00" in text
        assert "+0.50" in text
        assert "reproduced" in text
    assert "triplicate x=1" in table.as_markdown()
    assert "2026-01-01" in table.as_markdown()
    assert "a machine, 2 cores" in table.as_markdown()
    assert r"\num{87.50} $\pm$ \num{0.46}" in table.as_latex()
    assert r"test accuracy \%" in table.as_latex()


def test_a_run_that_diverged_is_counted_and_not_averaged(
    configure: Configure, runs: list[RunRecord], tmp_path: Path
) -> None:
    lost = [
        record(configure, tmp_path, {"seed": str(seed), "optimizer.lr": "1"}, accuracy)
        for seed, accuracy in enumerate([None, None, None])
    ]
    part = record(configure, tmp_path, {"seed": "3", "optimizer.lr": "0.1"}, None)
    frame = table_of([*runs, *lost, part]).frame()
    assert list(frame["n"]) == [3, 3, 0]
    assert list(frame["diverged"]) == [1, 0, 3]
    assert frame["test_accuracy_mean"][0] == pytest.approx(np.mean(ACCURACIES["0.1"]))
    assert "diverged" in table_of([*runs, *lost]).as_text().splitlines()[4]
    shown = table_of([*runs, *lost, part]).as_text().splitlines()
    assert shown[2].endswith("  3/4 seeds, 1 diverged")
    assert shown[4].split() == ["1", "diverged", "0/3", "seeds,", "3", "diverged"]


def test_one_seed_has_no_std(runs: list[RunRecord]) -> None:
    table = table_of(runs[:1])
    assert "87.10" in table.as_text()
    assert "±" not in table.as_text()
    assert "one run each (seed 0)" in table.as_markdown()
    assert "±" not in table.as_markdown()
    different = [run for run in runs if run.summary["seed"] == (run.config["optimizer"]["lr"] == 0.1)]
    assert "one run each (seeds 0, 1)" in table_of(different).as_markdown()
    assert "mean ± sample standard deviation over seeds 0, 1, 2" in table_of(runs).as_markdown()


def test_tables_are_written_for_programs_and_people(runs: list[RunRecord], tmp_path: Path) -> None:
    written = write(table_of(runs), tmp_path)
    assert [path.name for path in written] == ["table.csv", "table.md", "table.tex"]
    read = pd.read_csv(tmp_path / "table.csv")
    assert list(read["optimizer.lr"]) == [0.1, 0.01]
    assert read["test_accuracy_mean"][0] == pytest.approx(np.mean(ACCURACIES["0.1"]), abs=1e-15)


def with_report(runs: list[RunRecord], **report: Any) -> list[RunRecord]:
    for run in runs:
        run.config["report"].update(report)
    return runs


def test_a_best_epoch_that_is_the_last_is_a_least_one(runs: list[RunRecord]) -> None:
    published = {"optimizer.lr=0.1": {"best_epoch": 14}, "optimizer.lr=0.01": {"best_epoch": ">100"}}
    for run in with_report(runs, measures=["best_epoch"], published=published):
        run.config["train"]["epochs"] = 3 if run.summary["overrides"]["optimizer.lr"] == "0.01" else 50
    table = table_of(runs)
    lines = table.as_text().splitlines()
    assert "3.0" in lines[2]
    assert ">" not in lines[2]
    assert ">3.0" in lines[3]
    assert ">100" in lines[3]
    frame = table.frame()
    assert list(frame["best_epoch_published"]) == [14.0, ">100"]
    assert frame["best_epoch_difference"][0] == 3 - 14
    assert math.isnan(frame["best_epoch_difference"][1])


def test_measures_over_the_epochs_and_after_one(runs: list[RunRecord]) -> None:
    names = ["mean_test_loss", "std_test_loss", "test_accuracy@2", "test_accuracy@9"]
    frame = table_of(with_report(runs, measures=names)).frame()
    curve = [1.0, 0.5, 0.25]
    assert frame["mean_test_loss_mean"][0] == pytest.approx(np.mean(curve))
    assert frame["std_test_loss_mean"][0] == pytest.approx(np.std(curve, ddof=1))
    assert frame["test_accuracy@2_mean"][0] == 0.5
    assert math.isnan(frame["test_accuracy@9_mean"][0])
    text = table_of(runs).as_text()
    assert "mean test loss" in text
    assert "test accuracy %, epoch 2" in text
    assert "50.00" in text


def test_the_gap_is_training_less_test(runs: list[RunRecord]) -> None:
    for run in with_report(runs, measures=["accuracy_gap"]):
        run.summary["measures"].update(train_accuracy=0.1, evaluated_train_accuracy=0.99)
    frame = table_of(runs).frame()
    assert frame["accuracy_gap_mean"][0] == pytest.approx(0.99 - np.mean(ACCURACIES["0.1"]))


def test_a_row_is_found_by_a_list_with_commas(runs: list[RunRecord]) -> None:
    name = "optimizer.lr=0.1, model.hidden=[64, 32]"
    for run in with_report(runs, published={name: {"test_accuracy": 0.5}}):
        run.summary["overrides"]["model.hidden"] = "[64,32]"
    assert table_of(runs).frame()["test_accuracy_published"].iloc[0] == 0.5


# Runs that are not there


def test_runs_that_are_not_there_are_counted_in_their_rows(runs: list[RunRecord]) -> None:
    lost = [
        absent({"seed": "2", "optimizer.lr": "0.1"}, "failed", "out of memory"),
        absent({"seed": "1", "optimizer.lr": "0.01"}, "damaged", "metrics.csv: it is not there"),
        absent({"seed": "2", "optimizer.lr": "0.01"}, "missing"),
        *(absent({"seed": str(seed), "optimizer.lr": "1"}, "failed", "too\nlarge") for seed in range(3)),
    ]
    kept = [run for run in runs if run.fingerprint not in {run.wanted.fingerprint for run in lost}]
    table = table_of(kept, lost)
    frame = table.frame()
    assert list(frame["optimizer.lr"]) == ["0.1", "0.01", "1"]
    assert list(frame["n"]) == [2, 1, 0]
    assert list(frame["wanted"]) == [3, 3, 3]
    assert list(frame["failed"]) == [1, 0, 3]
    assert list(frame["missing"]) == [0, 2, 0]
    assert frame["test_accuracy_mean"][0] == pytest.approx(np.mean(ACCURACIES["0.1"][:2]))
    lines = table.as_text().splitlines()
    assert lines[2].endswith(" 2/3 seeds, 1 failed")
    assert lines[3].endswith(" 1/3 seeds, 2 missing")
    assert lines[4].split() == ["1", "failed", "0/3", "seeds,", "3", "failed"]
    assert "failed: out/runs/seed=2,optimizer.lr=0.1: out of memory" in lines
    assert "failed: out/runs/seed=0,optimizer.lr=1: too large" in lines
    assert "damaged: out/runs/seed=1,optimizer.lr=0.01: metrics.csv: it is not there" in lines
    assert lines[-1] == "same command again trains what is missing"
    for note in table.notes:
        assert f"- {note}\n" in table.as_markdown()
        assert f"% {note}\n" in table.as_latex()


def test_all_there_needs_no_words(runs: list[RunRecord]) -> None:
    table = table_of(runs)
    assert table.notes == ()
    assert [line.split()[-1] for line in table.as_text().splitlines()[2:4]] == ["3", "3"]
    assert "missing" not in table.as_text()


def test_rows_stand_in_the_order_of_the_command(runs: list[RunRecord]) -> None:
    lost = [absent({"seed": "0", "optimizer.lr": "1"}, "missing")]
    order = ["setting of 1.0", "setting of 0.01", "setting of 0.1", "setting of 1.0", "of another command"]
    assert list(table_of(runs, lost, order=order).frame()["optimizer.lr"]) == ["1", "0.01", "0.1"]


def test_of_many_failed_runs_ten_are_named(runs: list[RunRecord]) -> None:
    lost = [absent({"seed": str(seed), "optimizer.lr": "1"}, "failed", "x") for seed in range(17)]
    notes = table_of(runs, lost).notes
    assert len([note for note in notes if note.startswith("failed: ")]) == 10
    assert notes[10:] == ("and 7 more", "same command again trains what is missing")


def test_a_sweep_without_a_result_has_a_table(runs: list[RunRecord], tmp_path: Path) -> None:
    lost = [absent({"seed": "0", "optimizer.lr": lr}, state) for lr, state in (("1", "failed"), ("2", "missing"))]
    table = table_of((), lost, report=runs[0].config["report"])
    assert [line.split()[:2] for line in table.as_text().splitlines()[2:4]] == [["1", "failed"], ["2", "missing"]]
    assert "no run has finished" in table.as_markdown()
    write(table, tmp_path)
    assert list(pd.read_csv(tmp_path / "table.csv")["n"]) == [0, 0]


# Rows that would be called the same


@pytest.mark.parametrize(
    ("change", "axis", "values"),
    [
        ({"data": "0123456789"}, "data", ["fedcba98", "01234567"]),
        ({"parts_from_outside": {"model m": {"source": "m.py", "version": "two"}}}, "version", ["one", "two"]),
        ({"environment": ENVIRONMENT | {"device": "NVIDIA H200"}}, "trained on", ["cpu", "NVIDIA H200"]),
        ({}, "setting", ["first", "second"]),
    ],
)
def test_two_settings_that_look_the_same_are_told_apart(
    configure: Configure, tmp_path: Path, change: Mapping[str, Any], axis: str, values: list[str]
) -> None:
    before = {"data": "fedcba9876", "parts_from_outside": {"model m": {"source": "m.py", "version": "one"}}}
    one = [record(configure, tmp_path, {"seed": s, "optimizer.lr": "1"}, 0.5, setting="first", **before) for s in "01"]
    two = record(configure, tmp_path, {"seed": "2", "optimizer.lr": "1"}, 0.5, setting="second", **(before | change))
    frame = table_of([*one, two]).frame()
    assert list(frame[axis]) == values
    assert list(frame.columns)[1] == "test_accuracy_mean"
    assert list(frame["n"]) == [2, 1]


def test_a_key_that_nobody_typed_tells_rows_apart(configure: Configure, tmp_path: Path) -> None:
    overrides = {"seed": "0", "optimizer.lr": "1"}
    one, two = (record(configure, tmp_path, overrides, 0.5, setting=name) for name in ("first", "second"))
    two.config["train"]["batch_size"] = 32
    two.config["report"]["title"] = two.config["executor"]["workers"] = two.config["data_dir"] = 7
    assert list(table_of([one, two]).rows[0].axes) == ["train.batch_size"]
    # A run that left no configuration differs in none, and is told apart none the less.
    rows = table_of([one], [absent(overrides, "missing", setting="third")]).rows
    assert [dict(row.axes) for row in rows] == [{"setting": "first"}, {"setting": "third"}]


def test_what_does_not_bear_on_a_result_is_no_column(runs: list[RunRecord]) -> None:
    """The second command sets keys that only say how runs are trained and shown, and spells a rate otherwise."""
    for key, value in {"rerun": "failed", "executor.workers": "2", "report.title": "x", "optimizer.lr": "0.10"}.items():
        runs[0].summary["overrides"][key] = value
    assert list(table_of(runs).rows[0].axes) == ["optimizer.lr"]
    same = [run for run in runs if run.config["optimizer"]["lr"] == 0.1]
    assert list(table_of(same).rows[0].axes) == []


# Statistics


def test_a_cell_says_how_many_runs_have_its_measure(runs: list[RunRecord]) -> None:
    for run, reached in zip(
        with_report(runs, measures=["epochs_to_target", "test_loss"]), [3, None, None] * 2, strict=True
    ):
        run.summary["measures"]["epochs_to_target"] = reached if run.config["optimizer"]["lr"] == 0.1 else None
        run.config["stopping"] = {"name": "none", "keep": "last"}
    table = table_of(runs)
    lines = table.as_text().splitlines()
    assert "3.0 (1 of 3)" in lines[2]
    assert lines[2].split()[-1] == "3"
    assert "none" in lines[3]
    frame = table.frame()
    assert list(frame["epochs_to_target_n"]) == [1, 0]
    assert list(frame["test_loss_n"]) == [3, 3]
    assert math.isnan(frame["epochs_to_target_std"][0])


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_statistics_are_those_of_pandas_on_any_gaps(values: list[float | None]) -> None:
    runs = [
        RunRecord(Path(), {}, {"measures": {"test_loss": value}}, pd.DataFrame(), None, None, "", "")
        for value in values
    ]
    there = pd.Series([value for value in values if value is not None], dtype=float)
    cell = Cell.of("test_loss", runs)
    assert cell.n == len(there)
    assert cell.mean == pytest.approx(there.mean(), nan_ok=True)
    assert cell.std == pytest.approx(there.std(), nan_ok=True)
    shown = mean_and_std("test_loss", cell, len(runs))
    assert ("±" in shown) == (cell.n >= 2)
    assert shown.endswith(f"({cell.n} of {len(runs)})") == (0 < cell.n < len(runs))


def test_numbers_are_short(runs: list[RunRecord]) -> None:
    assert number("test_loss", 1.6e29) == "1.6e29"
    assert number("test_loss", -1e30, sign="+") == "-1e30"
    assert number("test_loss", -1e-9, sign="-") == "-1e-9"
    assert number("test_loss", 123456.78) == "123456.7800"
    assert number("test_accuracy", -1e-9, sign="+") == "+0.00"
    assert number("seconds", 1e300) == "1e300"
    assert mean_with_std("test_loss", 1.6e29, 2.14e28) == "1.6e29 ± 2.14e28"
    assert mean_with_std("test_loss", 1.6e29, 0.0) == "1.6e29 ± 0"
    assert mean_with_std("test_loss", 1.6e29, math.inf) == "1.6e29 ± inf"
    assert mean_with_std("test_loss", 0.5, 1e-9) == "0.5000 ± 0.0000"
    assert mean_with_std("test_loss", 2e-7, math.nan) == "2e-7"
    assert mean_with_std("test_loss", math.inf, math.nan) == "inf"
    assert number("parameters", 138_357_544) == "138,357,544"
    assert number("test_accuracy", 0.8765) == "87.65"
    for value, run in zip([1e300, 1e308, math.inf], with_report(runs, measures=["test_loss"]), strict=False):
        run.summary["measures"]["test_loss"] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = table_of(runs)
        assert max(len(line) for line in table.as_text().splitlines()) < 60
    assert r"\num{1e300}" in table_of(runs[:1]).as_latex()
    assert table_of(runs[:1]).frame()["test_loss_mean"].tolist() == [1e300]


FINITE = st.floats(-1e306, 1e306)


@given(st.sampled_from(["test_loss", "test_accuracy", "seconds", "parameters"]), FINITE, st.sampled_from(["", "+"]))
def test_a_number_that_is_read_is_near_and_short(measure: str, value: float, sign: str) -> None:
    text = number(measure, value, sign)
    read = float(text.replace(",", "")) / (100 if measure == "test_accuracy" else 1)
    wrong = {"test_loss": 5e-5, "test_accuracy": 5e-5, "seconds": 0.05, "parameters": 0.5}[measure]
    assert abs(read - value) <= max(1.01 * wrong, abs(value) * 0.00501)
    assert len(text) <= 17
    assert "e+" not in text
    if measure == "test_loss" and value != 0:
        assert read != 0


@given(st.floats(-1e300, 1e300), st.floats(0, 1e300))
def test_a_mean_and_its_deviation_have_one_form(mean: float, std: float) -> None:
    one, other = mean_with_std("test_loss", mean, std).split(" ± ")
    assert float(one) == pytest.approx(mean, rel=0.006, abs=5.1e-5)
    assert float(other) == pytest.approx(std, rel=0.006, abs=5.1e-5)
    assert len(one) <= 12
    assert len(other) <= 12
    is_written_out = [re.fullmatch(r"-?\d+\.\d{4}", text) is not None for text in (one, other)]
    assert is_written_out[0] == is_written_out[1]


def test_the_report_of_the_sweep_has_the_first_word(runs: list[RunRecord]) -> None:
    table = table_of(runs, report={"title": "Later", "measures": ["test_loss"]})
    assert table.title == "Later"
    assert list(table.rows[0].cells) == ["test_loss"]
