"""`experiment=a,b`: each a sweep of its own, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from triplicate import overrides, presets, series
from triplicate.cli import main
from triplicate.errors import RunFailed, UserError

TWO = "experiment=dlhw1/xor,dl2023/perceptron"
QUICK = ("train.epochs=1", "seed=0", "report.figures=[]")


class Sweeps:
    """Takes command lines; those with a word of `failing` raise its error."""

    def __init__(self, **failing: Exception) -> None:
        self.taken: list[list[str]] = []
        self.failing = failing

    def __call__(self, words: Sequence[str]) -> None:
        self.taken.append(list(words))
        for word, error in self.failing.items():
            if f"experiment={word}" in words:
                raise error


def run(sweeps: Sweeps, *words: str) -> int:
    given = overrides.check(words, ())
    return series.sweep_each(series.named(given, None), given, sweeps)


FOLDERS = {
    "output_dir=out": "output_dir=out/{}",
    "output_dir=/tmp/out/": "output_dir=/tmp/out/{}",
    "output_dir='a, b'": "output_dir='a, b/{}'",
    "output_dir=out/${name}": "output_dir=out/${{name}}/{}",
    "output_dir=": "output_dir=",  # its sweep refuses it
    "output_dir=null": "output_dir=null",
}


@pytest.mark.parametrize("given", FOLDERS)
def test_each_has_the_other_words_and_a_folder_of_its_own(given: str) -> None:
    sweeps = Sweeps()
    assert run(sweeps, "seed=0,1", "experiment=smoke,cv2025/cnn", given, "resume=last") == 0
    names = ("smoke", "cv2025/cnn")
    assert sweeps.taken == [["seed=0,1", f"experiment={n}", FOLDERS[given].format(n), "resume=last"] for n in names]


def test_a_pattern_is_compared_with_all_names() -> None:
    def named(word: str) -> list[str]:
        return series.named(overrides.check([word], ()), None)

    assert named("experiment=glob(cv2025/*)") == [n for n in presets.choices("experiment") if n.startswith("cv2025/")]
    assert named("experiment=glob([q*,smoke])") == ["quickstart", "smoke"]
    assert named("experiment=choice(smoke,quickstart)") == ["smoke", "quickstart"]
    assert named("experiment=smoke") == []
    assert named("seed=0,1") == []


@pytest.mark.parametrize(
    ("error", "code"), [(UserError("dataset", "it is not there", "name another"), 2), (RunFailed("folder", "why"), 1)]
)
def test_one_that_fails_does_not_stop_the_others(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    sweeps = Sweeps(smoke=error)
    assert run(sweeps, "experiment=quickstart,smoke,dlhw1/xor") == code
    assert len(sweeps.taken) == 3
    told = capsys.readouterr().err
    assert told.splitlines() == [
        "quickstart (1 of 3)",
        "smoke (2 of 3)",
        f"error: {error}",
        "dlhw1/xor (3 of 3)",
    ]


def test_it_stops_where_it_is_to(capsys: pytest.CaptureFixture[str]) -> None:
    sweeps = Sweeps(smoke=RunFailed("folder", "why"))
    assert run(sweeps, "experiment=smoke,quickstart,dlhw1/xor", "on_error=stop") == 1
    assert len(sweeps.taken) == 1
    assert "on_error=stop leaves out quickstart, dlhw1/xor" in capsys.readouterr().err


def test_each_has_its_table_and_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([TWO, *QUICK]) == 0
    tables = sorted(tmp_path.rglob("table.csv"))
    assert [table.parent.parent.relative_to(tmp_path / "outputs") for table in tables] == [
        Path("dl2023/perceptron"),
        Path("dlhw1/xor"),
    ]
    assert ["test_accuracy_mean" in pd.read_csv(table) for table in tables] == [True, True]
    capsys.readouterr()
    assert main([TWO, *QUICK, "resume=last"]) == 0
    assert sorted(tmp_path.rglob("table.csv")) == tables
    assert capsys.readouterr().err.count("0 runs to train; 1 finished already") == 2


def test_all_of_them_are_planned(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", TWO, "seed=0"]) == 0
    assert capsys.readouterr().out.count("1 runs to train") == 2
