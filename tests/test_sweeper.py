from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from triplicate.cli import main
from triplicate.jobs.rows import combine

ROWS = [{"optimizer": "sgd", "optimizer.lr": 0.01}, {"optimizer": "adam", "optimizer.lr": 0.001}]
JOBS = [["seed=0"], ["seed=1"]]


def test_every_row_meets_every_job() -> None:
    assert combine(ROWS, set(), JOBS) == [
        ["optimizer=sgd", "optimizer.lr=0.01", "seed=0"],
        ["optimizer=sgd", "optimizer.lr=0.01", "seed=1"],
        ["optimizer=adam", "optimizer.lr=0.001", "seed=0"],
        ["optimizer=adam", "optimizer.lr=0.001", "seed=1"],
    ]
    assert combine([], set(), JOBS) == JOBS


def test_what_is_given_takes_the_place_of_a_rows_key() -> None:
    assert combine(ROWS, {"optimizer.lr"}, [["seed=0"]]) == [["optimizer=sgd", "seed=0"], ["optimizer=adam", "seed=0"]]
    assert combine(ROWS, {"optimizer", "optimizer.lr"}, JOBS) == JOBS


@pytest.mark.real_data
def test_a_preset_with_rows_makes_a_table_of_them(real_data_unpacked: Path, tmp_path: Path) -> None:
    small = ("dataset.limit=64", "train.epochs=1", "seed=0", f"data_dir={real_data_unpacked}")
    assert main(["experiment=dlhw1/optimizers", *small, f"output_dir={tmp_path}"]) == 0
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table["optimizer"]) == ["sgd", "momentum", "rmsprop", "adam"]
    assert list(table["optimizer.lr"]) == [0.01, 0.01, 0.001, 0.001]
    assert list(table["test_accuracy_published"]) == [0.9352, 0.9768, 0.9799, 0.9758]
