"""Hydra's other launchers train run by run what ours trains together; and ours does what Hydra asks of a launcher."""

from __future__ import annotations

import json
import logging
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from joblib.externals.loky import get_reusable_executor
from submitit.core.utils import FailedJobError, UncompletedJobError

from tests.sweeps.test_sweep import RUN_FILES, SMALL, files, runs, small, untimed
from triplicate.cli import main
from triplicate.errors import JobLost, RunFailed, UserError
from triplicate.hydra_app import _launcher_errors
from triplicate.records.lock import locked
from triplicate.sweeps import launcher, server
from triplicate.training.engine import fit

SEEDS = "seed=0,1"
# Two processes, however many cores there are.
LAUNCHERS = {
    "triplicate": (),
    "basic": (),
    "joblib": ("hydra.launcher.n_jobs=2",),
    "submitit_local": (),
}
REPORT = {
    "sweep.json",
    "environment.json",
    "plots.json",
    "table.csv",
    "table.md",
    "table.tex",
    "loss_curves.png",
    "loss_curves.svg",
    "accuracy_curves.png",
    "accuracy_curves.svg",
    "report.html",
    "multirun.yaml",
    ".lock",
}

Train = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    """joblib keeps its processes for the next command, with the folder that they were started in."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """A function from a launcher to the sweep that it has trained, once, in the folder that is chosen by default."""
    done: dict[str, Path] = {}

    def once(name: str) -> Path:
        if name not in done:
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(tmp_path_factory.mktemp(name))
                assert main([*SMALL, SEEDS, f"hydra/launcher={name}", *LAUNCHERS[name]]) == 0
                (done[name],) = Path("outputs/sweep").absolute().iterdir()
        return done[name]

    return once


@pytest.mark.parametrize("name", ["basic", "joblib", "submitit_local"])
def test_every_launcher_gives_the_same_runs_and_the_whole_table(train: Train, name: str) -> None:
    ours, others = runs(train("triplicate")), runs(train(name))
    assert list(others) == list(ours)
    for key, run in others.items():
        assert files(run) == RUN_FILES
        assert run.name == ours[key].name
        one, two = (pd.read_csv(r / "metrics.csv").drop(columns="seconds") for r in (ours[key], run))
        pd.testing.assert_frame_equal(one, two, check_exact=False, rtol=1e-4)
    assert {path.name for path in train(name).iterdir() if path.is_file()} == REPORT
    table, expected = (pd.read_csv(train(n) / "table.csv") for n in (name, "triplicate"))
    assert list(table["n"]) == [2]
    pd.testing.assert_frame_equal(table, expected, check_exact=False, rtol=1e-4)


def test_a_run_in_a_process_of_its_own_is_the_same_to_the_byte(train: Train) -> None:
    here, there = runs(train("basic")), runs(train("submitit_local"))
    for key, run in here.items():
        assert untimed(run) == untimed(there[key])
        assert (run / "weights.safetensors").read_bytes() == (there[key] / "weights.safetensors").read_bytes()


@pytest.mark.parametrize("name", ["triplicate", "basic", "joblib", "submitit_local"])
def test_a_mistake_in_a_job_is_one_clear_line(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A learning rate of 0 is a number to Hydra: only the job finds it."""
    arguments = [*SMALL, "seed=0", "optimizer.lr=0", f"output_dir={tmp_path / 'out'}", f"hydra/launcher={name}"]
    assert main([*arguments, *LAUNCHERS[name]]) == 2
    errors = capfd.readouterr().err
    assert errors.splitlines()[-1].startswith("error: optimizer.lr: 0.0 is out of range; ")
    assert "Traceback" not in errors


