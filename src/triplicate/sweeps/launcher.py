"""Hydra's jobs as the runs of a sweep: the one place where Hydra's configuration becomes ours."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, env_override, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from triplicate.config import run_config
from triplicate.errors import UserError
from triplicate.records.lock import locked
from triplicate.reports import show_dataset
from triplicate.sweeps.plan import Run, describe, plan
from triplicate.sweeps.train import Failures, execute


def launch(
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    job_overrides: Sequence[Sequence[str]],
    first_job: int,
) -> list[JobReturn]:
    """Train all jobs of a multirun and write the tables of the sweep; one JobReturn a job, in order.

    Raises:
        UserError, HydraException: before anything is written, if one of the jobs cannot be trained.
    """
    setup_globals()
    sweep = Path(str(config.hydra.sweep.dir))
    with _no_trace_of_mistakes(sweep):
        jobs = [
            _compose(context, config, overrides, first_job + number) for number, overrides in enumerate(job_overrides)
        ]
        _check_directory(jobs)
        environment = _environment(jobs)
    with env_override(environment):
        return _launch(context, task, sweep, jobs)


def _launch(context: HydraContext, task: TaskFunction, sweep: Path, jobs: Sequence[DictConfig]) -> list[JobReturn]:
    with _no_trace_of_mistakes(sweep):
        runs = [run_of(job) for job in jobs]
        if runs[0].config.task == "samples":
            print(show_dataset.show(runs[0].config))
            return [_job_return(job, run, {}) for job, run in zip(jobs, runs, strict=True)]
        planned = plan(runs)
    if runs[0].config.task == "plan":
        _leave_no_trace(sweep)
        print(describe(planned))
        return [_job_return(job, run, {}) for job, run in zip(jobs, runs, strict=True)]
    with locked(sweep), _told_when_interrupted(sweep):
        for job in jobs:
            with _as_current(job):
                _write_hydra_folder(job)
                context.callbacks.on_job_start(config=job, task_function=task)
        failures = execute(planned)
        returns = [_job_return(job, run, failures) for job, run in zip(jobs, runs, strict=True)]
        for job, job_return in zip(jobs, returns, strict=True):
            with _as_current(job):
                context.callbacks.on_job_end(config=job, job_return=job_return)
        if len(failures) < len(runs):
            _report(sweep)
    return returns


def run_single(config: DictConfig) -> Path:
    """Train one job that another launcher started, in Hydra's output folder of the job.

    Returns:
        The folder of the run.
    """
    job = copy.copy(config)
    with read_write(job), open_dict(job):
        job.hydra = HydraConfig.instance().cfg.hydra  # type: ignore[union-attr]
    # Where `hydra.job.chdir` has gone elsewhere, paths still mean what they mean on the command line.
    with chdir(job.hydra.runtime.cwd):
        return _run_single(run_of(job))


def _run_single(run: Run) -> Path:
    if run.config.task == "samples":
        print(show_dataset.show(run.config))
        return run.folder
    planned = plan([run])
    if run.config.task == "plan":
        print(describe(planned))
        return run.folder
    with locked(run.folder) as lock:
        failures = execute(planned)
        lock.unlink()  # the folder is what our launcher leaves
    for error in failures.values():
        raise error
    # Jobs that end together write one after the other: the last one reads all runs.
    with locked(run.config.output_dir, wait=True):
        _report(run.config.output_dir)
    return run.folder


def run_of(job: DictConfig) -> Run:
    """The run that a composed job describes; Hydra's own node must be in it.

    Raises:
        UserError: a key is unknown or a value out of range.
    """
    values = OmegaConf.to_container(job, resolve=True)
    assert isinstance(values, dict)
    hydra = job.hydra
    del values["hydra"]
    pairs = (str(o).lstrip("+~").partition("=") for o in hydra.overrides.task)
    choices = hydra.runtime.choices.items()
    return Run(
        job=int(OmegaConf.select(hydra, "job.num") if "num" in hydra.job else 0),
        config=run_config({str(k): v for k, v in values.items()}),
        folder=Path(hydra.runtime.output_dir),
        overrides={key: value for key, _, value in pairs},
        choices={k: str(v) for k, v in choices if not k.startswith("hydra/") and v is not None},
    )


def _report(sweep: Path) -> None:
    """Write the tables and plots of a sweep and print its table."""
    from triplicate.reports import report  # only here: matplotlib takes a second that training need not wait for

    print(report.write_sweep(sweep).text)


def _compose(context: HydraContext, config: DictConfig, overrides: Sequence[str], number: int) -> DictConfig:
    job = context.config_loader.load_sweep_config(config, list(overrides))
    with open_dict(job):
        job.hydra.job.id = str(number)
        job.hydra.job.num = number
    with _as_current(job):
        folder = Path(str(job.hydra.sweep.dir), str(job.hydra.sweep.subdir)).absolute()
    with read_write(job.hydra.runtime), open_dict(job.hydra.runtime):
        job.hydra.runtime.output_dir = str(folder)
    return job


def _check_directory(jobs: Sequence[DictConfig]) -> None:
    """A process is in one folder, so no run can have its own."""
    if any(job.hydra.job.chdir for job in jobs):
        problem = "runs train together in one process"
        raise UserError("hydra.job.chdir", problem, "leave it false, or choose hydra/launcher=basic")


def _environment(jobs: Sequence[DictConfig]) -> dict[str, str]:
    """The variables that `hydra.job.env_set` gives the jobs, the same to all of them."""
    given = []
    for job in jobs:
        with _as_current(job):
            values = OmegaConf.to_container(job.hydra.job.env_set, resolve=True)
        assert isinstance(values, dict)
        given.append({str(name): str(value) for name, value in values.items()})
    for name in sorted({name for values in given for name in values}):
        if len({values.get(name) for values in given}) > 1:
            problem = f"runs train together in one process, and {name} is not the same for all"
            raise UserError("hydra.job.env_set", problem, "give it one value, or choose hydra/launcher=basic")
    return given[0]


def _write_hydra_folder(job: DictConfig) -> None:
    """What Hydra's own launchers leave in `.hydra/` of a job."""
    if job.hydra.output_subdir is None:
        return
    folder = Path(job.hydra.runtime.output_dir) / job.hydra.output_subdir
    folder.mkdir(parents=True, exist_ok=True)
    parts: Mapping[str, object] = {
        "config.yaml": OmegaConf.masked_copy(job, [str(k) for k in job if k != "hydra"]),
        "hydra.yaml": OmegaConf.masked_copy(job, "hydra"),
        "overrides.yaml": job.hydra.overrides.task,
    }
    for name, part in parts.items():
        (folder / name).write_text(OmegaConf.to_yaml(part))


