"""`triplicate reproduce` and `triplicate samples`, as typed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from triplicate import presets
from triplicate.cli import main
from triplicate.errors import UserError

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
    assert frame["difference"][1] == pytest.approx(frame["measured"][1] - 0.9777)
    table = pd.read_csv(out / "dlhw1" / "mlp" / "table.csv")
    assert frame["measured"][1] == pytest.approx(table["test_accuracy_mean"][0])
    assert (frame["seconds"] > 0).all()
    shown = capsys.readouterr()
    assert "97.77" in shown.out
    assert str(out / "summary.md") in shown.out
    assert "error: " in shown.err
    assert "dlhw1/xor (3 of 3)" in shown.err


def _no_network(*_: object, **__: object) -> None:
    raise RuntimeError("no network")


def test_a_study_is_all_its_experiments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr("triplicate.cli._sweep", lambda asked: ran.append(asked.overrides))
    assert main(["reproduce", "cv2025", "cs776/mlp_init", "seed=1", f"output_dir={tmp_path}"]) == 0
    wanted = [name for name in presets.choices("experiment") if name.startswith("cv2025/")] + ["cs776/mlp_init"]
    assert len(wanted) == 10
    assert ran == [[f"experiment={n}", f"output_dir={tmp_path / n}", "seed=1"] for n in wanted]


@pytest.mark.parametrize("word", ["on_error=stop", "on_error='stop'", "++on_error=stop"])
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
        ([], "error: reproduce: no study is named; name some of cs776, cv2024, cv2025, dl2023, dlhw1"),
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
