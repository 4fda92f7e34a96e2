from __future__ import annotations

import errno
import json
import os
import shutil
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
from triplicate.config import run_config
from triplicate.errors import UserError
from triplicate.files import atomic
from triplicate.records.gradients import GradientRow
from triplicate.records.lock import locked
from triplicate.records.run_folder import Damaged, RunFolder, check_files, read_run, read_summary
from triplicate.records.sweep_folder import SweepRecord, Wanted, read_sweep


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


def test_an_error_of_the_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file that is open the system says no name."""

    def fail(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("triplicate.files.atomic.os.fsync", fail)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as raised:
        atomic.write_text(tmp_path / "file.txt", "new")
    assert raised.value.filename == str(tmp_path / "file.txt")
    assert list(tmp_path.iterdir()) == []


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
    """With a summary that has what is needed of it."""
    names = ("overrides", "choices", "measures", "classes", "environment", "finished_at", "command", "seed")
    names += ("setting", "lineage", "data", "measured", "epochs", "tested_epoch", "image_shape")
    folder.finish(dict.fromkeys(names, "") | {"status": "finished", "fingerprint": mark, "job": 0})


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
    assert read_summary(folder.path) is None
    with pytest.raises(UserError, match="no finished run"):
        read_sweep(tmp_path)
    finish(folder, "mark")
    assert check_files(folder.path) == []

    (record,) = read_sweep(tmp_path).runs
    assert record.fingerprint == "mark"
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


def test_beginning_again_takes_the_old_summary_first(configure: Configure, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(configure())
    folder.append(epoch_metrics(1))
    finish(folder, "x")
    RunFolder(tmp_path).begin(configure())
    assert read_summary(tmp_path) is None


DAMAGE = {
    "metrics.csv": [b"", b"epoch\n1\n", b"\x00\xff\x00", b"epoch,train_loss\n1,0.5\n2,0."],
    "config.yaml": [b"", b"{", b"a: [1", b"[]", b"seed: 1", b"\xff\xfe"],
    "summary.json": [b"", b"{", b"[]", b"{}", b'{"layout": 3}', b"null", b"\xff"],
}


@pytest.mark.parametrize("name", DAMAGE)
def test_one_damaged_run_is_named_and_the_others_are_read(configure: Configure, tmp_path: Path, name: str) -> None:
    for place in ("a", "b"):
        folder = RunFolder(tmp_path / "runs" / place)
        folder.begin(configure())
        folder.append(epoch_metrics(1))
        finish(folder, place)
    path = tmp_path / "runs" / "a" / name
    whole = path.read_bytes()
    cut = [whole[:length] for length in range(0, len(whole) - 1, 1 + len(whole) // 40)]
    flipped = [
        whole[:n] + bytes([whole[n] ^ 1]) + whole[n + 1 :] for n in range(0, len(whole) - 1, 1 + len(whole) // 40)
    ]
    for content in (*DAMAGE[name], *cut, *flipped, None):
        path.unlink() if content is None else path.write_bytes(content)
        if content is None and name == "summary.json":
            continue  # not finished
        sweep = read_sweep(tmp_path)
        assert [run.fingerprint for run in sweep.runs] == ["b"], content
        (note,) = sweep.notes
        assert str(path.parent) in note
        assert name in note
        with pytest.raises(Damaged):
            read_run(path.parent)
        assert [damage.path for damage in check_files(path.parent)] == [path]


def test_copies_are_counted_once_and_named(configure: Configure, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "seed=0")
    folder.begin(configure())
    folder.append(epoch_metrics(1))
    finish(folder, "x")
    shutil.copytree(tmp_path, tmp_path / "copy")
    sweep = read_sweep(tmp_path)
    assert [run.path for run in sweep.runs] == [folder.path]
    assert sweep.notes == (f"given twice, counted once: {tmp_path}/copy/runs/seed=0 is {folder.path}",)


def test_a_folder_of_the_first_layout_is_read_and_not_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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
        del summary["files"], summary["sha256"], summary["setting"], summary["lineage"], summary["data"]
        (folder / "summary.json").write_text(json.dumps(summary | {"fingerprint": "of then"}))
    (sweep / "sweep.json").unlink()
    (sweep / "table.csv").unlink()
    assert main(["report", str(sweep)]) == 0
    assert (sweep / "table.csv").read_text() == table
    capsys.readouterr()
    assert main(command) == 2
    assert "a run of an older version of triplicate is here" in capsys.readouterr().err


def test_a_command_that_is_launched_in_parts_keeps_its_order() -> None:
    def record(command: str, *jobs: int) -> SweepRecord:
        wanted = tuple(Wanted(job, f"{command} {job}", "row", job, f"seed={job}", {}, {}) for job in jobs)
        return SweepRecord("x", "", command, {}, wanted, (), len(wanted))

    def jobs(found: SweepRecord) -> list[str]:
        return [run.fingerprint for run in found.wanted]

    old = record("a", 0, 1)
    parts = record("b", 0).with_earlier(record("b", 2).with_earlier(record("b", 1).with_earlier(old)))
    assert jobs(parts) == ["b 0", "b 1", "b 2", "a 0", "a 1"]
    assert jobs(record("c", 0).with_earlier(parts)) == ["c 0", *jobs(parts)]
