"""What was done is not done again, and what is shown is of what was asked for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.sweeps.test_sweep import untimed
from triplicate.cli import main
from triplicate.sweeps import launcher
from triplicate.sweeps.interruption import Interrupted
from triplicate.sweeps.saving import Saver
from triplicate.training.engine import fit
from triplicate.training.events import RunEnd, StepsDone

SMALL = ("train.epochs=3", "dataset.limit=64", "model=mlp", "model.hidden=[4]", "executor.workers=1", "device=cpu")


def train(folder: Path, *overrides: str, code: int = 0) -> Path:
    given = {override.partition("=")[0] for override in overrides}
    base = [override for override in SMALL if override.partition("=")[0] not in given]
    assert main([*base, f"output_dir={folder}", *overrides]) == code
    return folder


@pytest.fixture(autouse=True)
def plain_plots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures with nothing on them, which take no time; but where the test is about plots."""
    if "plots" in request.node.name or "report" in request.node.name:
        return
    empty = Figure(figsize=(0.1, 0.1))
    monkeypatch.setattr("triplicate.reports.draw._of_run", lambda run: iter([("loss", lambda: empty)]))
    monkeypatch.setattr("triplicate.reports.draw._of_sweep", lambda table: iter([("loss_curves", lambda: empty)]))


def frame(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "table.csv")


def ends(folder: Path) -> dict[str, int]:
    """When each run ended, by the name of its folder."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("runs/*/summary.json")}


def interrupted(monkeypatch: pytest.MonkeyPatch, folder: Path, after: int, *overrides: str) -> None:
    """Train until so many checkpoints are written, and end there as on a signal."""
    counted = [after]

    def offer(self: Saver, event: StepsDone) -> None:
        if event.run_steps:
            return
        self.save(event.state())
        counted[0] -= 1
        if counted[0] == 0:
            raise Interrupted(15)

    with monkeypatch.context() as patch:
        patch.setattr(Saver, "offer", offer)
        train(folder, *overrides, code=143)


def assert_same(one: Path, other: Path) -> None:
    """The same runs with the same bytes, times apart, and the same files."""
    found = [sorted(p.relative_to(each) for p in each.rglob("*") if p.is_file()) for each in (one, other)]
    assert found[0] == found[1]
    for run in one.glob("runs/*"):
        twin = other / "runs" / run.name
        assert untimed(run) == untimed(twin)
        for name in ("gradients.csv", "weights.safetensors", "confusion.csv", "classes.csv"):
            assert (run / name).read_bytes() == (twin / name).read_bytes()
    assert (one / "table.csv").read_bytes() == (other / "table.csv").read_bytes()


def test_an_interrupted_sweep_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("optimizer=adam", "optimizer.lr=0.01,0.02", "seed=0,1", "model.dropout=0.2", "trace.every=2")
    whole = train(tmp_path / "whole", *options)
    interrupted(monkeypatch, tmp_path / "out", 2, *options)
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("interrupted: what was trained is kept in ")
    assert f"the same command with output_dir={tmp_path / 'out'} goes on" in told
    assert len(list((tmp_path / "out" / "checkpoints").iterdir())) == 2
    assert main(["plan", *SMALL, *options, f"output_dir={tmp_path / 'out'}"]) == 0
    assert "goes on in epoch 3" in capsys.readouterr().out
    train(tmp_path / "out", *options)
    assert "4 runs to train; 4 go on in epoch 3" in capsys.readouterr().err
    assert_same(whole, tmp_path / "out")


def test_fewer_runs_of_an_interrupted_stack_go_on_and_later_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(tmp_path / "whole", "seed=0,1,2")
    interrupted(monkeypatch, tmp_path / "out", 1, "seed=0,1,2")
    capsys.readouterr()
    train(tmp_path / "out", "seed=1")
    assert "1 go on in epoch 2" in capsys.readouterr().err
    train(tmp_path / "out", "seed=0,1,2")
    assert "2 runs to train; 1 finished already, 2 go on in epoch 2" in capsys.readouterr().err
    assert_same(whole, tmp_path / "out")


def test_a_part_of_a_stack_that_is_interrupted_too_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(tmp_path / "whole", "seed=0,1,2", "train.epochs=4")
    interrupted(monkeypatch, tmp_path / "out", 1, "seed=0,1,2", "train.epochs=4")
    interrupted(monkeypatch, tmp_path / "out", 2, "seed=1", "train.epochs=4")
    capsys.readouterr()
    train(tmp_path / "out", "seed=0,1,2", "train.epochs=4")
    assert "3 runs to train; 2 go on in epoch 2, 1 go on in epoch 4" in capsys.readouterr().err
    assert_same(whole, tmp_path / "out")


def test_more_seeds_and_rates_train_what_is_new(tmp_path: Path) -> None:
    folder = train(tmp_path / "out", "optimizer.lr=0.1", "seed=0")
    before = ends(folder)
    train(folder, "optimizer.lr=0.2,1e-1", "seed=0,1")
    after = ends(folder)
    assert before.items() <= after.items()
    assert len(after) == 4
    assert list(frame(folder)["optimizer.lr"]) == [0.2, 0.1]
    assert list(frame(folder)["n"]) == [2, 2]


def test_more_epochs_go_on_where_the_schedule_is_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = train(tmp_path / "whole", "seed=0", "train.epochs=5")
    folder = train(tmp_path / "out", "seed=0")
    capsys.readouterr()
    train(folder, "seed=0", "train.epochs=5")
    assert "1 go on in epoch 4" in capsys.readouterr().err
    assert list(frame(folder)["train.epochs"]) == [5, 3]
    longer = next(run for run in folder.glob("runs/*") if len(pd.read_csv(run / "metrics.csv")) == 5)
    assert untimed(longer) == untimed(whole / "runs" / "seed=0")
    train(folder, "seed=0", "train.epochs=6", "schedule=cosine")
    assert "go on" not in capsys.readouterr().err


def test_rerun_trains_again_from_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train(tmp_path / "out", "optimizer.lr=0.1,1e30", "seed=0")
    (good, first), (bad, second) = sorted(ends(folder).items())
    train(folder, "optimizer.lr=0.1,1e30", "seed=0")
    assert ends(folder) == {good: first, bad: second}
    assert "0 runs to train; 2 finished already" in capsys.readouterr().err
    train(folder, "optimizer.lr=0.1,1e30", "seed=0", "rerun=failed")
    assert ends(folder)[good] == first
    assert ends(folder)[bad] > second
    train(folder, "optimizer.lr=0.1,1e30", "seed=0", "rerun=all")
    assert ends(folder)[good] > first


def test_a_rerun_that_fails_at_once_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was finished before is not taken for the result of it."""
    folder = train(tmp_path / "out", "seed=0")

    def begin(*_: object) -> None:
        raise RuntimeError("no device")

    monkeypatch.setattr("triplicate.training.devices.begin", begin)
    train(folder, "seed=0", "rerun=all", code=1)
    assert "seed=0: the run failed (no device)" in capsys.readouterr().err
    assert list(frame(folder)["failed"]) == [1]


