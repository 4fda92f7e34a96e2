"""A sweep with all that a page can show, in a few small runs."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Configure
from tests.reports.sweeps import OnDisk, wanted
from triplicate.records.run_folder import RunFolder

TITLE = "<script>alert(1)</script> & a <b>title</b>"
NAMED = "<script>alert(2)</script>"


@pytest.fixture(scope="package")
def sweep(tmp_path_factory: pytest.TempPathFactory, configure: Configure) -> Path:
    """Three rates: of the first a seed has diverged, of the second one has failed; the third is named by markup."""
    on_disk = OnDisk(tmp_path_factory.mktemp("page") / "sweep", configure)
    runs = {rate: [wanted(rate, seed) for seed in range(3)] for rate in ("0.1", "0.01", "0.001")}
    on_disk.asked(
        [run for of in runs.values() for run in of],
        title=TITLE,
        measures=["test_accuracy", "train_loss"],
        published={"optimizer.lr=0.1": {"test_accuracy": 0.91}, "optimizer.lr=0.01": {"test_accuracy": "N/A"}},
        curves=["accuracy"],
    )
    for seed, run in enumerate(runs["0.1"]):
        diverged = {"status": "diverged", "diverged_step": 7} if seed == 2 else {}
        _trace(on_disk.finish(run, 0.9 + 0.01 * seed, **diverged), seed)
    for seed, run in enumerate(runs["0.01"][:2]):
        _trace(on_disk.finish(run, 0.8 + 0.02 * seed), seed)
    failing = RunFolder(on_disk.run(runs["0.01"][2]))
    failing.begin(on_disk.config(runs["0.01"][2]))
    failing.fail("no memory <i>left</i>", "the last line of its log")
    for seed, run in enumerate(runs["0.001"]):
        on_disk.finish(run, 0.3 + 0.02 * seed, overrides={"optimizer.lr": NAMED, "seed": str(seed)})
    return on_disk.folder


def _trace(run: Path, seed: int) -> None:
    steps = range(1, 41)
    rows = [(step, layer, "all", (seed + step) * 1e-4, step * 1e-3, 0.1) for step in steps for layer in ("all", "last")]
    columns = ["step", "layer", "parameter", "mean", "mean_absolute", "l2"]
    pd.DataFrame(rows, columns=columns).to_csv(run / "gradients.csv", index=False)
