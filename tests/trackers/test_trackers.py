"""Trackers hold what the run folders hold, once, however a sweep went; and none of them ends a run."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from tests.conftest import Configure
from tests.sweeps.test_going_on import interrupted
from tests.trackers import reading
from tests.trackers.reading import Found
from triplicate.cli import main
from triplicate.config import identity
from triplicate.parts import find
from triplicate.trackers import Ending, TrackedEpoch, TrackedRun, TrackedSweep, Tracker

SMALL = ("train.epochs=3", "dataset.limit=64", "model=mlp", "model.hidden=[4]", "device=cpu", "seed=0,1")
ALL = "tracker=[tensorboard,mlflow,wandb]"
PAGE = Path(__file__).parents[2] / "docs" / "trackers.md"

# MLflow's use of SQLAlchemy is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated:DeprecationWarning")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of its own, with plots that take no time, and without what the environment says of trackers."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    empty = Figure(figsize=(0.1, 0.1))
    monkeypatch.setattr("triplicate.reports.draw._of_run", lambda run: iter([("loss", lambda: empty)]))
    monkeypatch.setattr("triplicate.reports.draw._of_sweep", lambda table: iter([("loss_curves", lambda: empty)]))


@pytest.fixture(scope="session")
def empty_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data base of MLflow, which takes seconds to make."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture
def uri(empty_db: Path, tmp_path: Path) -> str:
    shutil.copy(empty_db, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def train(*overrides: str, code: int = 0, workers: int = 1) -> None:
    given = {override.partition("=")[0] for override in overrides}
    base = [override for override in SMALL if override.partition("=")[0] not in given]
    assert main([*base, f"executor.workers={workers}", "output_dir=out", "--no-progress", *overrides]) == code


def records(folder: Path = Path("out")) -> Iterator[tuple[str, pd.DataFrame, Mapping[str, float], str]]:
    """Of each run its name, metrics.csv, the measures of summary.json, and its status."""
    for run in sorted(folder.glob("runs/*")):
        summary = json.loads((run / "summary.json").read_text())
        measures = {name: value for name, value in summary["measures"].items() if value is not None}
        yield run.name, pd.read_csv(run / "metrics.csv"), measures, summary["status"]


def assert_recorded(found: Mapping[str, Found], endings: Mapping[str, str], prefix: str = "") -> None:
    """The runs of a tracker are those of the folder: their epochs each once, their measures, and how they ended."""
    names = []
    for name, metrics, measures, status in records():
        names.append(prefix + name)
        run = found[prefix + name]
        columns = [column for column in metrics.columns if column != "epoch"]
        assert set(columns) <= set(run.points)
        for column in columns:
            steps, values = zip(*run.points[column], strict=True)
            assert steps == tuple(metrics["epoch"]), column
            assert all(map(_same, values, metrics[column])), column
        assert run.summary.keys() >= measures.keys()
        assert all(_same(float(run.summary[key]), value) for key, value in measures.items())
        assert run.ending == endings[status]
    assert sorted(name for name in found if name) == sorted(names)


def _same(one: float, other: float) -> bool:
    """Equal as float32, which event files hold; a data base has no infinite numbers."""
    if not math.isfinite(other):
        return not math.isfinite(one) or abs(one) > 1e38
    return math.isclose(one, other, rel_tol=1e-6)


OF_TENSORBOARD = {"finished": "1 finished", "diverged": "2 diverged"}
OF_MLFLOW = {"finished": "FINISHED finished", "diverged": "FAILED diverged"}
OF_WANDB = {"finished": "0 finished", "diverged": "1 diverged"}


def test_trackers_hold_what_the_folders_hold(uri: str, capfd: pytest.CaptureFixture[str]) -> None:
    train("seed=0", "optimizer.lr=0.1,1e30", "name=my/rates", ALL)
    printed = capfd.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[0].split()[:3] == ["optimizer.lr", "test", "accuracy"]
    assert {status for _, _, _, status in records()} == {"finished", "diverged"}
    tensorboard = reading.of_tensorboard(Path("out/trackers/tensorboard"))
    mlflow = reading.of_mlflow(uri, "my/rates")
    wandb = reading.of_wandb(Path("out/trackers/wandb"))
    assert_recorded(tensorboard, OF_TENSORBOARD)
    assert_recorded(mlflow, OF_MLFLOW)
    assert_recorded(wandb, OF_WANDB, "my-rates my/rates/out ")
    assert mlflow[""].ending == "FINISHED"
    name = "optimizer.lr=0.1,seed=0"
    for run in (tensorboard[name], mlflow[name], wandb[f"my-rates my/rates/out {name}"]):
        assert float(run.parameters["optimizer.lr"]) == 0.1
        assert int(run.parameters["seed"]) == 0
        assert run.parameters["model.name"] == "mlp"
        assert not any(key.startswith(("tracker", "report", "output_dir")) for key in run.parameters)
    assert main(["check", "out"]) == 0  # what trackers leave is no stranger in the folder

    # Again, it is all there; in a place where nothing is, it is logged from the folders. Nothing trains.
    before = {path: path.stat().st_mtime_ns for path in Path("out").glob("runs/*/metrics.csv")}
    train("seed=0", "optimizer.lr=0.1,1e30", "name=my/rates", ALL)
    assert len(reading.of_wandb(Path("out/trackers/wandb"))) == 2
    assert_recorded(reading.of_mlflow(uri, "my/rates"), OF_MLFLOW)
    elsewhere = ["tracker.tensorboard.folder=tb", "tracker.wandb.folder=wb", "tracker.mlflow.experiment=again"]
    train("seed=0", "optimizer.lr=0.1,1e30", "name=my/rates", ALL, *elsewhere)
    assert_recorded(reading.of_tensorboard(Path("tb/my/rates/out")), OF_TENSORBOARD)
    assert_recorded(reading.of_mlflow(uri, "again"), OF_MLFLOW)
    assert_recorded(reading.of_wandb(Path("wb")), OF_WANDB, "my-rates my/rates/out ")
    assert {path: path.stat().st_mtime_ns for path in Path("out").glob("runs/*/metrics.csv")} == before


def test_an_interrupted_run_says_so_and_goes_on_as_the_same(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ("name=stopped", ALL)
    interrupted(monkeypatch, Path("out"), 2, "seed=0,1", *asked)
    tensorboard = reading.of_tensorboard(Path("out/trackers/tensorboard"))
    mlflow = reading.of_mlflow(uri, "stopped")
    assert {run.ending for run in tensorboard.values()} == {"0 interrupted"}
    assert {name: run.ending for name, run in mlflow.items()} == {
        "": "KILLED",
        **dict.fromkeys(tensorboard, "KILLED interrupted"),
    }
    assert all(len(run.points["test_loss"]) == 2 for run in (*tensorboard.values(), mlflow["seed=0"]))
    train(*asked)
    assert_recorded(reading.of_tensorboard(Path("out/trackers/tensorboard")), OF_TENSORBOARD)
    assert_recorded(reading.of_mlflow(uri, "stopped"), OF_MLFLOW)
    assert_recorded(reading.of_wandb(Path("out/trackers/wandb")), OF_WANDB, "stopped stopped/out ")


EPOCHS = [TrackedEpoch(number, {"train_loss": 1 / number, "seconds": 0.5}, 1e9 + number) for number in range(1, 6)]


@pytest.mark.parametrize("name", ["tensorboard", "mlflow", "wandb"])
@pytest.mark.parametrize("saved", [1, 4])
def test_a_run_whose_process_is_gone_goes_on_with_each_epoch_once(
    name: str, saved: int, uri: str, tmp_path: Path, configure: Configure
) -> None:
    """The tracker was told of two epochs, and the run goes on behind fewer or more."""
    tracker = configure(f"tracker={name}").tracker[name]
    sweep = TrackedSweep("gone", tmp_path / "out", "triplicate name=gone")
    run = TrackedRun("seed=0", tmp_path, "abc", sweep, tracker.begin_sweep(sweep, None), {"seed": 0})
    log = tracker.begin(run, None, [])
    log.log(EPOCHS[:2])
    onward = tracker.begin(run, log.id, EPOCHS[:saved])
    assert onward.id == log.id
    onward.log(EPOCHS[saved:])
    onward.end(Ending.FAILED, {}, "no more memory")
    found = {
        "tensorboard": lambda: reading.of_tensorboard(tmp_path / "out/trackers/tensorboard")["seed=0"],
        "mlflow": lambda: reading.of_mlflow(uri, "gone")["seed=0"],
        "wandb": lambda: reading.of_wandb(tmp_path / "out")["gone gone/out seed=0"],
    }[name]()
    expected = [(epoch.number, epoch.measures["train_loss"]) for epoch in EPOCHS]
    points = sorted(found.points["train_loss"])
    assert [step for step, _ in points] == [step for step, _ in expected]
    assert all(_same(one, other) for (_, one), (_, other) in zip(points, expected, strict=True))
    assert "failed" in found.ending


BREAKING = """
from dataclasses import dataclass

