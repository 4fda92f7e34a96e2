"""Hydra's basic sweeper, less its trial composition of every job.

The launcher composes and checks all jobs before it writes anything, and takes away the folder that the sweeper has
made if one of them is wrong. A trial before that would cost 0.06 s a job, and would leave the folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins import basic_sweeper
from hydra.core.config_store import ConfigStore


@dataclass
class TriplicateSweeperConf(basic_sweeper.BasicSweeperConf):
    """`hydra/sweeper=triplicate`."""

    _target_: str = "hydra_plugins.triplicate_sweeper.TriplicateSweeper"


ConfigStore.instance().store(
    group="hydra/sweeper", name="triplicate", node=TriplicateSweeperConf, provider="triplicate"
)


class TriplicateSweeper(basic_sweeper.BasicSweeper):
    """Every combination of the values given, for the launcher all at once."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        # By name: Hydra loads its plug-ins apart from sys.modules, so that an import here would give another class.
        if type(self.launcher).__name__ != "TriplicateLauncher":
            super().validate_batch_is_legal(batch)
