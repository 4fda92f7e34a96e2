from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Configure
from triplicate.config import fingerprint
from triplicate.errors import UserError
from triplicate.records.run_folder import RunFolder
from triplicate.sweeps.plan import Run, plan


def run(configure: Configure, folder: Path, job: int, *overrides: str) -> Run:
    pairs = (o.partition("=") for o in overrides)
    return Run(job, configure(*overrides), folder / str(job), {k: v for k, _, v in pairs}, {})


def jobs(configure: Configure, folder: Path, *rows: tuple[str, ...]) -> list[Run]:
    return [run(configure, folder, job, *row) for job, row in enumerate(rows)]


def shapes(runs: list[Run]) -> list[list[int]]:
    return [[r.job for r in stack] for stack in plan(runs).stacks]


def test_what_a_tensor_can_hold_a_row_of_trains_together(configure: Configure, tmp_path: Path) -> None:
    rows = [("seed=0",), ("seed=1",), ("optimizer.lr=0.5",), ("optimizer.momentum=0.9",), ("init=xavier",)]
    rows += [("optimizer.weight_decay=0.1",), ("init=random",), ("init=random", "init.std=0.5")]
    assert shapes(jobs(configure, tmp_path, *rows)) == [[0, 1, 2, 3, 4, 5, 6, 7]]


def test_rates_of_dropout_are_rows_and_none_is_another_network(configure: Configure, tmp_path: Path) -> None:
    rows = [(), ("model.dropout=0.1",), ("model.dropout=0.5",), ("regularization=dropout", "seed=3")]
    assert shapes(jobs(configure, tmp_path, *rows)) == [[0], [1, 2, 3]]


def test_convolutions_train_alone(configure: Configure, tmp_path: Path) -> None:
    rows = [("model=cnn", "seed=0"), ("model=cnn", "seed=1"), ("seed=0",), ("seed=1",)]
    assert shapes(jobs(configure, tmp_path, *rows)) == [[0], [1], [2, 3]]


@pytest.mark.parametrize(
    "other",
    [
        "model.hidden=[4]",
        "activation=tanh",
        "optimizer=adam",
        "train.batch_size=7",
        "train.epochs=3",
        "train.shuffle=false",
        "train.dtype=float64",
        "dataset.limit=50",
        "trace=none",
        "device=cuda",
        "model.norm=after",
        "schedule=cosine",
        "stopping.unchanged=3",
        "train.reduction=sum",
    ],
)
def test_what_must_agree_parts_the_stacks(configure: Configure, tmp_path: Path, other: str) -> None:
    assert shapes(jobs(configure, tmp_path, ("seed=0",), ("seed=0", other), ("seed=1",))) == [[0, 2], [1]]


def test_the_same_run_twice_is_refused(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seed=0: this run is given twice"):
        plan(jobs(configure, tmp_path, ("seed=0",), ("seed=1",), ("seed=0",)))
    with pytest.raises(UserError, match=r"optimizer\.lr=0\.10: this run is given twice"):
        plan(jobs(configure, tmp_path, ("optimizer.lr=0.1",), ("optimizer.lr=0.10",)))


def test_finished_runs_are_left_out_and_others_not_overwritten(configure: Configure, tmp_path: Path) -> None:
    runs = jobs(configure, tmp_path, ("seed=0",), ("seed=1",))
    folder = RunFolder(runs[0].folder)
    folder.begin(runs[0].config)
    assert shapes(runs) == [[0, 1]]
    folder.finish({"status": "finished", "fingerprint": fingerprint(runs[0].config)})
    assert plan(runs).finished == (runs[0],)
    assert shapes(runs) == [[1]]
    with pytest.raises(UserError, match="another configuration"):
        plan(jobs(configure, tmp_path, ("seed=0", "train.epochs=3")))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("activation.name=rely", "did you mean relu"),
        ("init.name=hee", "did you mean he"),
        ("dataset.name=mnis", "did you mean mnist"),
        ("report.measures=[test_acuracy]", "did you mean test_accuracy"),
        ("report.bars=[mean_seconsd]", "there is no 'mean_seconsd'"),
        ("report.figures=[filter]", "did you mean filters"),
    ],
)
def test_unknown_names_are_refused(configure: Configure, tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        plan(jobs(configure, tmp_path, (override,)))


def test_weights_of_a_file_are_not_initialised_anew(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="init: it would overwrite the weights"):
        plan(jobs(configure, tmp_path, ("model=resnet18", "init=he")))


def test_an_activation_of_convolutions_is_looked_up(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.activation: there is no 'rleu'; did you mean relu"):
        plan(jobs(configure, tmp_path, ("model=cnn", "model.activation=[relu,rleu]")))
