"""Where Hydra finds our sweeper. Hydra imports this at every start, so it is short; the work is elsewhere.

It differs from Hydra's basic sweeper in its rows: a table is seldom the product of its axes, and `hydra.sweeper.rows`
lists settings that belong together. Every one is combined with all values of `hydra.sweeper.params`. A key given on the
command line takes the place of that key in every row. And it writes nothing before the launcher begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class TriplicateSweeperConf(BasicSweeperConf):
    """The keys of `hydra/sweeper=triplicate`; conf/ has their defaults."""

    _target_: str = "hydra_plugins.triplicate_sweeper.TriplicateSweeper"
    rows: list[dict[str, Any]] = field(default_factory=list)


ConfigStore.instance().store(
    group="hydra/sweeper", name="triplicate_keys", node=TriplicateSweeperConf, provider="triplicate"
)


class TriplicateSweeper(Sweeper):
    """Every combination of the values given, in every row, for the launcher all at once."""

    def __init__(self, max_batch_size: int | None, params: Any = None, rows: Any = ()) -> None:
        """Hydra hands over the keys of hydra.sweeper; they are read from there."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        from hydra.core.plugins import Plugins

        if config.get("resume") == "last":
            from triplicate.jobs.sweep import resume

            resume(config)
        self.hydra_context = hydra_context
        self.config = config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> list[Sequence[JobReturn]]:
        from triplicate.jobs.sweep import sweep

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.launcher is not None
        return sweep(self.config, self.hydra_context.config_loader, self.launcher, arguments)
