"""What Hydra has composed is looked at before Hydra acts on it.

Hydra would import and call what it finds in it, and a mistake in a run that it trains alone would show only after the
folder of the run is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import yaml
from hydra._internal import hydra as hydra_internals
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_search_path import ConfigSearchPath
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, OmegaConfBaseException

from triplicate import presets
from triplicate.config import RunConfig, run_config
from triplicate.errors import UserError
from triplicate.jobs import search
from triplicate.no_code import refuse_code
from triplicate.parts import outside
from triplicate.sweeps.composed import values_of
from triplicate.sweeps.sweeper import is_search

_RUNS = "runs/"
_OURS = "hydra_plugins.triplicate_launcher.TriplicateLauncher"


class CheckedLoader(ConfigLoaderImpl):
    """Composes as Hydra does, and refuses code."""

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        try:
            config = super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        except (UserError, HydraException, OmegaConfBaseException, OSError):
            raise
        except Exception as error:  # a file of --config-dir may hold anything
            raise _not_composed(error) from error
        refuse_code(config)
        self.check(config, run_mode)
        return config

    def check(self, config: DictConfig, run_mode: RunMode) -> None:
        """Refuse what else is wrong with a configuration, for what it will be used for."""


def _not_composed(error: Exception) -> UserError:
    if isinstance(error, KeyError):
        return UserError("hydra.job.env_copy", f"the environment has no {error}", "set it, or leave it out")
    if isinstance(error, RecursionError):
        return UserError("defaults", "a file names itself, or one that names it", "mend its defaults list")
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return UserError(str(mark.name), f"line {mark.line + 1}: {error.problem}", "mend the file")
    return UserError("configuration", f"it cannot be composed ({_told(error)})", "mend the value or file")


def _told(error: BaseException) -> str:
    """An error with its cause, in a line."""
    cause = f": {error.__cause__}" if error.__cause__ is not None else ""
    return " ".join(f"{type(error).__name__}: {error}{cause}".split())


class RunLoader(CheckedLoader):
    """For configurations that will be trained: a run with a mistake is refused as soon as it is composed.

    Some launchers take it to other processes, which have not loaded the parts from outside yet.
    """

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self._brought = outside.Brought.of_this_process()

    def check(self, config: DictConfig, run_mode: RunMode) -> None:
        self._check_common(config)
        if run_mode is not RunMode.RUN:
            _refuse_without_effect(config)
            if is_search(config):
                search.check(config)
            return
        try:
            values = values_of(config)
        except InterpolationToMissingValueError:
            return  # what is known only when it is launched is checked then
        self.check_values(values, config.hydra, config.hydra.overrides.task)

    def load_base(self, config_name: str | None, overrides: list[str]) -> DictConfig:
        """What jobs of a sweep have in common. It is checked as a job is, but for its values, which differ.

        Raises:
            UserError, HydraException, OmegaConfBaseException: it cannot be composed, or not all by itself.
        """
        config = ConfigLoaderImpl.load_configuration(self, config_name, overrides, RunMode.RUN)
        refuse_code(config)
        self._check_common(config)
        return config

    def check_values(self, values: Mapping[str, Any], hydra: DictConfig, words: Sequence[str]) -> RunConfig:
        """A run by itself, or a job of a sweep, can be trained as far as its values tell.

        Args:
            values: all of its configuration but Hydra's own.
            words: what was set for it, as typed.

        Raises:
            UserError: it cannot.
        """
        run = run_config(values)
        is_given = any(word.lstrip("+").startswith(("activation=", "activation.")) for word in words)
        if is_given and not run.model.uses_activation(run.activation.name):
            name = hydra.runtime.choices.get("model", run.model.name)
            raise UserError("activation", f"model {name} has none", "leave it out")
        is_alone = hydra.mode is RunMode.RUN
        if is_alone and run.resume is not None:
            raise UserError("resume", "a run by itself is in no sweep", "leave resume or hydra.mode=RUN out")
        return run

    def _check_common(self, config: DictConfig) -> None:
        self._brought.load()
        _refuse_other_folders(config)


class _Hydra(hydra_internals.Hydra):
    """Knows its mode from the command line, and need not compose everything once more to learn it."""

    mode: ClassVar[RunMode]
    composed: ClassVar[list[DictConfig]]

    def get_mode(self, config_name: str | None, overrides: list[str]) -> RunMode:
        return self.mode

    def compose_config(self, *arguments: Any, **named: Any) -> DictConfig:
        try:
            config = super().compose_config(*arguments, **named)
            self.composed.append(config)
            return config
        except (UserError, HydraException, OmegaConfBaseException, OSError):
            raise
        except Exception as error:  # logging may refuse its configuration in many ways
            problem = f"it cannot be set up ({_told(error)})"
            raise UserError(
                "hydra.hydra_logging", problem, "see triplicate --cfg hydra -p hydra.hydra_logging"
            ) from error

    def multirun(self, *arguments: Any, **named: Any) -> Any:
        returned = super().multirun(*arguments, **named)
        if is_search(self.composed[-1]):
            from triplicate.sweeps.search import conclude  # it loads torch

            conclude(Path(str(self.composed[-1].hydra.sweep.dir)))
        return returned


@contextmanager
def trained(run_mode: RunMode, composed: list[DictConfig]) -> Iterator[None]:
    """Inside, Hydra composes runs with a loader that checks them.

    Args:
        composed: where the configuration of the sweep is added.
    """
    _Hydra.mode, _Hydra.composed = run_mode, composed
    with _replaced("ConfigLoaderImpl", RunLoader), _replaced("Hydra", _Hydra):
        yield


@contextmanager
def shown(cfg: str | None, package: str | None) -> Iterator[None]:
    """Inside, Hydra composes a configuration to show it.

    Args:
        cfg: what of it is asked for by --cfg: job, hydra or all.
        package: the part of that; None: all.
    """
    with _replaced("ConfigLoaderImpl", _showing(cfg, package)), _replaced("Hydra", _ShownHydra):
        yield


class _ShownHydra(hydra_internals.Hydra):
    """Composes before it prints, so that a mistake is told by itself."""

    def show_info(
        self, info: str, config_name: str | None, overrides: list[str], run_mode: RunMode = RunMode.RUN
    ) -> None:
        self.compose_config(config_name, overrides, run_mode, with_log_configuration=False)
        super().show_info(info, config_name, overrides, run_mode)


@contextmanager
def _replaced(name: str, cls: type[Any]) -> Iterator[None]:
    """Inside, Hydra works with our class in the place of its own."""
    before = getattr(hydra_internals, name)
    setattr(hydra_internals, name, cls)
    try:
        yield
    finally:
        setattr(hydra_internals, name, before)


def _showing(cfg: str | None, package: str | None) -> type[CheckedLoader]:
    """A loader that knows what will be shown, and refuses what is not there."""

    class ShownLoader(CheckedLoader):
        def check(self, config: DictConfig, run_mode: RunMode) -> None:
            if package not in (None, "_global_") and not _is_there(config, cfg, str(package)):
                raise UserError("--package", f"there is no {package!r} to show", "see triplicate --cfg all")

    return ShownLoader


def _is_there(config: DictConfig, cfg: str | None, package: str) -> bool:
    is_hydra = package.partition(".")[0] == "hydra"
    if not package or (cfg == "job" and is_hydra) or (cfg == "hydra" and not is_hydra):
        return False
    try:
        return OmegaConf.select(config, package) is not None
    except Exception:  # OmegaConf raises much where a key is none
        return False


def _refuse_other_folders(config: DictConfig) -> None:
    """Where runs go follows from output_dir alone, whatever a preset says."""
    ours, hydra = presets.hydra_settings(), OmegaConf.to_container(config.hydra)
    assert isinstance(hydra, dict)
    for group, key in (("run", "dir"), ("sweep", "dir"), ("sweep", "subdir")):
        found = str(hydra[group].get(key))
        if found != ours[group][key] and not (key == "subdir" and _is_run_folder(found)):
            raise UserError(f"hydra.{group}.{key}", "the folders of runs follow from output_dir", "give output_dir=DIR")
    if hydra["job"]["name"] != ours["job"]["name"]:
        raise UserError("hydra.job.name", "a sweep is called by its key name", "write name: NAME")
    subdir = hydra["output_subdir"]
    if subdir is not None and ("/" in subdir or subdir in ("", ".", "..")):
        raise UserError("hydra.output_subdir", f"{subdir!r} is no plain name", "give one, such as .hydra, or null")


# What Hydra does for each job that it starts, and our launcher starts none.
_OF_A_JOB = ("hydra.job_logging", "hydra/job_logging", "hydra.job.env_copy")


def _refuse_without_effect(config: DictConfig) -> None:
    """What a command says of jobs that train one by one, where they train together."""
    if config.hydra.launcher.get("_target_") != _OURS:
        return
    for word in config.hydra.overrides.hydra:
        key = str(word).lstrip("+~").partition("=")[0]
        if key.startswith(_OF_A_JOB):
            problem = "it has no effect where runs train together in one process"
            raise UserError(key, problem, "leave it out, or choose hydra/launcher=basic")


def _is_run_folder(folder: str) -> bool:
    """Whether it is one that our sweeper has named."""
    name = folder.removeprefix(_RUNS)
    return folder.startswith(_RUNS) and "/" not in name and not name.startswith(".")
