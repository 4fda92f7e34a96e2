"""What the sweeper hands to a launcher, and what it makes of what comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig

from triplicate.cli import main
from triplicate.errors import RunFailed, RunsFailed, UserError
from triplicate.jobs import sweep as jobs
from triplicate.sweeps import launcher
from triplicate.sweeps.composed import Job

TINY = ("train.epochs=1", "dataset.limit=64", "model=mlp", "model.hidden=[4]")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[list[list[str]]]:
    """The jobs of each batch that our launcher was given; nothing is trained."""
    batches: list[list[list[str]]] = []

    def note(config: DictConfig, jobs: Sequence[Job]) -> list[JobReturn]:
        overrides = (job.config().hydra.overrides for job in jobs)
        batches.append([[*job.task, *(word for word in job.hydra if "subdir" in word)] for job in overrides])
        batches[-1][0].append(str(config.output_dir))
        return []

    monkeypatch.setattr("triplicate.sweeps.server.start", lambda: None)
    monkeypatch.setattr(launcher, "launch", note)
    return batches


def test_a_job_is_its_axes_and_the_name_of_its_folder(launched: list[list[list[str]]], elsewhere: Path) -> None:
    assert main(["seed=0,1", "optimizer.lr=0.1,0.2", "train.epochs=1", "output_dir=out"]) == 0
    (batch,) = launched
    assert len(batch) == 4
    assert batch[1] == [
        *("seed=0", "optimizer.lr=0.2", "train.epochs=1", "output_dir=out"),
        "hydra.sweep.subdir='runs/optimizer.lr=0.2,seed=0'",
    ]
    assert list(elsewhere.iterdir()) == []


def test_all_jobs_have_the_folder_of_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is the time, which goes on between them."""
    folders = set()

    def note(config: DictConfig, jobs: Sequence[Job]) -> list[JobReturn]:
        folders.update(job.output_dir for job in [config, *(job.config() for job in jobs)])
        return []

    monkeypatch.setattr("triplicate.sweeps.server.start", lambda: None)
    monkeypatch.setattr(launcher, "launch", note)
    assert main(["seed=0,1"]) == 0
    assert len(folders) == 1


def test_batches_are_as_large_as_asked(launched: list[list[list[str]]]) -> None:
    assert main(["seed=0,1,2", "hydra.sweeper.max_batch_size=2"]) == 0
    assert [len(batch) for batch in launched] == [2, 1]


def test_a_row_may_hold_any_value(launched: list[list[list[str]]], elsewhere: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"dataset.limit": None, "train.shuffle": False, "model.hidden": [8, 4]},
        {"dataset.limit": 64, "device": "cpu"},
    ]
    (elsewhere / "mine" / "experiment").mkdir(parents=True)
    preset = "# @package _global_\n" + yaml.safe_dump({"hydra": {"sweeper": {"rows": rows}}}, sort_keys=False)
    (elsewhere / "mine" / "experiment" / "rows.yaml").write_text(preset)
    assert main(["--config-dir", "mine", "experiment=rows", "seed=0"]) == 0
    (batch,) = launched
    assert batch[0][:4] == ["dataset.limit=null", "train.shuffle=false", "model.hidden=[8,4]", "seed=0"]
    assert batch[1][:3] == ["dataset.limit=64", "device=cpu", "seed=0"]


@pytest.fixture
def earlier(elsewhere: Path) -> Path:
    """Three folders of sweeps of one name; the newest has not begun."""
    for name, begun in (("2026-01-01", True), ("2026-01-03", True), ("2026-01-05", False)):
        folder = elsewhere / "outputs" / "rates" / name
        folder.mkdir(parents=True)
        if begun:
            (folder / "sweep.json").write_text("{}")
    return elsewhere / "outputs" / "rates"


def test_resume_goes_on_in_the_newest_sweep(launched: list[list[list[str]]], earlier: Path) -> None:
    assert main(["name=rates", "resume=last", "seed=0"]) == 0
    ((job,),) = launched
    assert job[-1] == "outputs/rates/2026-01-03"
    assert "output_dir='outputs/rates/2026-01-03'" in job
    assert {path.name for path in earlier.iterdir()} == {"2026-01-01", "2026-01-03", "2026-01-05"}


def test_resume_looks_at_no_sweep_of_another_name(earlier: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["name=rate", "resume=last"]) == 2
    expected = "error: resume: no sweep of the name rate is in outputs/rate; leave resume out\n"
    assert capsys.readouterr().err == expected


def failed(error: Exception) -> JobReturn:
    return JobReturn(status=JobStatus.FAILED, _return_value=error)


def test_what_ended_a_job_is_raised() -> None:
    done, bug = JobReturn(status=JobStatus.COMPLETED), RuntimeError("no")
    jobs._raise_failures([done, done])
    with pytest.raises(RuntimeError, match="no"):
        jobs._raise_failures([done, failed(bug)])
    mistake = UserError("a", "b", "c")
    with pytest.raises(UserError) as raised:
        jobs._raise_failures([failed(bug), failed(mistake), failed(mistake)])
    assert raised.value is mistake
    with pytest.raises(RunsFailed) as several:
        jobs._raise_failures([failed(RunFailed("runs/a", "x")), failed(bug)])
    assert [failure.cause for failure in several.value.failures] == ["x", "RuntimeError: no"]


def test_several_that_failed_are_all_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory, say")

    monkeypatch.setattr("triplicate.sweeps.train.fit", fail)
    assert main([*TINY, "seed=0,1", "hydra/launcher=basic", "output_dir=out"]) == 1
    last = capsys.readouterr().err.splitlines()[-2:]
    for number, line in enumerate(last):
        assert re.match(f"error: .*out/runs/seed={number}: the run failed .*out of memory, say", line)


def test_another_launcher_starts_nothing_where_one_job_is_wrong(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*TINY, "seed=0", "optimizer.lr=0.1,0", "hydra/launcher=basic"]) == 2
    assert capsys.readouterr().err == "error: optimizer.lr: 0.0 is out of range; give a number above 0\n"
    assert list(elsewhere.iterdir()) == []


def test_another_launcher_leaves_the_settings_of_the_sweep() -> None:
    assert main([*TINY, "seed=0", "hydra/launcher=basic", "output_dir=out"]) == 0
    assert (Path("out") / "multirun.yaml").is_file()
    assert (Path("out") / "runs" / "seed=0" / "summary.json").is_file()
