"""Whole sweeps through the command line, small, on the embedded data."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from triplicate.cli import main

SMALL = ("train.epochs=2", "dataset.limit=200", "model=mlp", "model.hidden=[16]")
RUN_FILES = {
    ".hydra/config.yaml",
    ".hydra/hydra.yaml",
    ".hydra/overrides.yaml",
    "checkpoint.safetensors",
    "classes.csv",
    "config.yaml",
    "confusion.csv",
    "gradients.csv",
    "metrics.csv",
    "plots/accuracy.png",
    "plots/confusion.png",
    "plots/gradients.png",
    "plots/loss.png",
    "plots/plots.json",
    "samples.safetensors",
    "summary.json",
    "triplicate.log",
    "weights.safetensors",
}


def small(*overrides: str) -> list[str]:
    """A small sweep, with these overrides instead of its own, since a key may be given once."""
    given = [override.partition("=")[0] for override in overrides]
    return [*(override for override in SMALL if override.partition("=")[0] not in given), *overrides]


def sweep(folder: Path, *overrides: str) -> Path:
    assert main(small(f"output_dir={folder}", *overrides)) == 0
    return folder


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def runs(folder: Path) -> dict[str, Path]:
    """The run folders by rate and seed."""
    found = {}
    for path in sorted((folder / "runs").iterdir()):
        summary = json.loads((path / "summary.json").read_text())
        found[f"{summary['overrides'].get('optimizer.lr')} {summary['seed']}"] = path
    return found


def untimed(run: Path) -> bytes:
    """metrics.csv without its column of seconds."""
    return re.sub(rb",[^,\n]*$", b"", (run / "metrics.csv").read_bytes(), flags=re.MULTILINE)


def test_a_sweep_leaves_its_runs_and_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sweep(tmp_path / "out", "optimizer.lr=0.1,0.01")
    printed = capsys.readouterr()
    assert list(runs(folder)) == [f"{lr} {seed}" for lr in ("0.01", "0.1") for seed in (0, 1, 2)]
    for run in runs(folder).values():
        assert files(run) == RUN_FILES
    top = {path.name for path in folder.iterdir() if path.is_file()}
    curves = {f"{name}_curves{form}" for name in ("loss", "accuracy") for form in (".png", ".svg")}
    tables = {"table.csv", "table.md", "table.tex", "report.html"}
    assert top == tables | curves | {"multirun.yaml", ".lock", "sweep.json", "environment.json", "plots.json"}
    assert printed.out.splitlines()[-1] == f"  {folder / 'report.html'}"
    assert "epoch 2/2, 6 runs" in printed.err

    frame = pd.read_csv(folder / "table.csv")
    assert list(frame["optimizer.lr"]) == [0.1, 0.01]
    assert list(frame["n"]) == [3, 3]
    finals = [pd.read_csv(runs(folder)[f"0.1 {s}"] / "metrics.csv")["test_accuracy"].iloc[-1] for s in range(3)]
    assert frame["test_accuracy_mean"][0] == pytest.approx(sum(finals) / 3)


def test_the_hydra_folder_is_what_hydra_writes(tmp_path: Path) -> None:
    ours = next(iter(runs(sweep(tmp_path / "ours", "seed=1", "optimizer.lr=0.2")).values()))
    basic = next(iter(runs(sweep(tmp_path / "basic", "seed=1", "optimizer.lr=0.2", "hydra/launcher=basic")).values()))

    def read(run: Path, name: str) -> str:
        return (run / ".hydra" / name).read_text().replace("/basic", "/ours").replace("hydra/launcher=basic", "")

    assert yaml.safe_load(read(ours, "config.yaml")) == yaml.safe_load(read(basic, "config.yaml"))
    assert read(ours, "overrides.yaml") == read(basic, "overrides.yaml")
    mine, theirs = (yaml.safe_load(read(run, "hydra.yaml"))["hydra"] for run in (ours, basic))
    assert set(mine) == set(theirs)
    assert mine["job"] == theirs["job"] | {"id": mine["job"]["id"]}
    assert mine["runtime"]["output_dir"] == theirs["runtime"]["output_dir"]


def test_the_same_seed_gives_the_same_bytes_and_company_changes_little(tmp_path: Path) -> None:
    wide = runs(sweep(tmp_path / "a", "optimizer.lr=0.1,0.01"))
    again = runs(sweep(tmp_path / "b", "optimizer.lr=0.1,0.01"))
    for name, run in wide.items():
        assert untimed(run) == untimed(again[name])
        assert (run / "gradients.csv").read_bytes() == (again[name] / "gradients.csv").read_bytes()
        assert (run / "weights.safetensors").read_bytes() == (again[name] / "weights.safetensors").read_bytes()
    alone = runs(sweep(tmp_path / "c", "optimizer.lr=0.1", "seed=1"))["0.1 1"]
    stacked, single = (pd.read_csv(run / "metrics.csv") for run in (wide["0.1 1"], alone))
    pd.testing.assert_frame_equal(
        stacked.drop(columns="seconds"), single.drop(columns="seconds"), check_exact=False, rtol=1e-4
    )


@pytest.mark.parametrize("launcher", ["hydra/launcher=basic", "hydra.mode=RUN"])
def test_other_ways_of_hydra_give_the_same_run(tmp_path: Path, launcher: str) -> None:
    ours = next(iter(runs(sweep(tmp_path / "ours", "seed=2")).values()))
    other = next(iter(runs(sweep(tmp_path / "other", "seed=2", launcher)).values()))
    assert untimed(ours) == untimed(other)
    assert (tmp_path / "other" / "table.csv").is_file()


def test_workers_train_the_same_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two processes and this one give the same, to the last bit."""
    options = ("model=mlp,cnn", "optimizer.lr=0.1", "seed=0,1,2")
    here = sweep(tmp_path / "here", *options, "executor.workers=1")
    there = sweep(tmp_path / "there", *options, "executor.workers=2")
    assert "stack 4/4" in capsys.readouterr().err
    for run in (here / "runs").iterdir():
        other = there / "runs" / run.name
        assert files(other) == files(run)
        assert untimed(run) == untimed(other)
        assert (run / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
        assert json.loads((other / "summary.json").read_text())["fingerprint"] == _fingerprint(run)


def _fingerprint(run: Path) -> str:
    fingerprint: str = json.loads((run / "summary.json").read_text())["fingerprint"]
    return fingerprint


def test_plan_tells_what_would_be_trained_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", *small("model=mlp,cnn", "executor.workers=2", f"output_dir={tmp_path / 'out'}")]) == 0
    text = capsys.readouterr().out
    assert text.startswith("6 runs to train: ")
    assert "2 worker(s)" in text
    assert "model=mlp,seed=2\n" in text
    assert not (tmp_path / "out").exists()


def test_the_same_command_again_trains_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sweep(tmp_path, "seed=0,1")
    kept = next(run for name, run in runs(folder).items() if name.endswith("0"))
    lost = next(run for name, run in runs(folder).items() if name.endswith("1"))
    before = (kept / "summary.json").stat().st_mtime_ns, untimed(lost)
    (lost / "summary.json").unlink()
    capsys.readouterr()
    sweep(tmp_path, "seed=0,1")
    assert "epoch 2/2, 1 run," in capsys.readouterr().err
    assert ((kept / "summary.json").stat().st_mtime_ns, untimed(lost)) == before
    assert list(pd.read_csv(folder / "table.csv")["n"]) == [2]


def test_report_makes_tables_and_plots_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sweep(tmp_path, "optimizer.lr=0.1,0.01")
    before = {name: (folder / name).read_bytes() for name in ("table.csv", "table.md", "table.tex")}
    for path in [*folder.glob("table.*"), *folder.rglob("*.png")]:
        path.unlink()
    assert main(["report", str(folder)]) == 0
    assert {name: (folder / name).read_bytes() for name in before} == before
    assert len(list(folder.rglob("*.png"))) == 2 + 4 * 6
    assert "test accuracy" in capsys.readouterr().out


def test_divergence_is_a_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = sweep(tmp_path, "optimizer.lr=0.1,1e9", "seed=0")
    summary = json.loads((runs(folder)["1000000000.0 0"] / "summary.json").read_text())
    assert summary["status"] == "diverged"
    assert summary["diverged_step"] >= 1
    assert summary["measures"]["test_accuracy"] is None
    assert "diverged" in capsys.readouterr().out


def test_a_run_that_fails_ends_the_sweep_with_1_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory, say")

    monkeypatch.setattr("triplicate.sweeps.train.fit", fail)
    assert main([*SMALL, "seed=0", "device=cpu", f"output_dir={tmp_path}"]) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith(f"error: {tmp_path}/runs/")
    assert "out of memory, say" in last
    assert "Traceback" in next(tmp_path.rglob("triplicate.log")).read_text()


def _listen_to_ctrl_c() -> None:
    """Where the tests run in the background of a shell, their children would ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_at_once_and_says_how_to_go_on(tmp_path: Path, workers: int) -> None:
    command = [sys.executable, "-m", "triplicate", "train.epochs=100000", "model=mlp", f"output_dir={tmp_path}"]
    command.append(f"executor.workers={workers}")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=_listen_to_ctrl_c)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.rglob("metrics.csv")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert f"output_dir={tmp_path}" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert not list(tmp_path.rglob("*.partial"))
