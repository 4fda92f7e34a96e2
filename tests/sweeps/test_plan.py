from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.conftest import Configure, epoch_metrics
from triplicate.errors import UserError
from triplicate.records.environment import cores
from triplicate.records.run_folder import RunFolder
from triplicate.sweeps.cost import Cost, Machine
from triplicate.sweeps.plan import Kept, Plan, Run, describe, divide, group, load, plan, survey

# Few images, so that a data set is there at once.
SMALL = ("dataset=points",)


def run(configure: Configure, folder: Path, job: int, *overrides: str) -> Run:
    pairs = (o.partition("=") for o in overrides)
    images = any(o.startswith(("model=cnn", "model=resnet")) for o in overrides)
    data = ("dataset=glyphs",) if images else SMALL
    device = () if any(o.startswith("device=") for o in overrides) else ("device=cpu",)
    return Run(job, configure(*data, *device, *overrides), folder / str(job), {k: v for k, _, v in pairs}, {})


def jobs(configure: Configure, folder: Path, *rows: tuple[str, ...]) -> list[Run]:
    return [run(configure, folder, job, *row) for job, row in enumerate(rows)]


def shapes(runs: list[Run]) -> list[list[int]]:
    return [[r.job for r in together.runs] for together in group(runs, load(runs))]


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
    assert "one after the other" in str(group(on_cpu, load(on_cpu))[0].alone)
    assert shapes(jobs(configure, tmp_path, *((*row, "device=cuda") for row in rows))) == [[0, 1], [2, 3]]
    for name in ("oak", "elm"):
        for number in range(4):
            (tmp_path / "leaves" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / "leaves" / name / f"{number}.png")
    colour = ("dataset=folder", f"dataset.path={tmp_path / 'leaves'}")
    others = [("model=cnn", "model.backend=numpy"), ("model=resnet18", "model.weights=none", *colour, "device=cuda")]
    alone = jobs(configure, tmp_path, *others)
    reasons = [each.alone for each in group(alone, load(alone))]
    assert reasons == ["NumPy computes it", "networks of torchvision are large enough to keep a GPU busy by themselves"]


def divided(
    runs: list[Run],
    workers: int,
    multiply_adds: Sequence[float] = (),
    memory: float = 1e12,
    gpus: tuple[float, ...] = (),
) -> Plan:
    """The plan on a machine of so many cores or GPUs, of groups whose runs cost this much each (else 10¹²
    multiply-adds) and 10⁶ bytes.
    """
    groups = group(runs, load(runs))
    costs = multiply_adds or [1e12] * len(groups)
    priced = [dataclasses.replace(g, cost=Cost(100, cost, 10**6)) for g, cost in zip(groups, costs, strict=True)]
    return divide(priced, Machine(workers, memory, gpus))


def sizes(plan: Plan) -> list[int]:
    return [len(stack.runs) for stack in plan.stacks]


SEEDS = [(f"seed={seed}",) for seed in range(12)]


@pytest.mark.parametrize(("workers", "expected"), [(1, [12]), (2, [6, 6]), (4, [3] * 4), (5, [3] * 4), (64, [1] * 12)])
def test_a_group_is_cut_for_the_workers(
    configure: Configure, tmp_path: Path, workers: int, expected: list[int]
) -> None:
    cut = divided(jobs(configure, tmp_path, *SEEDS), workers)
    assert sizes(cut) == expected
    assert cut.workers == len(expected)
    assert sum(stack.fraction for stack in cut.stacks) == pytest.approx(1)


def test_groups_that_keep_the_workers_busy_stay_whole(configure: Configure, tmp_path: Path) -> None:
    rows = [(f"activation={name}", *seed) for name in ("relu", "tanh", "gelu", "silu") for seed in SEEDS[:3]]
    assert sizes(divided(jobs(configure, tmp_path, *rows), 2)) == [3, 3, 3, 3]
    assert sizes(divided(jobs(configure, tmp_path, *rows[:9]), 2)) == [2, 2, 2, 1, 1, 1]


def test_what_takes_longest_begins_first(configure: Configure, tmp_path: Path) -> None:
    rows = [(f"activation={name}",) for name in ("relu", "tanh", "gelu")]
    cut = divided(jobs(configure, tmp_path, *rows), 2, [1e12, 4e12, 2e12])
    assert [stack.runs[0].job for stack in cut.stacks] == [1, 2, 0]


