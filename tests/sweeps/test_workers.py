"""What workers do when something goes wrong; that they train what one process trains is in test_sweep.py."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import Configure
from tests.reports.sweeps import OnDisk, wanted
from triplicate.config import Identity
from triplicate.datasets import Dataset
from triplicate.datasets.files import mapped
from triplicate.errors import UserError
from triplicate.records.sweep_folder import Cut
from triplicate.reports import report
from triplicate.sweeps import workers
from triplicate.sweeps.interruption import Interruption
from triplicate.sweeps.plan import Run
from triplicate.sweeps.task import Task
from triplicate.sweeps.workers import _resources, _Training, _work_through


class Silent:
    """Progress that is only added up."""

    def __init__(self) -> None:
        self.run_epochs = 0.0
        self.trained = 0.0

    def advance(self, run_epochs: float) -> None:
        self.run_epochs += run_epochs
        self.trained += run_epochs

    def skip(self, run_epochs: float) -> None:
        self.run_epochs += run_epochs

    def note(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class Deadly(str):
    """A label that ends the process that unpickles it."""

    def __reduce__(self) -> Any:
        return os._exit, (7,)


class DeadlyOnce(str):
    """The same as long as a file is there, which it takes away."""

    def __reduce__(self) -> Any:
        die = f"os.unlink({str(self)!r}) or os._exit(7)"
        return eval, (f"[os := __import__('os'), os.path.exists({str(self)!r}) and ({die})] and ''",)


@pytest.fixture
def data(small: Dataset, tmp_path: Path) -> Path:
    mapped.write(small, tmp_path / "data.safetensors")
    return tmp_path / "data.safetensors"


def run(configure: Configure, folder: Path, seed: int) -> Run:
    config = configure("model=mlp", "model.hidden=[4]", "train.epochs=2", "trace=none", f"seed={seed}", "device=cpu")
    config = replace(config, output_dir=folder.parent)
    return Run(seed, config, folder, {"seed": str(seed)}, {}, Identity(f"run {seed}", "row", f"line {seed}"), "data")


def training(data: Path, run: Run, label: str = "") -> _Training:
    return _Training(Task((run,), True, Cut((run.fingerprint,), 1), "cpu", label=label), data)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_dies_fails_its_own_runs_alone(
    configure: Configure, tmp_path: Path, data: Path, workers: int
) -> None:
    runs = [run(configure, tmp_path / str(seed), seed) for seed in range(4)]
    tasks = [training(data, each, Deadly() if each is runs[1] else "") for each in runs]
    progress = Silent()
    causes = _work_through(tasks, workers, progress, Interruption())
    assert causes == {runs[1].folder: "its process ended with code 7, as it does where memory is short"}
    assert "code 7" in (runs[1].folder / "triplicate.log").read_text()
    assert [(r.folder / "summary.json").is_file() for r in runs] == [True, False, True, True]
    assert [(r.folder / "plots" / "loss.png").is_file() for r in runs] == [True, False, True, True]
    assert progress.trained == pytest.approx(6)
    assert progress.run_epochs == pytest.approx(8)  # what is lost need not be waited for


def test_a_stack_whose_process_is_lost_is_given_to_another_once(
    configure: Configure, tmp_path: Path, data: Path
) -> None:
    (tmp_path / "mark").touch()
    lost = run(configure, tmp_path / "run", 0)
    progress = Silent()
    assert _work_through([training(data, lost, DeadlyOnce(tmp_path / "mark"))], 1, progress, Interruption()) == {}
    assert progress.run_epochs == pytest.approx(2)
    assert (lost.folder / "summary.json").is_file()
    assert not (lost.folder / "failure.json").exists()


def test_a_worker_has_its_part_of_the_cores_and_sees_every_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr("triplicate.records.environment.cores", lambda: 16)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    given = _resources(1, 4)
    assert (given.number, given.threads, given.environment["CUDA_VISIBLE_DEVICES"]) == (1, 4, "5,7")


def test_a_folder_that_cannot_be_written_ends_them_all(configure: Configure, tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError) as raised:
        _work_through([training(data, run(configure, tmp_path / "file" / "run", 0))], 1, Silent(), Interruption())
    assert str(raised.value.filename).startswith(str(tmp_path / "file"))


def test_a_run_that_fails_says_why(configure: Configure, tmp_path: Path, data: Path) -> None:
    config = configure("model=mlp", "loss=perceptron", "device=cpu")
    failing = replace(run(configure, tmp_path / "run", 0), config=replace(config, output_dir=tmp_path))
    causes = _work_through([training(data, failing)], 1, Silent(), Interruption())
    assert list(causes) == [failing.folder]
    assert "loss: perceptron is for two classes" in causes[failing.folder]
    assert "Traceback" in (failing.folder / "triplicate.log").read_text()


def test_a_shared_data_set_is_the_same(small: Dataset, data: Path) -> None:
    read = mapped.read(data)
    assert read.classes == small.classes
    for one, other in ((read.train, small.train), (read.test, small.test)):
        assert one.pixels.equal(other.pixels)
        assert one.labels.equal(other.labels)
        assert one.pixels.dtype == other.pixels.dtype


def test_a_test_set_that_is_the_training_set_can_be_shared(small: Dataset, tmp_path: Path) -> None:
    mapped.write(replace(small, test=small.train), tmp_path / "data")
    assert mapped.read(tmp_path / "data").test.pixels.equal(small.train.pixels)


class Said(str):
    """A label that speaks when it is unpickled."""

    def __reduce__(self) -> Any:
        return eval, (f"[print('a word of a part'), __import__('warnings').warn('a warning')] and {str(self)!r}",)


def test_what_a_worker_prints_is_printed_here(
    configure: Configure, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a bar is drawn, this process alone can print without spoiling it."""
    assert (
        _work_through([training(data, run(configure, tmp_path / "run", 0), Said("x"))], 1, Silent(), Interruption())
        == {}
    )
    told = capsys.readouterr()
    assert told.out == "a word of a part\n"
    assert "UserWarning: a warning" in told.err


# The report of a sweep


def test_a_report_by_a_worker_is_the_one_that_this_process_writes(
    configure: Configure, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = OnDisk(tmp_path, configure)
    sweep.finish(wanted("0.1", 0))
    (sweep.finish(wanted("0.1", 1)) / "confusion.csv").write_text("damaged")
    by_a_worker = workers.report(tmp_path, None)
    notes = capsys.readouterr().err
    assert "confusion is not drawn" in notes
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.suffix in (".csv", ".md", ".png")}
    for path in tmp_path.rglob("*.png"):
        path.unlink()
    assert report.write_sweep(tmp_path).text == by_a_worker
    assert capsys.readouterr().err == notes
    assert {path: path.read_bytes() for path in written} == written


def test_a_report_that_cannot_be_made_says_why_here(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no finished run is in it"):
        workers.report(tmp_path, None)


def test_a_report_whose_process_is_lost_is_written_here(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OnDisk(tmp_path, configure).finish(wanted("0.1", 0))
    monkeypatch.setattr("triplicate.sweeps.workers.received", lambda _: None)
    assert workers.report(tmp_path, None) == report.write_sweep(tmp_path).text
