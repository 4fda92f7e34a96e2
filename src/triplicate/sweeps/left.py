"""What is left to train of a sweep, told before it begins, and without reading the files of finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from triplicate.config import RunConfig, as_plain, identity
from triplicate.datasets import Dataset
from triplicate.measures.shared.names import evaluated
from triplicate.records.run_folder import Damaged
from triplicate.records.sweep_folder import Finished, finished_runs, read_sweep_record
from triplicate.sweeps.plan import DataKey, Run, group, load
from triplicate.training import devices

Loaded = dict[DataKey, Dataset]


@dataclass(frozen=True)
class Left:
    """What is left to do for a sweep.

    Attributes:
        runs: that are missing.
        cost: of these, in multiply-adds.
        ends_early: some of them may end before their last epoch, so that this is the most they cost.
        is_shown: the folder has the tables and plots that the configuration asks for.
    """

    runs: int
    cost: float
    ends_early: bool
    is_shown: bool

    @property
    def is_nothing(self) -> bool:
        return self.runs == 0 and self.is_shown


def left(runs: Sequence[Run], folder: Path, loaded: Loaded) -> Left:
    """Compare the runs of a command with those that are finished in a folder.

    A run that was trained on another kind of device counts too, unless the configuration names one.

    Args:
        loaded: data sets that are read already; what is read here is added.

    Raises:
        UserError: data that is not there, or a model that does not fit.
    """
    first = runs[0].config
    if first.task == "samples":
        return Left(0, 0.0, False, (folder / "samples.png").is_file())
    for run in runs:
        if run.data_key not in loaded:
            loaded.update(load([run]))
    finished = finished_runs(folder, whole=False)
    missing = [run for run in runs if not _is_there(run, loaded, finished)]
    cost = sum(found.cost.of_stack(len(found.runs)) for found in group(missing, loaded))
    return Left(len(missing), cost, any(run.config.stopping.ends_early for run in missing), _is_shown(first, folder))


def _is_there(run: Run, loaded: Loaded, finished: dict[str, Finished]) -> bool:
    config, content = run.config, loaded[run.data_key].content
    kinds = ("cpu", "cuda") if config.device == "auto" else (devices.kind(config),)
    found = next((finished[f] for k in kinds if (f := identity(config, content, k).fingerprint) in finished), None)
    return found is not None and set(evaluated(config.measured)) <= set(found.measured)


def _is_shown(config: RunConfig, folder: Path) -> bool:
    try:
        record = read_sweep_record(folder)
    except Damaged:
        return False
    return record is not None and record.report == as_plain(config)["report"] and (folder / "table.csv").is_file()