def test_a_stack_fits_into_the_memory(configure: Configure, tmp_path: Path) -> None:
    assert sizes(divided(jobs(configure, tmp_path, *SEEDS), 1, memory=5.5e6)) == [4, 4, 4]
    assert sizes(divided(jobs(configure, tmp_path, *SEEDS), 1, memory=10)) == [1] * 12


@pytest.mark.parametrize(
    ("workers", "expected"), [("null", [3] * 4), ("1", [4] * 3), ("3", [2] * 6), ("4", [2] * 4 + [1] * 4)]
)
def test_a_stack_fits_into_the_smallest_gpu_and_workers_share_one(
    configure: Configure, tmp_path: Path, workers: str, expected: list[int]
) -> None:
    asked = [(*seed, f"executor.workers={workers}", "device=cuda") for seed in SEEDS]
    cut = divided(jobs(configure, tmp_path, *asked), 2, memory=10, gpus=(5.5e6, 9e6))
    assert sizes(cut) == expected
    assert cut.workers == (2 if workers == "null" else int(workers))


def test_beside_runs_on_gpus_those_on_the_cpu_have_its_memory(configure: Configure, tmp_path: Path) -> None:
    rows = [(*seed, device) for device in ("device=cuda", "device=cpu") for seed in SEEDS]
    cut = divided(jobs(configure, tmp_path, *rows), 1, memory=100e6, gpus=(6e6,))
    assert [(stack.runs[0].config.device, len(stack.runs)) for stack in cut.stacks] == [
        ("cpu", 12),
        ("cuda", 6),
        ("cuda", 6),
    ]


def test_little_work_is_done_by_one_process_and_the_command_may_say_otherwise(
    configure: Configure, tmp_path: Path
) -> None:
    assert divided(jobs(configure, tmp_path, *SEEDS), 8, [1e8]).workers == 1
    asked = [(*seed, "executor.workers=3") for seed in SEEDS]
    assert divided(jobs(configure, tmp_path, *asked), 8, [1e8]).workers == 3
    asked = [(*seed, "executor.workers=1") for seed in SEEDS]
    assert divided(jobs(configure, tmp_path, *asked), 8).workers == 1


def test_nothing_to_train_is_a_plan(configure: Configure, tmp_path: Path) -> None:
    assert divide([], Machine(2, 1e9)).stacks == ()


def test_a_plan_is_told_with_its_reasons(configure: Configure, tmp_path: Path) -> None:
    rows = [*SEEDS[:3], ("model=cnn", "device=cpu"), ("activation=tanh",)]
    runs = jobs(configure, tmp_path, *rows)
    text = describe(divided(runs, 2))
    assert "5 runs to train: 3 stacks, 2 worker(s)" in text
    assert "stack 1: 3 run(s), 60% of the work\n  0\n  1\n  2" in text
    assert "alone: on a CPU convolutions are faster one after the other\n  3" in text
    assert "alone: no other run is of its kind\n  4" in text
    assert "6 run(s) of 12 that could train together" in describe(divided(jobs(configure, tmp_path, *SEEDS), 2))


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
        survey(jobs(configure, tmp_path, ("seed=0",), ("seed=1",), ("seed=0",)))
    with pytest.raises(UserError, match=r"optimizer\.lr=0\.10: this run is given twice"):
        survey(jobs(configure, tmp_path, ("optimizer.lr=0.1",), ("optimizer.lr=0.10",)))


def finish(run: Run, status: str = "finished", epochs: int = 1, **others: object) -> None:
    """The folder of a run as training leaves it, without a checkpoint."""
    folder = RunFolder(run.folder)
    folder.begin(run.config)
    folder.append(epoch_metrics(1))
    summary: dict[str, object] = dict.fromkeys(
        ("choices", "overrides", "measures", "classes", "environment", "finished_at", "command", "data"), ""
    )
    summary |= {"status": status, "job": run.job, "seed": run.config.seed, "epochs": epochs, "tested_epoch": 1}
    summary |= {"image_shape": [2], "measured": ["test_f1", "test_precision", "test_recall"]}
    summary |= dataclasses.asdict(run.identity)
    folder.finish(summary | others)


