from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Configure
from triplicate.config import fingerprint
from triplicate.errors import UserError
from triplicate.records.run_folder import RunFolder
from triplicate.sweeps import plan as planning
from triplicate.sweeps.cost import Cost, Machine
from triplicate.sweeps.plan import Plan, Run, describe, divide, group

# Few images, so that a data set is there at once.
SMALL = ("dataset=points",)


def run(configure: Configure, folder: Path, job: int, *overrides: str) -> Run:
    pairs = (o.partition("=") for o in overrides)
    images = any(o.startswith(("model=cnn", "model=resnet")) for o in overrides)
    data = ("dataset=glyphs",) if images else SMALL
    return Run(job, configure(*data, *overrides), folder / str(job), {k: v for k, _, v in pairs}, {})


def jobs(configure: Configure, folder: Path, *rows: tuple[str, ...]) -> list[Run]:
    return [run(configure, folder, job, *row) for job, row in enumerate(rows)]


def shapes(runs: list[Run]) -> list[list[int]]:
    return [[r.job for r in together.runs] for together in group(runs)]


def test_runs_that_differ_in_what_each_has_for_itself_train_together(configure: Configure, tmp_path: Path) -> None:
    rows = [("seed=0",), ("seed=1",), ("optimizer.lr=0.5",), ("optimizer.momentum=0.9",), ("init=xavier",)]
    rows += [("optimizer.weight_decay=0.1",), ("init=random",), ("init=random", "init.std=0.5")]
    rows += [("optimizer.momentum=0.5", "optimizer.nesterov=true")]
    assert shapes(jobs(configure, tmp_path, *rows)) == [[0, 1, 2, 3, 4, 5, 6, 7, 8]]
    adams = [("optimizer=adam",), ("optimizer=adam", "optimizer.beta1=0.5"), ("optimizer=adam", "optimizer.eps=0.1")]
    assert shapes(jobs(configure, tmp_path, *adams, ("optimizer=adamw",))) == [[0, 1, 2], [3]]


def test_rates_of_dropout_differ_in_a_stack_and_none_is_another_network(configure: Configure, tmp_path: Path) -> None:
    rows = [(), ("model.dropout=0.1",), ("model.dropout=0.5",), ("regularization=dropout", "seed=3")]
    assert shapes(jobs(configure, tmp_path, *rows)) == [[0], [1, 2, 3]]


def test_convolutions_train_alone_on_a_cpu_and_together_on_a_gpu(configure: Configure, tmp_path: Path) -> None:
    rows = [("model=cnn", "seed=0"), ("model=cnn", "seed=1"), ("seed=0",), ("seed=1",)]
    on_cpu = jobs(configure, tmp_path, *((*row, "device=cpu") for row in rows))
    assert shapes(on_cpu) == [[0], [1], [2, 3]]
    assert "one after the other" in str(group(on_cpu)[0].alone)
    assert shapes(jobs(configure, tmp_path, *((*row, "device=cuda") for row in rows))) == [[0, 1], [2, 3]]
    for name in ("oak", "elm"):
        for number in range(4):
            (tmp_path / "leaves" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "leaves" / name / f"{number}.png")
    colour = ("dataset=folder", f"dataset.path={tmp_path / 'leaves'}")
    others = [("model=cnn", "model.backend=numpy"), ("model=resnet18", "model.weights=none", *colour, "device=cuda")]
    reasons = [alone.alone for alone in group(jobs(configure, tmp_path, *others))]
    assert reasons == ["NumPy computes it", "networks of torchvision are large enough to keep a GPU busy by themselves"]


def planned(runs: list[Run], workers: int, multiply_adds: Sequence[float] = (), memory: float = 1e12) -> Plan:
    """The plan on a machine of so many cores, of groups whose runs cost this much each (else 10¹² multiply-adds)."""
    groups = group(runs)
    costs = multiply_adds or [1e12] * len(groups)
    priced = [dataclasses.replace(g, cost=Cost(100, cost, 10**6)) for g, cost in zip(groups, costs, strict=True)]
    return divide(priced, Machine(workers, memory, False))


def sizes(plan: Plan) -> list[int]:
    return [len(stack.runs) for stack in plan.stacks]


SEEDS = [(f"seed={seed}",) for seed in range(12)]


@pytest.mark.parametrize(("workers", "expected"), [(1, [12]), (2, [6, 6]), (4, [3] * 4), (5, [3] * 4), (64, [1] * 12)])
def test_a_group_is_cut_for_the_workers(
    configure: Configure, tmp_path: Path, workers: int, expected: list[int]
) -> None:
    plan = planned(jobs(configure, tmp_path, *SEEDS), workers)
    assert sizes(plan) == expected
    assert plan.workers == len(expected)
    assert sum(stack.fraction for stack in plan.stacks) == pytest.approx(1)


