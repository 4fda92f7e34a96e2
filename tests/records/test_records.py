from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from tests.conftest import Configure
from triplicate.config import fingerprint, run_config
from triplicate.errors import UserError
from triplicate.records import atomic
from triplicate.records.lock import locked
from triplicate.records.run_folder import RunFolder, finished_fingerprint, read_runs
from triplicate.training.metrics import EpochMetrics
from triplicate.training.traces import GradientRow


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    atomic.write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        atomic.write_with(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_locked_against_other_processes_and_free_again(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from triplicate.records.lock import locked
with locked(Path({str(tmp_path)!r})):
    print("held", flush=True)
    input()
"""
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with pytest.raises(UserError, match="another sweep is writing here"), locked(tmp_path):
        pass
    other.communicate("\n", timeout=30)
    with locked(tmp_path):
        pass


def metrics(epoch: int, validation: float | None = None) -> EpochMetrics:
    return EpochMetrics(epoch, 1 / 3, 0.5, 0.25, 0.1, 2.0, validation, validation)


def finish(folder: RunFolder, mark: str) -> None:
    folder.finish({"status": "finished", "fingerprint": mark, "job": 0})


def test_a_run_folder_tells_what_was_written(configure: Configure, tmp_path: Path) -> None:
    config = configure("seed=2", "data_dir=/some/where")
    folder = RunFolder(tmp_path / "run")
    folder.begin(config)
    for epoch in (1, 2):
        folder.append(metrics(epoch))
    folder.write_gradients([GradientRow(1, "all", "all", -1e-5, 1e-3, 0.5)])
    folder.write_confusion(torch.tensor([[3, 1], [0, 2]]), ["cat", "dog"])
    folder.write_weights({"output.bias": torch.tensor([1.5])})
    assert finished_fingerprint(folder.path) is None
    with pytest.raises(UserError, match="no finished run"):
        read_runs(tmp_path)
    finish(folder, fingerprint(config))
    assert finished_fingerprint(folder.path) == fingerprint(config)

    (record,) = read_runs(tmp_path)
    assert run_config(record.config) == config
    assert list(record.metrics) == ["epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"]
    assert list(record.metrics["epoch"]) == [1, 2]
    assert record.metrics["train_loss"][0] == 1 / 3
    assert record.gradients is not None
    assert record.gradients["mean"][0] == -1e-5
    confusion = pd.read_csv(folder.path / "confusion.csv", index_col="true class")
    assert confusion.loc["cat", "dog"] == 1
    assert load_file(folder.path / "weights.safetensors")["output.bias"].item() == 1.5
    assert "epoch 2" in (folder.path / "triplicate.log").read_text()


def test_validation_columns_are_there_when_there_is_validation(configure: Configure, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(configure())
    folder.append(metrics(1, validation=0.75))
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert list(table)[:6] == ["epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"]
    assert table["validation_accuracy"][0] == 0.75


def test_beginning_again_clears_what_an_unfinished_run_has_left(configure: Configure, tmp_path: Path) -> None:
    first = RunFolder(tmp_path)
    first.begin(configure())
    first.append(metrics(1))
    first.append(metrics(2))
    RunFolder(tmp_path).begin(configure())
    assert not (tmp_path / "metrics.csv").exists()


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"summary\.json: it cannot be read"):
        read_runs(tmp_path)
