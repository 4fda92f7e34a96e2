"""Hydra's jobs as the runs of a sweep: the one place where Hydra's configuration becomes ours."""

from __future__ import annotations

import copy
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobRuntime, JobStatus, env_override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from triplicate import verbosity
from triplicate.config import RunConfig, as_plain, run_config
from triplicate.errors import RunFailed, RunsFailed, UserError
from triplicate.files import atomic
from triplicate.records import environment
from triplicate.records.checkpoints import Checkpoints, remove_others
from triplicate.records.lock import locked, remove
from triplicate.records.run_folder import SUMMARY
from triplicate.records.sweep_folder import ENVIRONMENT, SWEEP, Cut, SweepRecord, Wanted, finished_runs, write_sweep
from triplicate.streams import terminal_width
from triplicate.sweeps import workers
from triplicate.sweeps.command import command
from triplicate.sweeps.composed import Job, Loader, as_current, distinct, values_of
from triplicate.sweeps.departures import Composed, departures, title
from triplicate.sweeps.elsewhere import planner
from triplicate.sweeps.execute import execute
from triplicate.sweeps.interruption import Interrupted, heeded
from triplicate.sweeps.plan import Kept, Plan, Run, Survey, describe
from triplicate.sweeps.planner import Here, Planner
from triplicate.sweeps.search import Objective, objective
from triplicate.sweeps.sweeper import directions, is_search
from triplicate.sweeps.tracking import SweepTracking

_OVERRIDES = "overrides.yaml"


def launch(config: DictConfig, jobs: Sequence[Job]) -> list[JobReturn]:
    """Train all jobs of a multirun and write the tables of the sweep; one JobReturn a job, in order.

    Args:
        config: of the sweep.

    Raises:
        UserError, HydraException: before anything is written, if one of the jobs cannot be trained.
        RunFailed: some runs failed; the table of the others is written.
        Interrupted: what was in training is saved.
    """
    settings = [job.config() for job in distinct(jobs)]
    _check_directory(jobs, settings)
    with env_override(_environment(settings)):
        return _launch(config, jobs)


def _launch(config: DictConfig, jobs: Sequence[Job]) -> list[JobReturn]:
    runs = [run_of(job) for job in jobs]
    if runs[0].config.task == "samples":
        _show_samples(runs)
        return _returns(jobs, runs)
    with planner(runs) as there:
        return _trained(config, jobs, runs, there)


def _trained(config: DictConfig, jobs: Sequence[Job], runs: Sequence[Run], there: Planner) -> list[JobReturn]:
    sweep, is_searched = runs[0].config.output_dir, is_search(config)
    surveyed = there.survey(runs, is_new=not (sweep / SWEEP).exists(), is_search=is_searched)
    if runs[0].config.task == "plan":
        print(describe(there.plan(Kept.in_folder(sweep))))
        return _returns(jobs, runs)
    there.check(Kept.in_folder(sweep, whole=False))
    with locked(sweep), _leftovers_removed(sweep), _told_when_interrupted(runs[0], is_searched):
        kept = Kept.in_folder(sweep)
        planned = there.plan(kept)
        atomic.write_text(sweep / "multirun.yaml", OmegaConf.to_yaml(config))
        _record(surveyed, planned, kept, is_searched)
        _say_what_is_there(planned)
        verbosity.detail(f"folder: {sweep}\n{describe(planned)}")
        tracking = SweepTracking.begun(runs[0].config)
        with heeded() as interruption, tracking.ended(planned.runs()), _hydra_folders_written(jobs, planned):
            failures = execute(planned, there, interruption, tracking.ids)
        if not is_searched:
            began = time.perf_counter()
            is_here = isinstance(there, Here) and planned.workers == 1
            print(_report(sweep) if is_here else workers.report(sweep, terminal_width()))
            verbosity.detail(f"tables and plots in {time.perf_counter() - began:.1f} s")
        _record_end(sweep)
    if failures and not (is_searched and runs[0].config.on_error == "continue"):
        raise RunsFailed(list(failures.values()))
    return _objectives(config, jobs, runs, surveyed) if is_searched else _returns(jobs, runs)


def _show_samples(runs: Sequence[Run]) -> None:
    """Each data set once."""
    from triplicate.reports import show_dataset  # only here: it needs torch

    for config in {run.data_key: run.config for run in runs}.values():
        print(show_dataset.show(config))