@pytest.mark.parametrize("error", [UserError("a", "b", "c"), RunFailed("a", "b"), JobLost("a")], ids=lambda e: e.args)
def test_errors_come_out_of_a_process_as_they_are(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


DASHES = 22 * "-"
LOST = {
    "OSError: no space": FailedJobError(
        f"Job (task=0) failed during processing with trace:\n{DASHES}\nTraceback:\n  in f\nOSError: no space\n\n"
        f"{DASHES}\nYou can check full logs"
    ),
    "Job 7 (task: 0) with path /x has not produced any output (state: FINISHED) Error stream produced:": (
        UncompletedJobError(
            "Job 7 (task: 0) with path /x\nhas not produced any output (state: FINISHED)\n"
            f"Error stream produced:\n{DASHES}{DASHES}\nKilled"
        )
    ),
    "A process was terminated": BrokenProcessPool("A process\nwas terminated\n"),
}


@pytest.mark.parametrize("cause", LOST)
def test_a_job_that_is_lost_fails_the_sweep(cause: str) -> None:
    with pytest.raises(RunFailed) as raised, _launcher_errors():
        raise LOST[cause]
    assert str(raised.value).startswith(f"hydra/launcher: a job was lost ({cause}); ")


def test_who_waits_for_a_lock_gets_it_next(tmp_path: Path) -> None:
    held = threading.Event()

    def hold() -> None:
        with locked(tmp_path, wait=True):
            held.set()

    with locked(tmp_path) as lock:
        other = threading.Thread(target=hold)
        other.start()
        assert not held.wait(0.2)
        lock.unlink()  # even where its file is gone meanwhile
    other.join(10)
    assert held.is_set()
    assert lock.is_file()


def test_paths_mean_the_same_in_a_run_that_has_its_own_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ("seed=0", "output_dir=out", "hydra/launcher=basic", "hydra.job.chdir=true")
    assert main([*SMALL, *options]) == 0
    assert list(pd.read_csv(tmp_path / "out" / "table.csv")["n"]) == [1]
    assert Path.cwd() == tmp_path


REFUSED = {
    "hydra.job.chdir=true": "hydra.job.chdir: runs train together in one process; leave it false, or choose "
    "hydra/launcher=basic",
    "+hydra.job.env_set.SOME=${seed}": "hydra.job.env_set: runs train together in one process, and SOME is not the "
    "same for all; give it one value, or choose hydra/launcher=basic",
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_runs_that_train_together_cannot_have_is_refused(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, SEEDS, f"output_dir={tmp_path / 'out'}", option]) == 2
    assert capsys.readouterr().err == f"error: {REFUSED[option]}\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["triplicate", "basic"])
def test_variables_are_those_of_hydra(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watched(*arguments: Any) -> Any:
        seen.append(os.environ.get("SOME"))
        return fit(*arguments)

    monkeypatch.setattr("triplicate.sweeps.train.fit", watched)
    options = (
        "+hydra.job.env_set.SOME=thing",
        f"output_dir={tmp_path}",
        f"hydra/launcher={name}",
        "executor.workers=1",
        "device=cpu",
    )
    assert main(small(SEEDS, "train.epochs=1", *options)) == 0
    assert set(seen) == {"thing"}
    assert "SOME" not in os.environ


def test_our_launcher_leaves_no_state_and_returns_job_by_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch, seen = launcher.launch, list[Sequence[JobReturn]]()

    def state() -> object:
        handlers = [signal.getsignal(number) for number in signal.valid_signals()]
        hydra = HydraConfig.instance().cfg
        log = logging.getLogger()
        return (
            (hydra, dict(os.environ), Path.cwd(), list(sys.argv), handlers),
            (torch.get_num_threads(), torch.get_default_dtype(), list(log.handlers), log.level),
        )

    def watched(*arguments: Any) -> Sequence[JobReturn]:
        before = state()
        seen.append(launch(*arguments))
        assert state() == before
        return seen[-1]

    monkeypatch.setattr(launcher, "launch", watched)
    options = ("train.epochs=1", "optimizer.lr=0.1,0.01", f"output_dir={tmp_path}", "+hydra.job.env_set.SOME=thing")
    assert main(small(SEEDS, *options)) == 0
    ((*returns,),) = seen
    assert ["seed=0" in (r.overrides or ()) for r in returns] == [True, True, False, False]
    for job_return in returns:
        assert job_return.status is JobStatus.COMPLETED
        run = json.loads(Path(job_return.return_value, "summary.json").read_text())
        assert {f"{key}={value}" for key, value in run["overrides"].items()} == set(job_return.overrides or ())


def test_workers_have_the_variables_of_the_jobs(tmp_path: Path) -> None:
    """Seen in what git tells them, which they record. The process that they are forked from has no such variable."""
    server.start()
    options = ("train.epochs=1", "executor.workers=2", "+hydra.job.env_set.GIT_DIR=/nowhere")
    assert main(small(SEEDS, *options, f"output_dir={tmp_path}")) == 0
    for run in runs(tmp_path).values():
        assert json.loads((run / "summary.json").read_text())["environment"]["commit"] == ""
