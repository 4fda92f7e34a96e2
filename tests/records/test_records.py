from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.conftest import Configure, epoch_metrics
from triplicate.cli import main
from triplicate.config import fingerprint, run_config
from triplicate.errors import UserError
from triplicate.files import atomic
from triplicate.records.gradients import GradientRow
from triplicate.records.lock import locked
from triplicate.records.run_folder import RunFolder, finished_fingerprint, read_runs


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


COLUMNS = [
    "epoch",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "test_precision",
    "test_recall",
    "test_f1",
    "seconds",
]


def finish(folder: RunFolder, mark: str) -> None:
    folder.finish({"status": "finished", "fingerprint": mark, "job": 0})


def test_a_run_folder_tells_what_was_written(configure: Configure, tmp_path: Path) -> None:
    config = configure("seed=2", "data_dir=/some/where")
    folder = RunFolder(tmp_path / "run")
    folder.begin(config)
    for epoch in (1, 2):
        folder.append(epoch_metrics(epoch, train_loss=1 / 3))
    folder.write_gradients([GradientRow(1, "all", "all", -1e-5, 1e-3, 0.5)])
    folder.write_confusion(torch.tensor([[3, 1], [0, 2]]), ["cat", "dog"])
    folder.write_weights({"output.bias": torch.tensor([1.5])})
    folder.write_samples(torch.arange(8, dtype=torch.uint8).view(2, 1, 2, 2), torch.tensor([1, 0]))
    for losses in ([1.0] * 150, [0.25] * 150):
        folder.append_steps(torch.tensor(losses), torch.ones(150))
    assert finished_fingerprint(folder.path) is None
    with pytest.raises(UserError, match="no finished run"):
        read_runs(tmp_path)
    finish(folder, fingerprint(config))
    assert finished_fingerprint(folder.path) == fingerprint(config)

    (record,) = read_runs(tmp_path)
    assert run_config(record.config) == config
    assert list(record.metrics) == COLUMNS
    assert list(record.metrics["epoch"]) == [1, 2]
    assert record.metrics["train_loss"][0] == 1 / 3
    assert record.gradients is not None
    assert record.gradients["mean"][0] == -1e-5
    confusion = pd.read_csv(folder.path / "confusion.csv", index_col="true class")
    assert confusion.loc["cat", "dog"] == 1
    assert load_file(folder.path / "weights.safetensors")["output.bias"].item() == 1.5
    classes = pd.read_csv(folder.path / "classes.csv")
    assert list(classes["class"]) == ["cat", "dog"]
    assert list(classes["recall"]) == [0.75, 1.0]
    assert list(classes["images"]) == [4, 2]
    assert record.steps is not None
    assert list(record.steps["step"]) == list(range(1, 301))
    assert list(record.steps["loss"][[0, 149, 150]]) == [1.0, 1.0, 0.25]
    assert load_file(folder.path / "samples.safetensors")["inputs"].shape == (2, 1, 2, 2)
    log = (folder.path / "triplicate.log").read_text()
    assert [line for line in log.splitlines() if "step 200: loss 0.2500" in line]
    assert "epoch 2" in (folder.path / "triplicate.log").read_text()


def test_validation_columns_are_there_when_there_is_validation(configure: Configure, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(configure())
    folder.append(epoch_metrics(1, validation_accuracy=0.75))
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert list(table) == [*COLUMNS[:-1], "validation_accuracy", "seconds"]
    assert table["validation_accuracy"][0] == 0.75


def test_beginning_again_clears_what_an_unfinished_run_has_left(configure: Configure, tmp_path: Path) -> None:
    first = RunFolder(tmp_path)
    first.begin(configure())
    first.append(epoch_metrics(1))
    first.append(epoch_metrics(2))
    RunFolder(tmp_path).begin(configure())
    assert not (tmp_path / "metrics.csv").exists()


def test_metrics_are_there_while_a_run_trains_and_whole_when_it_ends(configure: Configure, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(configure())
    for epoch in range(1, 200):
        folder.append(epoch_metrics(epoch))
    assert len(pd.read_csv(tmp_path / "metrics.csv")) >= 1
    finish(folder, "x")
    assert list(pd.read_csv(tmp_path / "metrics.csv")["epoch"]) == list(range(1, 200))


def test_a_run_of_another_version_is_told_of(configure: Configure, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(configure())
    folder.append(epoch_metrics(1))
    finish(folder, "x")
    config = tmp_path / "config.yaml"
    config.write_text(config.read_text().replace("nesterov", "nestorov"))
    with pytest.raises(UserError, match=r"not of this version \(optimizer\.nestorov: there is no such key\); run it"):
        read_runs(tmp_path)


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(UserError, match=r"summary\.json: it cannot be read"):
        read_runs(tmp_path)


def test_a_folder_of_the_first_layout_is_read_and_continued(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the loss among the keys of the training and all stopping rules in one group, as it was written then."""
    sweep = tmp_path / "out"
    small = [
        "model=mlp",
        "model.hidden=[4]",
        "dataset=xor",
        "loss=binary_cross_entropy",
        "train.epochs=3",
        "trace=none",
    ]
    command = [*small, "optimizer.lr=0.1,0.2", "stopping=target", "seed=0,1", f"output_dir={sweep}"]
    assert main(command) == 0
    table = (sweep / "table.csv").read_text()
    for folder in sorted(sweep.glob("runs/*")):
        config = yaml.safe_load((folder / "config.yaml").read_text())
        config["train"]["loss"] = config.pop("loss")["name"]
        config["stopping"] = {"target_accuracy": 0.85, "unchanged": 5, "patience": None, "keep": "last"}
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        summary = json.loads((folder / "summary.json").read_text())
        del summary["layout"], summary["parts_from_outside"]
        (folder / "summary.json").write_text(json.dumps(summary | {"fingerprint": "of then"}))
    (sweep / "table.csv").unlink()
    assert main(["report", str(sweep)]) == 0
    assert (sweep / "table.csv").read_text() == table
    capsys.readouterr()
    assert main(["plan", *command]) == 0
    assert "0 runs to train, 4 finished already" in capsys.readouterr().out
    assert main(["plan", *command, "train.batch_size=2"]) == 0
    assert "4 runs to train" in capsys.readouterr().out