def _record(surveyed: Survey, planned: Plan, kept: Kept, is_searched: bool) -> None:
    """Write down what is asked for, and how it is cut, and remove what nothing goes on from any more."""
    first = surveyed.runs[0]
    report = as_plain(first.config)["report"]
    if is_searched:  # what it goes by is seen in its table
        report["measures"] = list(dict.fromkeys([*first.config.objectives, *report["measures"]]))
    departed = departures(surveyed.runs, _composed)
    experiment = first.choices.get("experiment", "")
    if departed and "report.title" not in first.overrides:
        report["title"] = title(experiment, departed)
    folders = {run.fingerprint: run.folder.name for stack in planned.stacks for run in stack.runs}
    folders |= {run.fingerprint: run.folder.name for run in planned.finished}
    cuts = tuple(stack.cut for stack in planned.stacks)
    record = SweepRecord(
        name=first.config.name,
        experiment=experiment,
        command=command(),
        report=report,
        wanted=tuple(
            _wanted(run, folders[run.fingerprint], departed.get(run.fingerprint, ())) for run in surveyed.runs
        ),
        cuts=cuts,
        asked=len(surveyed.runs),
    )
    if kept.record is not None:
        _remove_damaged(kept.folder, kept.record.cuts)
        asked = {run.fingerprint for run in surveyed.runs}
        others = (cut for cut in kept.record.cuts if not asked.issuperset(cut.fingerprints) and cut not in cuts)
        record = replace(record.with_earlier(kept.record), cuts=(*cuts, *others))
    write_sweep(kept.folder, record)
    environment.note_packages(kept.folder / ENVIRONMENT)
    for run in (run for stack in planned.stacks for run in stack.missing()):
        (run.folder / SUMMARY).unlink(
            missing_ok=True
        )  # from now on it is not finished, whatever happens before it begins
    going_on = [Checkpoints(kept.folder, cut.fingerprints) for cut in record.cuts if _is_kept(cut, planned)]
    remove_others(kept.folder, going_on)


def _remove_damaged(sweep: Path, cuts: Sequence[Cut]) -> None:
    """Remove the checkpoints that are not whole, and say where their stacks go on."""
    for checkpoints in (Checkpoints(sweep, cut.fingerprints) for cut in cuts):
        for path in checkpoints.remove_damaged():
            onward = "the other one is used" if checkpoints.read() is not None else "its runs start anew"
            verbosity.note(f"note: {path}: the checkpoint is not whole; {onward}")


def _is_kept(cut: Cut, planned: Plan) -> bool:
    """Whether a stack may go on from its checkpoints: one that starts anew may not."""
    return all(stack.start is not None for stack in planned.stacks if stack.cut == cut)


def _record_end(sweep: Path) -> None:
    """Forget the stacks that have ended."""
    kept = Kept.in_folder(sweep, whole=False)
    if kept.record is None:
        return
    cuts = tuple(cut for cut in kept.record.cuts if any(f not in kept.finished for f in cut.fingerprints))
    write_sweep(sweep, replace(kept.record, cuts=cuts))
    remove_others(sweep, [Checkpoints(sweep, cut.fingerprints) for cut in cuts])


def _wanted(run: Run, folder: str, departed: tuple[str, ...]) -> Wanted:
    setting = run.identity.setting
    return Wanted(run.job, run.fingerprint, setting, run.config.seed, folder, run.overrides, run.choices, departed)


def _composed(words: Sequence[str]) -> Composed:
    """What Hydra composes of some words, in the command that it has begun."""
    config = cast("Loader", GlobalHydra.instance().config_loader()).load_base("config", list(words))
    choices = {k: str(v) for k, v in config.hydra.runtime.choices.items() if v is not None}
    sweeper = OmegaConf.to_container(config.hydra.sweeper)
    assert isinstance(sweeper, dict)
    return Composed(values_of(config), choices, {str(key): value for key, value in sweeper.items()})


def _say_what_is_there(planned: Plan) -> None:
    """Say what is not done again."""
    onward = [stack for stack in planned.stacks if stack.start is not None]
    told = [f"{len(planned.finished)} finished already"] if planned.finished else []
    for epoch in sorted({stack.start.epoch for stack in onward if stack.start is not None}):
        count = sum(len(s.missing()) for s in onward if s.start is not None and s.start.epoch == epoch)
        told.append(f"{count} go on in epoch {epoch}")
    left = sum(len(stack.missing()) for stack in planned.stacks)
    if told:
        verbosity.note(f"{left} runs to train; {', '.join(told)}")


