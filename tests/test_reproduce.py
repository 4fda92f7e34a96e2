"""`triplicate reproduce` and `triplicate samples`, as typed."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.conftest import Configure
from tests.reports.sweeps import OnDisk, wanted
from triplicate import presets
from triplicate.cli import main
from triplicate.errors import UserError
from triplicate.jobs import words
from triplicate.reproduce import Waiting, said_left
from triplicate.sweeps.left import Left
from triplicate.workload import Workload, stamp

SMALL = ("dataset.limit=60", "train.epochs=1", "seed=0")


@pytest.mark.real_data
def test_a_study_goes_on_after_a_failure_and_ends_with_one_table(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CIFAR-10 is not where this looks, so one of the three experiments fails."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "MNIST").symlink_to(real_data / "MNIST")
    monkeypatch.setattr("torchvision.datasets.CIFAR10", _no_network)
    names = ["dlhw1/cnn", "dlhw1/mlp", "dlhw1/xor"]
    out = tmp_path / "out"
    assert main(["reproduce", *names, *SMALL, f"data_dir={tmp_path / 'data'}", f"output_dir={out}"]) == 1
    frame = pd.read_csv(out / "summary.csv")
    assert list(frame["experiment"]) == ["dlhw1/cnn", "dlhw1/mlp", "dlhw1/mlp", "dlhw1/xor"]
    assert "the download failed" in frame["status"][0]
    assert frame["published"][1] == 0.9777
    assert math.isnan(frame["difference"][1])
    assert frame["verdict"][1] == "not compared"  # one epoch of sixty images is another recipe
    table = pd.read_csv(out / "dlhw1" / "mlp" / "table.csv")
    assert frame["measured"][1] == pytest.approx(table["test_accuracy_mean"][0])
    assert (frame["seconds"] > 0).all()
    shown = capsys.readouterr()
    assert "97.77" in shown.out
    assert str(out / "summary.md") in shown.out
    assert "error: " in shown.err
    assert "dlhw1/cnn (3 of 3)" in shown.err  # what cannot be looked at comes last


def _no_network(*_: object, **__: object) -> None:
    raise RuntimeError("no network")


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Left]:
    """Experiment → what is left of it, in place of what composing it and reading its data would tell."""
    found: dict[str, Left] = {}

    def left(_: Workload, words: Sequence[str], folder: Path) -> Left:
        return found.get(words[0].partition("=")[2], Left(3, 1e12, False, False))

    monkeypatch.setattr(Workload, "left", left)
    return found


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of each sweep; nothing is trained."""
    ran: list[list[str]] = []
    monkeypatch.setattr("triplicate.cli._sweep", lambda asked: ran.append(asked.overrides))
    return ran


def names_of(swept: Sequence[Sequence[str]]) -> list[str]:
    return [words[0].removeprefix("experiment=") for words in swept]


@pytest.mark.usefixtures("costs")
def test_a_study_is_all_its_experiments_each_once(swept: list[list[str]], tmp_path: Path) -> None:
    names = ["cv2025", "cs776/mlp_init", "cv2025/cnn"]
    assert main(["reproduce", *names, "seed=1", f"output_dir={tmp_path}"]) == 0
    wanted = [name for name in presets.choices("experiment") if name.startswith("cv2025/")] + ["cs776/mlp_init"]
    assert len(wanted) == 10
    assert swept == [[f"experiment={n}", f"output_dir='{tmp_path / n}'", "seed=1"] for n in wanted]


@pytest.mark.usefixtures("costs")
def test_all_leaves_out_what_needs_a_gpu_and_says_so(
    swept: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["reproduce", "--all", f"output_dir={tmp_path}"]) == 0
    of_a_gpu = [name for name in presets.choices("experiment") if "needs: gpu" in preset(name)]
    assert 0 < len(of_a_gpu) <= 12
    assert len(names_of(swept)) + len(of_a_gpu) == 51
    assert not set(names_of(swept)) & set(of_a_gpu)
    assert f"a CPU is too slow for {', '.join(of_a_gpu)};" in capsys.readouterr().err
    frame = pd.read_csv(tmp_path / "summary.csv").set_index("experiment")
    assert set(frame["status"][of_a_gpu]) == {"waits for a GPU"}


def preset(name: str) -> str:
    return (presets.CONF / "experiment" / f"{name}.yaml").read_text()