def test_other_images_are_another_run(tmp_path: Path) -> None:
    """Of the same size, and with the same time of change: by their bytes alone."""
    images = tmp_path / "leaves"
    for name, grey in (("oak", 0), ("elm", 200)):
        (images / name).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (8, 8), grey + number).save(images / name / f"{number}.bmp")
    options = ("dataset=folder", f"dataset.path={images}", "dataset.size=8", "dataset.test=0.5", "dataset.limit=null")
    folder = train(tmp_path / "out", *options, "seed=0")
    for path in images.rglob("*.bmp"):
        status = path.stat()
        Image.new("L", (8, 8), 50).save(path)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    train(folder, *options, "seed=0,1")
    assert list(frame(folder)["n"]) == [2, 1]
    assert frame(folder)["data"].nunique() == 2
    # The folder may move.
    images.rename(tmp_path / "trees")
    before = ends(folder)
    moved = [option.replace("leaves", "trees") for option in options]
    train(folder, *moved, "seed=0,1")
    assert ends(folder) == before


def test_plots_that_are_missing_are_drawn_again(tmp_path: Path) -> None:
    folder = train(tmp_path / "out", "seed=0,1")
    pictures = {path: path.read_bytes() for path in folder.glob("runs/*/plots/*")}
    shutil.rmtree(folder / "runs" / "seed=0" / "plots")
    (folder / "runs" / "seed=1" / "plots" / "loss.png").unlink()
    train(folder, "seed=0,1")
    assert {path: path.read_bytes() for path in folder.glob("runs/*/plots/*")} == pictures


def test_a_report_that_is_asked_for_later_is_made(tmp_path: Path) -> None:
    folder = train(tmp_path / "out", "seed=0")
    before = ends(folder)
    train(folder, "seed=0", "report.title=Later", "report.measures=[test_loss]", "report.figures=[samples]")
    assert ends(folder) == before
    assert (folder / "table.md").read_text().startswith("**Later**")
    assert "test_loss_mean" in frame(folder)
    assert (folder / "runs" / "seed=0" / "plots" / "samples.png").is_file()
    assert main(["report", str(folder)]) == 0
    assert (folder / "table.md").read_text().startswith("**Later**")


