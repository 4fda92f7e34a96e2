"""Sweepers that search: the number that each run gives them, and what of theirs a command may say."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.conftest import Configure
from tests.sweeps.test_sweep import small
from triplicate.cli import main
from triplicate.records.sweep_folder import finished_runs
from triplicate.sweeps.search import objective
from triplicate.training.engine import fit

# Optuna 2 is older than SQLAlchemy 2. Python shows such a warning to nobody but its tests.
pytestmark = [pytest.mark.filterwarnings("ignore:.*declarative_base:DeprecationWarning")]

SEARCH = ("hydra/sweeper=optuna", "hydra.sweeper.direction=maximize", "hydra.sweeper.sampler.seed=1")
HERE = ("train.epochs=1", "dataset.limit=100", "executor.workers=1", "device=cpu", "report.curves=[]")


def search(folder: Path, *overrides: str) -> int:
    return main(small(*SEARCH, *HERE, f"output_dir={folder}", *overrides))


def found(folder: Path) -> Any:
    return yaml.safe_load((folder / "optimization_results.yaml").read_text())


def test_a_search_goes_by_the_measure_of_its_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("optimizer.lr=tag(log,interval(0.001,1))", "optimizer=sgd,adam", "dataset.validation=0.2")
    options = (*options, "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2")
    assert search(tmp_path, *options) == 0
    summaries = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/summary.json")]
    assert {summary["seed"] for summary in summaries} == {0}
    best = max(summaries, key=lambda summary: float(summary["measures"]["validation_accuracy"]))
    assert found(tmp_path)["best_value"] == best["measures"]["validation_accuracy"]
    params = found(tmp_path)["best_params"]
    assert {key: str(value) for key, value in params.items()}.items() <= best["overrides"].items()
    frame = pd.read_csv(tmp_path / "table.csv")
    assert len(frame) == len(summaries) == 4
    assert frame["validation_accuracy_mean"].max() == pytest.approx(found(tmp_path)["best_value"])
    assert capsys.readouterr().out.count(f"{tmp_path}: table.csv") == 1

    before = found(tmp_path)
    assert search(tmp_path, *options) == 0
    assert capsys.readouterr().err.count("0 runs to train; 2 finished already") == 2
    assert found(tmp_path) == before


def test_a_search_goes_on_after_what_fails_or_diverges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And after a batch in which the same run is tried twice; with another launcher too."""

    def failing(configs: Any, *others: Any) -> Any:
        if configs[0].train.batch_size == 50:
            raise RuntimeError("broken")
        return fit(configs, *others)

    monkeypatch.setattr("triplicate.sweeps.train.fit", failing)
    for launcher, rates, trials in (("triplicate", "1e30,0.1", 14), ("basic", "0.1", 4)):
        options = (f"hydra/launcher={launcher}", f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={trials}")
        folder = tmp_path / launcher
        assert search(folder, f"optimizer.lr={rates}", "train.batch_size=50,100", *options) == 1
        told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
        assert len(told) == len(rates.split(","))
        assert all("the run failed (broken)" in line for line in told)
        table = pd.read_csv(folder / "table.csv")
        assert list(table[["n", "failed", "diverged"]].sum()) == [1, len(told), len(told) - 1]
        assert found(folder)["best_params"]["train.batch_size"] == 100


def test_a_run_without_a_number_gives_the_worst(configure: Configure) -> None:
    names = "[test_accuracy,mean_test_loss,accuracy_gap,parameters]"
    assert objective(configure(f"objective={names}"), None) == (0.0, math.inf, 1.0, math.inf)
    given = ("maximize", "minimize", "minimize", "maximize")
    assert objective(configure(f"objective={names}"), None, given) == (0.0, math.inf, 1.0, -math.inf)
    assert objective(configure(), None) == 0.0


def test_several_objectives_are_those_of_the_records(tmp_path: Path, configure: Configure) -> None:
    names = ("test_loss@1", "parameters", "best_test_accuracy")
    assert main(small("seed=0", f"output_dir={tmp_path}")) == 0
    (finished,) = finished_runs(tmp_path).values()
    metrics = pd.read_csv(finished.folder / "metrics.csv")
    expected = (metrics["test_loss"][0], 784 * 16 + 16 + 16 * 10 + 10, metrics["test_accuracy"].max())
    assert objective(configure(f"objective=[{','.join(names)}]"), finished) == expected


INSTALL = f"{sys.executable} -m pip install"
REFUSED = {
    "hydra.sweeper.direction=minimize": "hydra.sweeper.direction: it would minimize test_accuracy; let it maximize",
    "objective=test_loss": "hydra.sweeper.direction: it would maximize test_loss; let it minimize",
    "objective=acuracy": "objective: there is no 'acuracy'",
    "objective=[test_loss,test_f1]": "objective: 2 measure(s), and hydra.sweeper.direction has 1 direction(s)",
    "hydra.sweeper.direction=up": "hydra.sweeper.direction: 'up' is no direction; choose one of maximize, minimize",
    "seed=0,1": "seed: the best of several seeds is luck",
    "optimizer=glob(*)": "optimizer: a search takes no glob(…)",
    "name=a,b": "name: all runs of a sweep share it",
    "task=plan": "hydra/sweeper: it tries what is best next",
    "resume=last": "resume: a search goes on in the folder that is named",
    "hydra.sweeper.custom_search_space=os.getcwd": "hydra.sweeper.custom_search_space: a configuration names no code",
    "hydra.sweeper.sampler._target_=os.getcwd": "hydra.sweeper.sampler._target_: import paths are refused",
    "hydra/sweeper/sampler=annealing": "hydra/sweeper/sampler: no plug-in annealing is installed",
    "hydra/sweeper=nevergrad": f"the plug-in nevergrad is not installed; install it by: {INSTALL} hydra-never",
    "hydra/launcher=ray": f"hydra/launcher: the plug-in ray is not installed; install it by: {INSTALL} hydra-ray-la",
}


@pytest.mark.parametrize("override", REFUSED)
def test_what_no_search_can_be_is_refused(override: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = override.partition("=")[0]
    given = [word for word in SEARCH if word.partition("=")[0] != key]
    assert main([*given, f"output_dir={tmp_path / 'out'}", override]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert REFUSED[override] in errors
    assert not (tmp_path / "out").exists()
