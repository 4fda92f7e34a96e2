from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.conftest import Configure
from triplicate.config import as_plain
from triplicate.records.run_folder import RunRecord
from triplicate.reports.tables import Table, write

ENVIRONMENT = {"machine": "a machine, 2 cores", "device": "cpu", "triplicate": "0", "torch": "2"}
ACCURACIES = {"0.1": [0.871, 0.874, 0.880], "0.01": [0.70, 0.71, 0.75]}
PUBLISHED = {"optimizer.lr=0.10": {"test_accuracy": 0.87}}


def record(
    configure: Configure,
    folder: Path,
    overrides: Mapping[str, str],
    accuracy: float | None,
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
    }
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
    return RunRecord(path, config, summary, table, pd.DataFrame(rows), None)


@pytest.fixture
def runs(configure: Configure, tmp_path: Path) -> list[RunRecord]:
    return [
        record(configure, tmp_path, {"seed": str(seed), "optimizer.lr": lr, "experiment": "x"}, accuracy)
        for lr, accuracies in ACCURACIES.items()
        for seed, accuracy in enumerate(accuracies)
    ]


def test_mean_std_published_and_difference(runs: list[RunRecord]) -> None:
    frame = Table.of(runs).frame()
    assert list(frame["optimizer.lr"]) == ["0.1", "0.01"]
    assert list(frame["n"]) == [3, 3]
    for row, accuracies in enumerate(ACCURACIES.values()):
        assert frame["test_accuracy_mean"][row] == pytest.approx(np.mean(accuracies))
        assert frame["test_accuracy_std"][row] == pytest.approx(np.std(accuracies, ddof=1))
    assert frame["test_accuracy_published"][0] == 0.87
    assert frame["test_accuracy_difference"][0] == pytest.approx(0.005)
    assert math.isnan(frame["test_accuracy_published"][1])


def test_people_read_percent_and_points(runs: list[RunRecord]) -> None:
    table = Table.of(runs)
    for text in (table.as_text(), table.as_markdown()):
        assert "87.50 ± 0.46" in text
        assert "87.00" in text
        assert "+0.50" in text
    assert "triplicate x=1" in table.as_markdown()
    assert "2026-01-01" in table.as_markdown()
    assert "a machine, 2 cores" in table.as_markdown()
    assert r"87.50 $\pm$ 0.46" in table.as_latex()
    assert r"test accuracy \%" in table.as_latex()


def test_a_run_that_diverged_is_counted_and_not_averaged(
    configure: Configure, runs: list[RunRecord], tmp_path: Path
) -> None:
    lost = [
        record(configure, tmp_path, {"seed": str(seed), "optimizer.lr": "1"}, accuracy)
        for seed, accuracy in enumerate([None, None, None])
    ]
    part = record(configure, tmp_path, {"seed": "3", "optimizer.lr": "0.1"}, None)
    frame = Table.of([*runs, *lost, part]).frame()
    assert list(frame["n"]) == [3, 3, 0]
    assert list(frame["diverged"]) == [1, 0, 3]
    assert frame["test_accuracy_mean"][0] == pytest.approx(np.mean(ACCURACIES["0.1"]))
    assert "diverged" in Table.of([*runs, *lost]).as_text().splitlines()[-1]


def test_one_seed_has_no_std(runs: list[RunRecord]) -> None:
    text = Table.of(runs[:1]).as_text()
    assert "87.10" in text
    assert "±" not in text


def test_tables_are_written_for_programs_and_people(runs: list[RunRecord], tmp_path: Path) -> None:
    written = write(Table.of(runs), tmp_path)
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
    table = Table.of(runs)
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
    frame = Table.of(with_report(runs, measures=names)).frame()
    curve = [1.0, 0.5, 0.25]
    assert frame["mean_test_loss_mean"][0] == pytest.approx(np.mean(curve))
    assert frame["std_test_loss_mean"][0] == pytest.approx(np.std(curve, ddof=1))
    assert frame["test_accuracy@2_mean"][0] == 0.5
    assert math.isnan(frame["test_accuracy@9_mean"][0])
    text = Table.of(runs).as_text()
    assert "mean test loss" in text
    assert "test accuracy %, epoch 2" in text
    assert "50.00" in text


def test_the_gap_is_training_less_test(runs: list[RunRecord]) -> None:
    for run in with_report(runs, measures=["accuracy_gap"]):
        run.summary["measures"].update(train_accuracy=0.1, evaluated_train_accuracy=0.99)
    frame = Table.of(runs).frame()
    assert frame["accuracy_gap_mean"][0] == pytest.approx(0.99 - np.mean(ACCURACIES["0.1"]))


def test_a_row_is_found_by_a_list_with_commas(runs: list[RunRecord]) -> None:
    name = "optimizer.lr=0.1, model.hidden=[64, 32]"
    for run in with_report(runs, published={name: {"test_accuracy": 0.5}}):
        run.summary["overrides"]["model.hidden"] = "[64,32]"
    assert Table.of(runs).frame()["test_accuracy_published"].iloc[0] == 0.5