def run_single(config: DictConfig) -> str | Objective:
    """Train one job that another launcher started, in Hydra's output folder of the job.

    Returns:
        The folder of the run, or what a search goes by.
    """
    job = copy.copy(config)
    with read_write(job), open_dict(job):
        job.hydra = HydraConfig.instance().cfg.hydra  # type: ignore[union-attr]
    # Where `hydra.job.chdir` has gone elsewhere, paths still mean what they mean on the command line.
    with chdir(job.hydra.runtime.cwd):
        run = run_of(Job.of(job))
        if job.hydra.mode == RunMode.RUN or not is_search(job):
            return str(_run_single(run, threads=None if job.hydra.mode == RunMode.RUN else 1).folder)
        return _run_searched(run, job)


def _run_searched(run: Run, job: DictConfig) -> Objective:
    """A run of a search that another launcher started. The table comes when the search has ended."""
    try:
        fingerprint = _run_single(run, threads=1, is_searched=True).fingerprint
    except RunFailed:
        if run.config.on_error == "stop":
            raise
        return objective(run.config, None, directions(job))
    finished = finished_runs(run.config.output_dir, whole=False)
    return objective(run.config, finished.get(fingerprint), directions(job))


def _run_single(run: Run, threads: int | None, is_searched: bool = False) -> Run:
    if run.config.task == "samples":
        _show_samples([run])
        return run
    here = Here()
    surveyed = here.survey([run])
    sweep = run.config.output_dir
    here.check(Kept.in_folder(sweep, whole=False))
    with locked(run.folder) as lock, _told_when_interrupted(run, is_searched):
        kept = Kept.in_folder(sweep)
        planned = here.plan(replace(kept, names=kept.names - {run.folder.name}), threads)
        if run.config.task == "plan":
            print(describe(planned))
            remove(lock)
            return surveyed.runs[0]
        # Jobs that begin or end together write one after the other.
        with locked(sweep, wait=True):
            _record(surveyed, planned, Kept.in_folder(sweep), is_searched)
            tracking = SweepTracking.begun(run.config)
        with heeded() as interruption, tracking.ended(planned.runs()):
            # A process of joblib's can start no workers.
            failures = execute(planned, here, interruption, tracking.ids, in_place=True)
        remove(lock)  # the folder is what our launcher leaves
    for error in failures.values():
        raise error
    with locked(sweep, wait=True):
        if not is_searched:
            print(_report(sweep))
        _record_end(sweep)
    return surveyed.runs[0]


def run_of(job: Job) -> Run:
    """The run that a job describes.

    Raises:
        UserError: a key is unknown or a value out of range.
    """
    pairs = (word.lstrip("+~").partition("=") for word in job.words)
    return Run(
        job=job.number,
        config=job.run or _run_config(job.config()),
        folder=job.folder,
        overrides={key: value for key, _, value in pairs},
        choices={k: str(v) for k, v in job.choices.items() if not k.startswith("hydra/") and v is not None},
    )


def _run_config(config: DictConfig) -> RunConfig:
    values = OmegaConf.to_container(config, resolve=True)
    assert isinstance(values, dict)
    return run_config({str(k): v for k, v in values.items() if k != "hydra"})


def _report(sweep: Path) -> str:
    """Draw what is missing or older than its records, and write the tables of a sweep; its table as text."""
    from triplicate.reports import report  # only here: matplotlib takes a second that training need not wait for

    return report.write_sweep(sweep, terminal_width()).text


def _check_directory(jobs: Sequence[Job], settings: Sequence[DictConfig]) -> None:
    """A process is in one folder, so no run can have its own; and a sweep has one folder."""
    if any(setting.hydra.job.chdir for setting in settings):
        problem = "runs train together in one process"
        raise UserError("hydra.job.chdir", problem, "leave it false, or choose hydra/launcher=basic")
    if len({job.folder.parent.parent for job in jobs}) > 1:
        raise UserError("output_dir", "it is not the same for all runs", "give the sweep one folder")