@pytest.mark.usefixtures("costs")
def test_what_needs_a_gpu_is_trained_where_there_is_one_or_where_it_is_named(
    swept: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = f"output_dir={tmp_path}"
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert main(["reproduce", "cs776", "cs776/cnn_best", out]) == 0
    assert [name for name in names_of(swept) if "cnn" in name] == ["cs776/cnn_best"]
    swept.clear()
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert main(["reproduce", "cs776", out]) == 0
    assert len(swept) == 12
    swept.clear()
    assert main(["reproduce", "cs776", out, "device=cpu"]) == 0
    assert len(swept) == 7


def test_the_cheapest_comes_first_and_what_cannot_be_looked_at_last(
    swept: list[list[str]], costs: dict[str, Left], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["dlhw1/mlp", "dlhw1/cnn", "dlhw1/xor", "dlhw1/optimizers"]
    costs |= {name: Left(3, cost, False, False) for name, cost in zip(names, (3e12, math.nan, 1e9, 0), strict=True)}
    costs["dlhw1/optimizers"] = Left(0, 0.0, False, True)
    assert main(["reproduce", *names, f"output_dir={tmp_path}"]) == 0
    assert names_of(swept) == ["dlhw1/xor", "dlhw1/mlp", "dlhw1/cnn"]
    told = capsys.readouterr().err
    assert "1 of 4 experiments are finished already" in told
    assert "dlhw1/mlp: ended after" in told
    assert "; 3 of 4 done" in told


FOLDERS = {
    "": "outputs/reproduce",
    "seed=0 device=cpu executor.workers=1": "outputs/reproduce",
    "train.epochs=1 seed=0": "outputs/reproduce/train.epochs=1",
    "dataset.limit=60 train.epochs=1": "outputs/reproduce/dataset.limit=60,train.epochs=1",
    "train.epochs=1 dataset.limit=60": "outputs/reproduce/dataset.limit=60,train.epochs=1",
    "output_dir='a, b' train.epochs=1": "a, b",
}


@pytest.mark.usefixtures("costs")
@pytest.mark.parametrize("line", FOLDERS)
def test_the_same_command_has_the_same_folder(
    line: str, swept: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With overrides that change what is trained it is another one."""
    monkeypatch.chdir(tmp_path)
    given = [line] if "'" not in line else ["output_dir='a, b'", "train.epochs=1"]
    assert main(["reproduce", "dlhw1/xor", *(given if "'" in line else line.split())]) == 0
    (folder,) = (words.read(word).value() for word in swept[0] if word.startswith("output_dir="))
    assert folder == f"{FOLDERS[line]}/dlhw1/xor"
    assert (tmp_path / FOLDERS[line] / "summary.csv").is_file()


@pytest.fixture
def finished(configure: Configure, tmp_path: Path) -> OnDisk:
    """A sweep of three runs where that of dlhw1/mlp would be."""
    sweep = OnDisk(tmp_path / "dlhw1" / "mlp", configure)
    runs = [wanted("0.1", seed) for seed in range(3)]
    sweep.asked(runs, published={"optimizer.lr=0.1": {"test_accuracy": 0.5}})
    for run in runs:
        sweep.finish(run)
    (sweep.folder / "table.csv").touch()
    return sweep


def test_what_is_finished_is_not_looked_at_again(
    finished: OnDisk, swept: list[list[str]], costs: dict[str, Left], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["reproduce", "dlhw1/mlp", "dlhw1/xor", f"output_dir={tmp_path}"]
    costs |= {"dlhw1/mlp": Left(0, 0.0, False, True)}
    assert main(command) == 0
    assert names_of(swept) == ["dlhw1/xor"]
    looked_at: list[str] = []

    def left(_: Workload, words: Sequence[str], folder: Path) -> Left:
        looked_at.append(words[0])
        return Left(1, 1e12, False, True)

    monkeypatch.setattr(Workload, "left", left)
    swept.clear()
    assert main(command) == 0  # the sweep of xor has left nothing
    assert names_of(swept) == ["dlhw1/xor"]
    shutil.rmtree(finished.run(wanted("0.1", 1)))
    swept.clear()
    assert main(command) == 0
    assert sorted(names_of(swept)) == ["dlhw1/mlp", "dlhw1/xor"]
    finished.finish(wanted("0.1", 1))
    swept.clear()
    assert main([*command, "rerun=all"]) == 0
    assert sorted(names_of(swept)) == ["dlhw1/mlp", "dlhw1/xor"]
    monkeypatch.setattr("triplicate.reproduce.stamp", lambda *_: "of other code")
    looked_at.clear()
    assert main(command) == 0
    assert looked_at == ["experiment=dlhw1/mlp", "experiment=dlhw1/xor"]


def test_a_stamp_sees_that_data_came_or_went(tmp_path: Path) -> None:
    (tmp_path / "CIFAR10" / "train").mkdir(parents=True)
    before = stamp([], data_dir=tmp_path)
    assert before == stamp([], data_dir=tmp_path) != stamp(["train.epochs=1"], data_dir=tmp_path)
    (tmp_path / "CIFAR10" / "train" / "1.png").touch()
    assert stamp([], data_dir=tmp_path) != before
    assert stamp(["dataset.limit=9"], data_dir=tmp_path) is None  # it is compared run by run


def test_the_time_left_is_told_when_a_speed_is_known() -> None:
    """An experiment takes 10 s besides its training, and 1e12 multiply-adds take 10 s."""
    speeds = [(1e10, 10.1), (2e12, 30.1), (4e12, 50.1)]
    sure, early = Waiting("a", 36e13), Waiting("b", 72e13, ends_early=True)
    assert said_left([], [sure]) == ""
    assert said_left(speeds[:1], [sure]) == ""
    assert said_left(speeds, [sure]) == "about 1 h left"
    assert said_left(speeds, [sure, early]) == "about 1 h left, and at most 2 h for 1 that may end early"
    assert said_left(speeds, [early]) == "at most 2 h left"
    assert said_left(speeds, [Waiting("c", math.nan)]) == ""


@pytest.mark.parametrize("word", ["on_error=stop", "on_error='stop'", "++on_error=stop"])
@pytest.mark.usefixtures("costs")
def test_it_stops_where_it_is_to_however_that_is_written(
    word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[list[str]] = []

    def fails(asked: Any) -> None:
        ran.append(asked.overrides)
        raise UserError("key", "it is wrong", "mend it")

    monkeypatch.setattr("triplicate.cli._sweep", fails)
    assert main(["reproduce", "cv2025", word, f"output_dir={tmp_path}"]) == 1
    assert len(ran) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "error: reproduce: no study is named; name some of cs776, cv2024, cv2025, dl2023, dlhw1, or write --all",
        ),
        (["--all", "cv2025"], "error: --all: cv2025 is among all of them; leave one of the two out"),
        (["--all", "--all"], "error: --all: it is given twice; give it once"),
        (["cv2025", "resume=last"], "error: resume: reproduce goes on by itself where it was; leave it out"),
        (["--all", "output_dir=a/${name}"], "error: output_dir: all experiments have one folder; name it without ${…}"),
        (["cv2026"], "error: reproduce: there is no 'cv2026'; did you mean cv2025?"),
    ],
)
def test_a_study_must_be_there(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", *arguments]) == 2
    assert capsys.readouterr().err.strip() == message


@pytest.mark.parametrize("dataset", ["glyphs", "points", "xor"])
def test_samples_of_a_data_set(dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["samples", f"dataset={dataset}", f"output_dir={tmp_path / 'out'}"]) == 0
    shown = capsys.readouterr().out
    assert dataset in shown
    assert "classes" in shown
    assert (tmp_path / "out" / "samples.png").stat().st_size > 1000


def test_samples_of_a_data_set_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["samples", "dataset=folder", f"dataset.path={tmp_path / 'none'}", f"output_dir={out}"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert not out.exists()


def test_xor_is_learnt_in_three_seeds(tmp_path: Path) -> None:
    assert main(["experiment=dlhw1/xor", f"output_dir={tmp_path}"]) == 0
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table["n"]) == [3]
    assert table["test_accuracy_mean"][0] == 1.0
    assert table["test_accuracy_std"][0] == 0.0
    assert len(list(tmp_path.rglob("boundary.png"))) == 3


def test_the_perceptron_separates_its_points_in_three_seeds(tmp_path: Path) -> None:
    assert main(["experiment=dl2023/perceptron", f"output_dir={tmp_path}"]) == 0
    table = pd.read_csv(tmp_path / "table.csv")
    assert table["test_accuracy_mean"][0] == 1.0
    assert table["test_accuracy_std"][0] == 0.0
