"""Hydra's basic sweeper with rows, and without its trial composition of every job.

A table is seldom the product of its axes: `hydra.sweeper.rows` lists settings that belong together, and every
one is combined with all values of `hydra.sweeper.params`. A key given on the command line takes the place of
that key in every row.

The launcher composes and checks all jobs before it writes anything, and takes away the folder that the sweeper has
made if one of them is wrong. A trial before that would take longer, and would leave the folder.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins import basic_sweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override


@dataclass
class TriplicateSweeperConf(basic_sweeper.BasicSweeperConf):
    """`hydra/sweeper=triplicate`."""

    _target_: str = "hydra_plugins.triplicate_sweeper.TriplicateSweeper"
    rows: list[dict[str, Any]] = field(default_factory=list)


ConfigStore.instance().store(
    group="hydra/sweeper", name="triplicate", node=TriplicateSweeperConf, provider="triplicate"
)


class TriplicateSweeper(basic_sweeper.BasicSweeper):
    """Every combination of the values given, in every row, for the launcher all at once."""

    def __init__(
        self,
        max_batch_size: int | None,
        params: dict[str, str] | None = None,
        rows: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(max_batch_size, params)
        self.rows = rows

    def split_arguments(  # type: ignore[override]
        self, overrides: list[Override], max_batch_size: int | None
    ) -> list[list[list[str]]]:
        given = {override.get_key_element() for override in overrides}
        jobs = [job for batch in super().split_arguments(overrides, None) for job in batch]
        combined = combine(self.rows, given, jobs)
        return [list(batch) for batch in self.split_overrides_to_chunks(combined, max_batch_size)]

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        # By name: Hydra loads its plug-ins apart from sys.modules, so that an import here would give another class.
        if type(self.launcher).__name__ != "TriplicateLauncher":
            super().validate_batch_is_legal(batch)


def combine(
    rows: Sequence[Mapping[str, Any]], given: Collection[str], jobs: Sequence[Sequence[str]]
) -> list[list[str]]:
    """Every row with every job, as overrides: row by row.

    Args:
        rows: key → value of each; none is one empty row.
        given: keys that the command line or the preset sets otherwise; rows do not set these. Rows that are
            equal without them are one.
        jobs: the overrides of each combination of the other axes.
    """
    settings = [[f"{key}={value}" for key, value in row.items() if key not in given] for row in rows or [{}]]
    distinct = [setting for number, setting in enumerate(settings) if setting not in settings[:number]]
    return [[*setting, *job] for setting in distinct for job in jobs]