def test_another_preset_has_another_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train(tmp_path / "out", "seed=0")
    train(folder, "seed=0", "experiment=quickstart", code=2)
    assert "output_dir: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["metrics.csv", "config.yaml", "summary.json", "weights.safetensors"])
def test_a_damaged_run_is_trained_again_by_the_same_command(tmp_path: Path, name: str) -> None:
    folder = train(tmp_path / "out", "seed=0,1")
    path = folder / "runs" / "seed=0" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert main(["check", str(folder)]) == 1
    before = ends(folder)
    train(folder, "seed=0,1")
    after = ends(folder)
    assert (after["seed=1"], len(after)) == (before["seed=1"], 2)
    assert after["seed=0"] > before["seed=0"]
    assert main(["check", str(folder)]) == 0
    assert list(frame(folder)["n"]) == [2]


def test_a_later_failure_blames_no_run_that_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run of the stack fails after the first one has left it."""

    def failing(*arguments: object) -> Iterator[object]:
        for event in fit(*arguments):  # type: ignore[arg-type]
            yield event
            if isinstance(event, RunEnd):
                raise RuntimeError("the machine is tired")

    monkeypatch.setattr("triplicate.sweeps.train.fit", failing)
    folder = train(tmp_path / "out", "seed=0,1", code=1)
    printed = capsys.readouterr()
    assert "1/2 seeds, 1 failed" in printed.out
    (last,) = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert "seed=1" in last
    assert "the machine is tired" in last
    assert list(ends(folder)) == ["seed=0"]


@pytest.mark.parametrize(("on_error", "count"), [("continue", 1), ("stop", 0)])
def test_after_a_failure_the_others_go_on_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_error: str, count: int
) -> None:
    def failing(configs: list[object], *others: object) -> Iterator[object]:
        if configs[0].train.batch_size == 8:  # type: ignore[attr-defined]
            raise RuntimeError("eight is enough")
        yield from fit(configs, *others)  # type: ignore[arg-type]

    monkeypatch.setattr("triplicate.sweeps.train.fit", failing)
    folder = train(tmp_path / "out", "seed=0", "train.batch_size=8,64", f"on_error={on_error}", code=1)
    assert len(ends(folder)) == count
    assert set(frame(folder)["failed"]) == {1, 0}


def test_a_twin_that_ends_just_before_the_lock_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = train(tmp_path / "twin", "seed=0")
    locked = launcher.locked

    @contextmanager
    def late(folder: Path) -> Iterator[Path]:
        shutil.copytree(twin, folder)
        with locked(folder) as lock:
            yield lock

    monkeypatch.setattr(launcher, "locked", late)
    assert ends(train(tmp_path / "out", "seed=0")) == ends(twin)


def test_samples_of_several_data_sets_are_all_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples", "dataset=glyphs,xor", f"output_dir={tmp_path / 'out'}"]) == 0
    shown = capsys.readouterr().out
    assert "glyphs" in shown
    assert "xor" in shown


def test_check_names_what_is_wrong_and_how_to_mend_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = train(tmp_path / "out", "seed=0,1,2")
    assert main(["check", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{folder}: 3 runs are finished and whole"
    path = folder / "runs" / "seed=0" / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (folder / "runs" / "seed=1" / "summary.json").unlink()
    shutil.copytree(folder / "runs" / "seed=2", folder / "runs" / "copy")
    (folder / "runs" / "seed=2" / "notes.txt").touch()
    (folder / ".metrics.csv.7.partial").touch()
    assert main(["check", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    told = {line.strip().partition(":")[0] for line in lines}
    assert {"damaged", "incomplete", "foreign", "twice", "to train what is missing or damaged"} <= told
    assert f"output_dir={folder}" in lines[-1]
    damaged = next(line for line in lines if "damaged:" in line)
    assert str(path) in damaged


def test_the_summary_has_a_hash_of_each_file(tmp_path: Path) -> None:
    folder = train(tmp_path / "out", "seed=0", "trace.steps=true") / "runs" / "seed=0"
    files = json.loads((folder / "summary.json").read_text())["files"]
    there = {path.name for path in folder.iterdir() if path.is_file()}
    assert set(files) == there - {"summary.json", "triplicate.log"}