from triplicate import RunLog, Tracker, key, part


@part("breaking")
@dataclass(frozen=True)
class Breaking(Tracker):
    \"\"\"Fails, or writes names and epochs into a file.\"\"\"

    at: str = key("where it fails", default="")

    def meet(self, where):
        if where == self.at:
            raise ConnectionError("the server is\\ngone")

    def begin_sweep(self, sweep, known):
        self.meet("begin_sweep")
        return "s"

    def end_sweep(self, sweep, sweep_id, ending):
        self.meet("end_sweep")

    def begin(self, run, known, epochs):
        self.meet("begin")
        log = Log(self, run)
        log.log(epochs)
        return log


class Log(RunLog):
    def __init__(self, tracker, run):
        self.tracker, self.run, self.epochs = tracker, run, []

    def log(self, epochs):
        self.tracker.meet("log")
        self.epochs += [epoch.number for epoch in epochs]

    def end(self, ending, measures, cause=""):
        self.tracker.meet("end")
        with open("told", "a") as file:
            print(self.run.name, ending, self.epochs, cause, file=file)
"""
GONE = "(the server is gone)"
AGAIN = "the same command with output_dir=out logs what is missing there"


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("begin_sweep", f"the runs train without it {GONE}"),
        ("begin", f"2 runs could not be logged {GONE}"),
        ("log", f"2 runs could not be logged {GONE}"),
        ("end", f"2 runs could not be logged {GONE}"),
        ("end_sweep", f"the end of the sweep could not be logged {GONE}"),
    ],
)
def test_a_tracker_that_fails_ends_no_run(at: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("breaking.py").write_text(BREAKING)
    asked = ("--parts", "breaking.py", "tracker=breaking")
    train(*asked, f"tracker.breaking.at={at}")
    assert capfd.readouterr().err == f"note: tracker breaking: {said}; {AGAIN}\n"
    assert [status for _, _, _, status in records()] == ["finished", "finished"]
    assert "failed" not in "".join(log.read_text() for log in Path("out").glob("runs/*/*.log"))
    told = ["seed=0 finished [1, 2, 3] ", "seed=1 finished [1, 2, 3] "]
    if at == "end_sweep":
        assert Path("told").read_text().splitlines() == told
        return
    assert not Path("told").exists()
    train(*asked)
    assert Path("told").read_text().splitlines() == told
    capfd.readouterr()


def test_a_failed_run_ends_as_such(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no such layer")

    Path("breaking.py").write_text(BREAKING)
    monkeypatch.setattr("triplicate.sweeps.sinks.summarize", broken)
    train("--parts", "breaking.py", "tracker=breaking", code=1)
    told = [f"seed={seed} failed [1, 2, 3] no such layer" for seed in (0, 1)]
    assert Path("told").read_text().splitlines() == told
    assert "tracker" not in capfd.readouterr().err


def test_the_tracker_of_the_page_in_two_workers() -> None:
    (text,) = re.findall(r"^```python\n# lines.py\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    Path("lines.py").write_text(text)
    train("--parts", "lines.py", "tracker=lines", "model.hidden=[4],[5]", "tracker.lines.folder=mine", workers=2)
    count = 0
    for name, metrics, measures, _ in records():
        *rows, end = map(json.loads, Path("mine", f"{name}.jsonl").read_text().splitlines())
        pd.testing.assert_frame_equal(pd.DataFrame(rows), metrics, check_like=True)
        assert end == {"ending": "finished", **measures}
        count += 1
    assert count == 4


def test_a_package_that_is_not_installed_is_named_before_anything_trains(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = importlib.util.find_spec
    gone = ("tensorboard", "mlflow", "wandb")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in gone else there(name))
    for name in gone:
        train(f"tracker={name}", code=2)
        told = capsys.readouterr().err
        assert told.startswith(f"error: tracker {name}: {name} is not installed; install it by: ")
        assert told.endswith(f" -m pip install 'triplicate[{name}]'\n")
    assert not Path("out").exists()


def test_a_tracker_bears_on_no_result(configure: Configure) -> None:
    plain, tracked = (identity(configure(*words), "data", "cpu") for words in ((), (ALL, "tracker.mlflow.uri=x")))
    assert plain == tracked


def test_every_tracker_says_how_it_is_installed() -> None:
    """As the extras of pyproject.toml are called."""
    extras = tomllib.loads((PAGE.parents[1] / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in ("tensorboard", "mlflow", "wandb"):
        tracker = find("tracker", name)
        assert issubclass(tracker, Tracker)
        assert any(wanted.startswith(tracker.package) for wanted in extras[tracker.extra])