def _job_return(job: DictConfig, run: Run, failures: Failures) -> JobReturn:
    failed = failures.get(run.folder)
    job_return = JobReturn(
        overrides=list(job.hydra.overrides.task),
        cfg=OmegaConf.masked_copy(job, [str(k) for k in job if k != "hydra"]),
        hydra_cfg=OmegaConf.masked_copy(job, "hydra"),
        working_dir=str(Path.cwd()),
        task_name=JobRuntime.instance().get("name"),
        status=JobStatus.COMPLETED if failed is None else JobStatus.FAILED,
    )
    job_return.return_value = str(run.folder) if failed is None else failed
    return job_return


@contextmanager
def _as_current(job: DictConfig) -> Iterator[None]:
    """Inside, `${hydra:…}` and HydraConfig speak of this job."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(job)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


@contextmanager
def _told_when_interrupted(sweep: Path) -> Iterator[None]:
    """Say on Ctrl-C what is kept, and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        print(
            f"interrupted: finished runs are kept; the same command with output_dir={sweep} trains the others",
            file=sys.stderr,
        )
        raise


@contextmanager
def _no_trace_of_mistakes(sweep: Path) -> Iterator[None]:
    """A sweep that turns out wrong inside leaves no folder."""
    try:
        yield
    except Exception:
        _leave_no_trace(sweep)
        raise


def _leave_no_trace(sweep: Path) -> None:
    """Remove the folder that Hydra's sweeper made for a sweep that did not begin."""
    if (sweep / "runs").exists():
        return
    (sweep / "multirun.yaml").unlink(missing_ok=True)
    if not any(sweep.iterdir()):
        sweep.rmdir()