def _environment(settings: Sequence[DictConfig]) -> dict[str, str]:
    """The variables that `hydra.job.env_set` gives the jobs, the same to all of them."""
    given = []
    for setting in settings:
        with as_current(setting):
            values = OmegaConf.to_container(setting.hydra.job.env_set, resolve=True)
        assert isinstance(values, dict)
        given.append({str(name): str(value) for name, value in values.items()})
    for name in sorted({name for values in given for name in values}):
        if len({values.get(name) for values in given}) > 1:
            problem = f"runs train together in one process, and {name} is not the same for all"
            raise UserError("hydra.job.env_set", problem, "give it one value, or choose hydra/launcher=basic")
    return given[0]


@contextmanager
def _hydra_folders_written(jobs: Sequence[Job], planned: Plan) -> Iterator[None]:
    """What Hydra's own launchers leave in `.hydra/` of a job is written where an earlier start has not: beside what is
    done inside, where that waits for workers, and before it, where it computes.
    """
    folders = {run.job: run.folder for run in planned.runs()}
    subdir = jobs[0].config().hydra.output_subdir
    if subdir is None:
        yield
        return
    left = [(job, folders[job.number] / subdir) for job in jobs if job.number in folders]
    left = [(job, folder) for job, folder in left if not (folder / _OVERRIDES).is_file()]
    if planned.workers == 1:  # it may be this process that computes
        for job, folder in left:
            _write_hydra_folder(job, folder)
        yield
        return
    ends = threading.Event()

    def write() -> None:
        for job, folder in left:
            if ends.is_set():
                return  # the next start writes what is missing
            _write_hydra_folder(job, folder)

    with ThreadPoolExecutor(1) as beside:
        written = beside.submit(write)
        try:
            yield
        except BaseException:
            ends.set()
            raise
        written.result()


def _write_hydra_folder(job: Job, folder: Path) -> None:
    config = job.config()
    folder.mkdir(parents=True, exist_ok=True)
    with read_write(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(folder.parent)
    parts: Mapping[str, object] = {
        "config.yaml": OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"]),
        "hydra.yaml": OmegaConf.masked_copy(config, "hydra"),
        _OVERRIDES: config.hydra.overrides.task,  # last: it tells that all is there
    }
    for name, part in parts.items():
        atomic.write_text(folder / name, OmegaConf.to_yaml(part))


def _returns(jobs: Sequence[Job], runs: Sequence[Run]) -> list[JobReturn]:
    """The folder of each run."""
    return [_job_return(job, str(run.folder)) for job, run in zip(jobs, runs, strict=True)]


def _objectives(config: DictConfig, jobs: Sequence[Job], runs: Sequence[Run], surveyed: Survey) -> list[JobReturn]:
    """What a search goes by."""
    finished = finished_runs(runs[0].config.output_dir, whole=False)
    return [
        _job_return(job, objective(run.config, finished.get(fingerprint), directions(config)))
        for job, run, fingerprint in zip(jobs, runs, surveyed.asked, strict=True)
    ]


def _job_return(job: Job, value: str | Objective) -> JobReturn:
    job_return = JobReturn(
        overrides=list(job.words),
        working_dir=str(Path.cwd()),
        task_name=JobRuntime.instance().get("name"),
        status=JobStatus.COMPLETED,
    )
    job_return.return_value = value
    return job_return


@contextmanager
def _told_when_interrupted(run: Run, is_searched: bool) -> Iterator[None]:
    """Say after an interruption what is kept, and how to go on with a sweep, of which this is a run."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        where = f"output_dir={run.config.output_dir}" if "output_dir" in run.overrides or is_searched else "resume=last"
        but = f" and without rerun={run.config.rerun}" if run.config.rerun is not None else ""
        how = f"the same command with {where}{but} goes on"
        print(f"interrupted: what was trained is kept in {run.config.output_dir}; {how}", file=sys.stderr)
        raise


@contextmanager
def _leftovers_removed(sweep: Path) -> Iterator[None]:
    """Before and after, nothing is left of processes that were killed: half-written files and shared data."""
    _remove_leftovers(sweep)
    try:
        yield
    finally:
        _remove_leftovers(sweep)


def _remove_leftovers(sweep: Path) -> None:
    atomic.remove_partial(sweep)
    for folder in sweep.glob(f"{workers.DATA}*"):
        shutil.rmtree(folder, ignore_errors=True)
