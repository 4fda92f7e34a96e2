"""What looks at the runs of a sweep before they train, and keeps their data.

Here: in this process. The other one is `elsewhere.Elsewhere`: a process that is forked from one which has loaded torch
while Hydra composed, so that the process of the command never loads it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from triplicate.sweeps.plan import Data, DataKey, Kept, Plan, Run, Survey, check_before, plan, survey


class Planner(Protocol):
    """Looks at runs, cuts them into stacks and hands out their data; each method after those that stand before it."""

    def survey(self, runs: Sequence[Run], is_new: bool = False, is_search: bool = False) -> Survey:
        """As `plan.survey`."""

    def check(self, kept: Kept) -> None:
        """As `plan.check_before`."""

    def plan(self, kept: Kept, threads: int | None = None) -> Plan:
        """As `plan.plan`."""

    def share(self, folder: Path, wanted: Collection[DataKey]) -> Mapping[DataKey, Path]:
        """Write data sets into files of a folder, for other processes to map."""


class Here:
    """A planner in this process.

    Attributes:
        data: that was read. It is no part of what `survey` gives back, which can be sent to another process.
    """

    def __init__(self) -> None:
        self.data: Data = {}
        self._surveyed = Survey((), ())

    def survey(self, runs: Sequence[Run], is_new: bool = False, is_search: bool = False) -> Survey:
        surveyed = survey(runs, is_new, is_search)
        self._surveyed, self.data = replace(surveyed, data={}), surveyed.data
        return self._surveyed

    def check(self, kept: Kept) -> None:
        check_before(self._surveyed, kept)

    def plan(self, kept: Kept, threads: int | None = None) -> Plan:
        return plan(self._surveyed, kept, threads)

    def share(self, folder: Path, wanted: Collection[DataKey]) -> Mapping[DataKey, Path]:
        from triplicate.datasets.files import mapped  # only here: it needs torch

        files = {key: folder / f"{number}.safetensors" for number, key in enumerate(dict.fromkeys(wanted))}
        for key, file in files.items():
            mapped.write(self.data[key], file)
        return files
