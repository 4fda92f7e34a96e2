"""Runs for Weights & Biases, on disk: `wandb sync` sends them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hydra.core.utils import env_override

from triplicate.parts import key, part
from triplicate.trackers import Ending, RunLog, TrackedEpoch, TrackedRun, Tracker


@part("wandb")
@dataclass(frozen=True)
class Wandb(Tracker):
    """Weights & Biases, offline: a run is written when it has ended, and nothing is sent before wandb sync."""

    package: ClassVar[str] = "wandb"
    extra: ClassVar[str] = "wandb"

    folder: Path | None = key("where the folder wandb goes; null: $WANDB_DIR, else trackers in the folder of the sweep")
    project: str | None = key("of the runs; null: $WANDB_PROJECT, else the name of the sweep, with - for /")

    def place(self) -> str:
        return f"{self._folder() or ''} {self.project or os.environ.get('WANDB_PROJECT')}"

    def begin(self, run: TrackedRun, known: str | None, epochs: Sequence[TrackedEpoch]) -> RunLog:
        project = self.project or os.environ.get("WANDB_PROJECT") or run.sweep.name.replace("/", "-")
        folder = self._folder() or run.sweep.folder / "trackers"
        return _Log(folder, project, run, list(epochs))

    def _folder(self) -> Path | None:
        named = os.environ.get("WANDB_DIR")
        return self.folder.absolute() if self.folder else Path(named).absolute() if named else None


@dataclass
class _Log(RunLog):
    """What is written at the end: nobody can look at it earlier, and so it holds each epoch once, however often the
    run was interrupted; and a process has one run of wandb at a time, however many its stack has.
    """

    folder: Path
    project: str
    run: TrackedRun
    epochs: list[TrackedEpoch]

    def log(self, epochs: Sequence[TrackedEpoch]) -> None:
        self.epochs += epochs

    def end(self, ending: Ending, measures: Mapping[str, float], cause: str = "") -> None:
        if ending is Ending.INTERRUPTED:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # Or else wandb reports its own errors to its makers.
        with env_override({"WANDB_ERROR_REPORTING": "false"}):
            self._write(ending, measures, cause)

    def _write(self, ending: Ending, measures: Mapping[str, float], cause: str) -> None:
        import wandb

        quiet = wandb.Settings(
            console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
        )
        written = wandb.init(
            mode="offline",
            dir=str(self.folder),
            project=self.project,
            group=self.run.sweep.label,
            name=self.run.name,
            config=dict(self.run.parameters),
            reinit="create_new",
            settings=quiet,
        )
        for epoch in self.epochs:
            row = {"epoch": epoch.number, **epoch.measures, "_timestamp": epoch.time}
            written.log(row, step=epoch.number, commit=True)  # else it would stand behind the summary
        written.summary.update({**measures, "status": str(ending)} | ({"cause": cause} if cause else {}))
        written.finish(exit_code=0 if ending is Ending.FINISHED else 1)
