"""The table of several experiments, from sweeps on disk."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Configure
from tests.reports.sweeps import OnDisk, wanted
from triplicate.records.run_folder import RunFolder
from triplicate.reports import published
from triplicate.reports.published import Attempt

RUNS = [wanted(rate, seed) for rate in ("1", "0.1") for seed in range(3)]
NUMBERS = {"optimizer.lr=0.1": {"test_accuracy": 0.5}}


@pytest.fixture
def sweep(configure: Configure, tmp_path: Path) -> OnDisk:
    return OnDisk(tmp_path / "one", configure)


def written(folder: Path, *attempts: Attempt) -> tuple[pd.DataFrame, str]:
    text = published.write(attempts, folder)
    return pd.read_csv(folder / "summary.csv", keep_default_na=False), text


def fail(sweep: OnDisk, *places: int) -> None:
    for run in (RUNS[place] for place in places):
        writer = RunFolder(sweep.run(run))
        writer.begin(sweep.config(run))
        writer.fail("out of memory")


def test_rows_that_lack_runs_say_so(sweep: OnDisk, tmp_path: Path) -> None:
    sweep.asked(RUNS, published=NUMBERS)
    for place in (1, 2, 3, 4):
        sweep.finish(RUNS[place], 0.6)
    fail(sweep, 0, 5)
    frame, text = written(tmp_path, Attempt("one", sweep.folder, 7.0, "one run failed"))
    assert list(frame["status"]) == ["one run failed", "2/3 seeds, 1 failed", "2/3 seeds, 1 failed"]
    assert list(frame["row"]) == ["", "optimizer.lr=1", "optimizer.lr=0.1"]
    assert frame["measured"].iloc[2] == "0.6"
    assert float(frame["difference"].iloc[2]) == pytest.approx(0.1)
    assert "+10.00" in text
    assert list(frame["verdict"]) == ["", "", "differs"]
    assert "2/3 seeds, 1 failed" in text


def test_an_experiment_without_a_result_ends_in_no_traceback(sweep: OnDisk, tmp_path: Path) -> None:
    sweep.asked(RUNS[3:], published=NUMBERS)
    fail(sweep, 3, 4, 5)
    empty, other = OnDisk(tmp_path / "two", sweep.configure), tmp_path / "three"
    (empty.folder / "runs").mkdir(parents=True)
    frame, _ = written(
        tmp_path,
        Attempt("one", sweep.folder, 7.0, None),
        Attempt("two", empty.folder, 7.0, None),
        Attempt("two", empty.folder, 7.0, "it failed"),
        Attempt("three", other, 7.0, None),
    )
    assert list(frame["experiment"]) == ["one", "two", "two", "three"]
    assert frame["measured"].iloc[0] == ""
    assert frame["status"].iloc[0] == "0/3 seeds, 3 failed"
    assert "no finished run" in frame["status"].iloc[1]
    assert list(frame["status"])[2:] == ["it failed", "shown"]


def test_without_a_failure_there_is_no_column_of_them(sweep: OnDisk, tmp_path: Path) -> None:
    sweep.asked(RUNS[3:], published=NUMBERS)
    for run in RUNS[3:]:
        sweep.finish(run, 0.6)
    frame, text = written(tmp_path, Attempt("one", sweep.folder, 7.0, None))
    assert list(frame["status"]) == [""]
    assert "status" not in text
    assert "60.00" in text
