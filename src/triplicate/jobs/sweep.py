"""One sweep: its jobs are made and checked, handed to a launcher, and asked how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from triplicate.config.check import check_name
from triplicate.errors import RunFailed, RunsFailed, UserError
from triplicate.jobs import words
from triplicate.jobs.axes import check_axis, check_count, check_countable
from triplicate.jobs.choices import check_choice, refuse_code
from triplicate.jobs.names import folder_names
from triplicate.jobs.rows import check_rows, combine, typed
from triplicate.sweeps.composed import compose


def sweep(
    config: DictConfig,
    loader: ConfigLoader,
    launcher: Launcher,
    arguments: Sequence[str],
) -> list[Sequence[JobReturn]]:
    """Launch every job of a sweep; what the launcher gives back, batch by batch.

    Raises:
        UserError: a job is wrong; nothing has been launched or written.
        RunFailed: a run failed.
    """
    # Read before any job is composed: the time in its name is that of now, and all jobs have it from here.
    folder = _folder(config)
    jobs = jobs_of(config, loader, arguments)
    # By name: Hydra may load its plug-ins apart from sys.modules, so that an import here would give another class.
    is_ours = type(launcher).__name__ == "TriplicateLauncher"
    # Ours composes and checks them all before it begins.
    if not is_ours:
        compose(loader, config, jobs)
        _write_multirun(config, folder)
    size = _batch_size(config) or len(jobs)
    returns = []
    for first in range(0, len(jobs), size):
        returns.append(launcher.launch(jobs[first : first + size], initial_job_idx=first))
        _raise_failures(returns[-1])
    return returns


def _folder(config: DictConfig) -> Path:
    """The folder of the sweep. What it is made of is looked at first, so that a mistake is told by its own key."""
    check_name(str(config.name))
    if config.output_dir is None:
        raise UserError("output_dir", "null is not a folder", "name one, or leave it out")
    return Path(str(config.hydra.sweep.dir))


def jobs_of(config: DictConfig, loader: ConfigLoader, arguments: Sequence[str]) -> list[list[str]]:
    """The overrides of every job: the axes, and the name of its folder."""
    sweeper = config.hydra.sweeper
    params = _plain(sweeper.params) or {}
    overrides = [*_params(params, loader), *(words.read(argument) for argument in arguments)]
    for override in overrides:
        check_countable(override)
        override.config_loader = loader  # it knows what a pattern is compared with
    rows = _plain(sweeper.get("rows")) or []
    check_rows(rows)
    check_count(overrides, len(rows))
    given = {override.get_key_element() for override in overrides}
    ((*combinations,),) = BasicSweeper.split_arguments(overrides, None)
    jobs = combine(rows, given, combinations)
    _check_distinct(jobs)
    resumed = [f"output_dir={typed(str(config.output_dir))}"] if config.get("resume") == "last" else []
    return [
        [*job, *resumed, f"hydra.sweep.subdir='runs/{name}'"]
        for job, name in zip(jobs, folder_names(jobs), strict=True)
    ]


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _params(params: Mapping[str, Any], loader: ConfigLoader) -> list[Override]:
    """The axes of a configuration; those of a command were checked before anything was composed."""
    overrides, groups = [], loader.list_groups("")
    for key, value in params.items():
        override = words.read(f"{key}={value if isinstance(value, str) else typed(value)}")
        names = loader.get_group_options(override.key_or_group, results_filter=ObjectType.CONFIG)
        refuse_code(override)
        check_axis(override, names)
        if override.key_or_group in groups:
            check_choice(override, names)
        overrides.append(override)
    return overrides


def _check_distinct(jobs: Sequence[Sequence[str]]) -> None:
    seen = set()
    for job in jobs:
        if tuple(job) in seen:
            raise UserError(", ".join(job), "this run is given twice", "give each value of a sweep once")
        seen.add(tuple(job))


def _batch_size(config: DictConfig) -> int | None:
    size = config.hydra.sweeper.get("max_batch_size")
    if size is None or (isinstance(size, int) and size > 0):
        return size
    raise UserError("hydra.sweeper.max_batch_size", f"{size!r} is no number of jobs", "give one above 0, or null")


def _write_multirun(config: DictConfig, folder: Path) -> None:
    """What Hydra's sweepers leave; our launcher writes it itself, when the sweep begins."""
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")


def _raise_failures(returns: Sequence[JobReturn]) -> None:
    """Raise what ended a job; of several a mistake of the user, or else one error that names them all."""
    failed = [job for job in returns if job.status is JobStatus.FAILED]
    errors: list[Exception] = [job._return_value for job in failed]
    if len(errors) == 1:
        raise errors[0]
    for error in errors:
        if isinstance(error, UserError):
            raise error
    if errors:
        raise RunsFailed([_as_failed(job) for job in failed])


def _as_failed(job: JobReturn) -> RunFailed:
    error = job._return_value
    if isinstance(error, RunFailed):
        return error
    folder = OmegaConf.select(job.hydra_cfg, "hydra.runtime.output_dir") if job.hydra_cfg is not None else None
    return RunFailed(str(folder), " ".join(f"{type(error).__name__}: {error}".split()))


def resume(config: DictConfig) -> None:
    """Let a configuration with resume=last go on in the newest sweep of its name.

    Raises:
        UserError: there is none, or a folder is given besides.
    """
    check_name(str(config.name))
    raw = OmegaConf.to_container(config)
    assert isinstance(raw, Mapping)
    if "${now:" not in str(raw["output_dir"]):
        raise UserError("resume", "a folder is named by output_dir too", "give one of the two")
    parent = Path(str(config.output_dir)).parent
    sweeps = sorted(file.parent for file in parent.glob("*/sweep.json"))
    if not sweeps:
        raise UserError("resume", f"no sweep of the name {config.name} is in {parent}", "leave resume out")
    with read_write(config), open_dict(config):
        config.output_dir = str(sweeps[-1])
