"""What experiments would train: their runs as the command line would compose them, and what is left of these."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from triplicate import presets
from triplicate.composition import trained
from triplicate.datasets.files import places
from triplicate.hydra_errors import hydra_errors
from triplicate.jobs.rows import typed
from triplicate.jobs.sweep import jobs_of
from triplicate.lazy import importing
from triplicate.parts import outside, registry
from triplicate.sweeps.composed import compose

if TYPE_CHECKING:
    from triplicate.sweeps.left import Left, Loaded
    from triplicate.sweeps.plan import Run


@dataclass
class Workload:
    """Looks at one experiment after the other, and reads each data set once.

    Attributes:
        beside: a folder with more presets, as --config-dir names it.
    """

    beside: Path | None = None
    _loaded: Loaded = field(init=False, default_factory=dict)

    def left(self, words: Sequence[str], folder: Path) -> Left:
        """What is left to train.

        Args:
            words: overrides, one of them the experiment, and none its folder.
            folder: of the sweep.

        Raises:
            UserError: a mistake in them, or data that is not there.
        """
        with importing():
            from triplicate.sweeps.left import left  # it loads torch
        return left(self._runs([*words, f"output_dir={typed(str(folder))}"]), folder, self._loaded)

    def _runs(self, words: Sequence[str]) -> list[Run]:
        from triplicate.sweeps.launcher import run_of

        searched = [f"hydra.searchpath={typed([f'file://{self.beside.absolute()}'])}"] if self.beside else []
        with _hydra(self.beside):
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            config = hydra.compose_config("config", [*words, *searched], RunMode.MULTIRUN, from_shell=False)
            jobs = jobs_of(config, hydra.config_loader, list(config.hydra.overrides.task))
            return [run_of(job) for job in compose(hydra.config_loader, config, jobs)]


@contextmanager
def _hydra(beside: Path | None) -> Iterator[None]:
    """Inside, Hydra composes what will be trained."""
    start = initialize_config_dir(str(presets.CONF), version_base="1.3")
    with hydra_errors(beside), outside.composed(), trained(RunMode.MULTIRUN, []), start:
        yield


def stamp(words: Sequence[str], beside: Path | None = None, data_dir: Path | None = None) -> str | None:
    """A hash of all that a command is made of: its words, the configuration files, the code, and where its data are.

    Of the data it sees whether files came or went, and does not read them.

    Args:
        words: overrides that bear on what is trained.
        data_dir: that they name.

    Returns:
        None where more bears on it: other data than that of the experiments, or parts from outside.
    """
    if any(word.lstrip("+").startswith("dataset") for word in words) or registry.from_outside():
        return None
    hashed = hashlib.sha256("\n".join(words).encode())
    for root, kind in [(Path(__file__).parent, "*.py"), *((folder, "*.yaml") for folder in presets.folders(beside))]:
        for file in sorted(root.rglob(kind)):
            content = file.read_bytes()
            hashed.update(f"\n{file.relative_to(root)} {len(content)}\n".encode() + content)
    for root in places.folders(data_dir, places.cache_dir() / "datasets"):
        for at, _, files in os.walk(root):
            hashed.update(f"\n{at} {Path(at).stat().st_mtime_ns} {len(files)}".encode())
    return hashed.hexdigest()[:16]