def kept_runs(configure: Configure, folder: Path, *rows: tuple[str, ...]) -> list[Run]:
    return list(survey(in_sweep(configure, folder, *rows)).runs)


def in_sweep(configure: Configure, folder: Path, *rows: tuple[str, ...]) -> list[Run]:
    """The jobs of a sweep in this folder."""
    made = jobs(configure, folder / "runs", *(("device=cpu", *row) for row in rows))
    return [replace(r, config=replace(r.config, output_dir=folder)) for r in made]


def planned(configure: Configure, folder: Path, *rows: tuple[str, ...]) -> Plan:
    return plan(survey(in_sweep(configure, folder, *rows)), Kept.in_folder(folder))


def missing(found: Plan) -> list[tuple[int, str]]:
    """Seed and folder of what is to be trained."""
    return [(r.config.seed, r.folder.name) for stack in found.stacks for r in stack.missing()]


def test_finished_runs_are_left_out_and_others_not_overwritten(configure: Configure, tmp_path: Path) -> None:
    first, second = kept_runs(configure, tmp_path, ("seed=0",), ("seed=1",))
    finish(first)
    found = planned(configure, tmp_path, ("seed=0",), ("seed=1",))
    assert [r.config.seed for r in found.finished] == [0]
    assert missing(found) == [(1, "1")]
    # Found by what it is, not by the name of its folder.
    again = planned(configure, tmp_path, ("seed=1",), ("seed=0",))
    assert [r.folder.name for r in again.finished] == ["0"]
    # Another run whose name is taken has a folder of its own.
    other = survey(in_sweep(configure, tmp_path, ("seed=0", "train.epochs=3"))).runs[0]
    assert missing(planned(configure, tmp_path, ("seed=0", "train.epochs=3"))) == [(0, f"0,{other.fingerprint[:8]}")]
    assert second.fingerprint != first.fingerprint


def test_a_damaged_run_is_trained_again(configure: Configure, tmp_path: Path) -> None:
    (run,) = kept_runs(configure, tmp_path, ("seed=0",))
    for name in ("metrics.csv", "config.yaml", "summary.json"):
        finish(run)
        path = run.folder / name
        path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
        assert [seed for seed, _ in missing(planned(configure, tmp_path, ("seed=0",)))] == [0]


def test_rerun_names_what_is_trained_again(configure: Configure, tmp_path: Path) -> None:
    first, second = kept_runs(configure, tmp_path, ("seed=0",), ("seed=1",))
    finish(first)
    finish(second, "diverged")
    rows = [("seed=0",), ("seed=1",), ("seed=2",)]
    assert [seed for seed, _ in missing(planned(configure, tmp_path, *rows))] == [2]
    failed = planned(configure, tmp_path, *((*row, "rerun=failed") for row in rows))
    assert [seed for seed, _ in missing(failed)] == [1, 2]
    everything = planned(configure, tmp_path, *((*row, "rerun=all") for row in rows))
    assert [seed for seed, _ in missing(everything)] == [0, 1, 2]


def test_a_measure_that_was_not_taken_is_taken_now(configure: Configure, tmp_path: Path) -> None:
    (run,) = kept_runs(configure, tmp_path, ("seed=0",))
    finish(run, measured=[])
    assert len(missing(planned(configure, tmp_path, ("seed=0",)))) == 1


def test_threads_do_not_depend_on_the_number_of_workers(configure: Configure, tmp_path: Path) -> None:
    rows = [(f"seed={seed}",) for seed in range(3)]
    for workers in (1, 2, 3):
        asked = [(*row, f"executor.workers={workers}") for row in rows]
        cuts = [stack.cut for stack in planned(configure, tmp_path, *asked).stacks]
        assert {cut.threads for cut in cuts} == {max(1, min(cores(), torch.get_num_threads()) // 3)}


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
        survey(jobs(configure, tmp_path, (override,)))


def test_weights_of_a_file_are_not_initialised_anew(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="init: it would overwrite the weights"):
        survey(jobs(configure, tmp_path, ("model=resnet18", "init=he")))


def test_an_activation_of_convolutions_is_looked_up(configure: Configure, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.activation: there is no 'rleu'; did you mean relu"):
        survey(jobs(configure, tmp_path, ("model=cnn", "model.activation=[relu,rleu]")))
