"""Where Hydra finds our launcher. Hydra imports this at every start, so it is short; the work is elsewhere.

Hydra does not enter this module into sys.modules, which dataclasses with postponed annotations would need.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class TriplicateLauncherConf:
    """`hydra/launcher=triplicate`."""

    _target_: str = "hydra_plugins.triplicate_launcher.TriplicateLauncher"


ConfigStore.instance().store(
    group="hydra/launcher", name="triplicate", node=TriplicateLauncherConf, provider="triplicate"
)


class TriplicateLauncher(Launcher):
    """Gets all jobs of a multirun at once and trains together those that can be."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from triplicate.lazy import importing
        from triplicate.sweeps import server
        from triplicate.sweeps.composed import compose

        # All jobs, so that a mistake is told before torch is loaded.
        setup_globals()
        jobs = compose(self.hydra_context.config_loader, self.config, job_overrides, initial_job_idx)
        if self.config.hydra.job.env_set:
            server.stop()  # libraries read their variables when they are loaded: another one is started with these
        elif len(jobs) > 1 and self.config.task in ("train", "plan"):
            server.start()
        with importing():
            from triplicate.sweeps.launcher import launch

        return launch(self.config, jobs)
