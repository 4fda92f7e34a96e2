"""Sweeps that were written, not trained, and commands in this process."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Configure
from tests.reports.sweeps import OnDisk, wanted
from triplicate.cli import main
from triplicate.records.run_folder import RunFolder
from triplicate.records.sweep_folder import Wanted


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=_refuse)

    @property
    def csv(self) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.out)))


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON")


Say = Callable[..., Said]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """A function from the words of a command to what it said."""

    def command(*words: object) -> Said:
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return Said(code, printed.out, printed.err)

    return command


@dataclass(frozen=True)
class Sweeps:
    """Three sweeps below one folder.

    Attributes:
        whole: 0.1 in seeds 0 and 1 (accuracies 0.5 and 0.7), 0.01 in seed 0 (0.65) and diverged in seed 1.
        broken: 0.1 in seed 0, the same run as that of `whole`; 1 failed in seed 0, and is missing in seed 1.
        empty: asked for, and nothing of it was trained.
    """

    folder: Path
    whole: Path
    broken: Path
    empty: Path

    def run(self, rate: str, seed: int) -> Path:
        return self.whole / "runs" / wanted(rate, seed).folder


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, configure: Configure) -> Sweeps:
    """To be read alone."""
    return write_sweeps(tmp_path_factory.mktemp("outputs"), configure)


@pytest.fixture
def own(tmp_path: Path, configure: Configure) -> Sweeps:
    """To be changed."""
    return write_sweeps(tmp_path / "outputs", configure)


def write_sweeps(folder: Path, configure: Configure) -> Sweeps:
    sweeps = Sweeps(folder, folder / "sweep" / "whole", folder / "reproduce" / "now" / "broken", folder / "empty")
    whole = OnDisk(sweeps.whole, configure)
    runs = [wanted(rate, seed) for rate in ("0.1", "0.01") for seed in (0, 1)]
    for run, accuracy in zip(runs[:3], (0.5, 0.7, 0.65), strict=True):
        whole.finish(run, accuracy, finished_at=f"2026-03-0{run.seed + 1}T00:00:00+00:00")
    nothing = {"test_accuracy": None, "train_loss": None, "test_loss": None, "best_epoch": 1}
    whole.finish(runs[3], status="diverged", diverged_step=7, measures=nothing)
    whole.asked(runs)
    _write_broken(OnDisk(sweeps.broken, configure), runs[0])
    empty = OnDisk(sweeps.empty, configure)
    empty.asked([wanted("5", 0)])
    return sweeps


def _write_broken(broken: OnDisk, shared: Wanted) -> None:
    runs = [shared, wanted("1", 0), wanted("1", 1)]
    broken.finish(shared, 0.5)
    writer = RunFolder(broken.run(runs[1]))
    writer.begin(broken.config(runs[1]))
    writer.fail("no memory")
    broken.asked(runs)