def test_groups_that_keep_the_workers_busy_stay_whole(configure: Configure, tmp_path: Path) -> None:
    rows = [(f"activation={name}", *seed) for name in ("relu", "tanh", "gelu", "silu") for seed in SEEDS[:3]]
    assert sizes(planned(jobs(configure, tmp_path, *rows), 2)) == [3, 3, 3, 3]
    assert sizes(planned(jobs(configure, tmp_path, *rows[:9]), 2)) == [2, 2, 2, 1, 1, 1]


def test_what_takes_longest_begins_first(configure: Configure, tmp_path: Path) -> None:
    rows = [(f"activation={name}",) for name in ("relu", "tanh", "gelu")]
    plan = planned(jobs(configure, tmp_path, *rows), 2, [1e12, 4e12, 2e12])
    assert [stack.runs[0].job for stack in plan.stacks] == [1, 2, 0]


def test_a_stack_fits_into_the_memory(configure: Configure, tmp_path: Path) -> None:
    assert sizes(planned(jobs(configure, tmp_path, *SEEDS), 1, memory=5.5e6)) == [4, 4, 4]
    assert sizes(planned(jobs(configure, tmp_path, *SEEDS), 1, memory=10)) == [1] * 12


def test_little_work_is_done_by_one_process_and_the_command_may_say_otherwise(
    configure: Configure, tmp_path: Path
) -> None:
    assert planned(jobs(configure, tmp_path, *SEEDS), 8, [1e8]).workers == 1
    asked = [(*seed, "executor.workers=3") for seed in SEEDS]
    assert planned(jobs(configure, tmp_path, *asked), 8, [1e8]).workers == 3
    asked = [(*seed, "executor.workers=1") for seed in SEEDS]
    assert planned(jobs(configure, tmp_path, *asked), 8).workers == 1


def test_nothing_to_train_is_a_plan(configure: Configure, tmp_path: Path) -> None:
    assert divide([], Machine(2, 1e9, False)).stacks == ()


def test_a_plan_is_told_with_its_reasons(configure: Configure, tmp_path: Path) -> None:
    rows = [*SEEDS[:3], ("model=cnn", "device=cpu"), ("activation=tanh",)]
    runs = jobs(configure, tmp_path, *rows)
    text = describe(planned(runs, 2))
    assert "5 runs to train: 3 stacks, 2 worker(s)" in text
    assert "stack 1: 3 run(s), 60% of the work\n  0\n  1\n  2" in text
    assert "alone: on a CPU convolutions are faster one after the other\n  3" in text
    assert "alone: no other run is of its kind\n  4" in text
    assert "6 run(s) of 12 that could train together" in describe(planned(jobs(configure, tmp_path, *SEEDS), 2))


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
        "stopping=target",
        "train.reduction=sum",
    ],
)
def test_what_must_agree_parts_the_stacks(configure: Configure, tmp_path: Path, other: str) -> None:
    assert shapes(jobs(configure, tmp_path, ("seed=0",), ("seed=0", other), ("seed=1",))) == [[0, 2], [1]]


def test_the_same_run_twice_is_refused(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="seed=0: this run is given twice"):
        planning.plan(jobs(configure, tmp_path, ("seed=0",), ("seed=1",), ("seed=0",)))
    with pytest.raises(UserError, match=r"optimizer\.lr=0\.10: this run is given twice"):
        planning.plan(jobs(configure, tmp_path, ("optimizer.lr=0.1",), ("optimizer.lr=0.10",)))


def test_finished_runs_are_left_out_and_others_not_overwritten(configure: Configure, tmp_path: Path) -> None:
    runs = jobs(configure, tmp_path, ("seed=0",), ("seed=1",))
    folder = RunFolder(runs[0].folder)
    folder.begin(runs[0].config)
    assert shapes(runs) == [[0, 1]]
    folder.finish({"status": "finished", "fingerprint": fingerprint(runs[0].config)})
    planned = planning.plan(runs)
    assert planned.finished == (runs[0],)
    assert [stack.runs for stack in planned.stacks] == [(runs[1],)]
    with pytest.raises(UserError, match="another configuration"):
        planning.plan(jobs(configure, tmp_path, ("seed=0", "train.epochs=3")))


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
        planning.plan(jobs(configure, tmp_path, (override,)))


def test_weights_of_a_file_are_not_initialised_anew(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="init: it would overwrite the weights"):
        planning.plan(jobs(configure, tmp_path, ("model=resnet18", "init=he")))


def test_an_activation_of_convolutions_is_looked_up(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.activation: there is no 'rleu'; did you mean relu"):
        planning.plan(jobs(configure, tmp_path, ("model=cnn", "model.activation=[relu,rleu]")))
