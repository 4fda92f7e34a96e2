"""A stack that is too large for the memory trains in halves."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from tests.sweeps.test_going_on import assert_same, interrupted, train
from tests.sweeps.test_sweep import untimed
from triplicate.config import RunConfig
from triplicate.records.sweep_folder import read_sweep_record
from triplicate.sweeps.interruption import Interrupted
from triplicate.sweeps.saving import Saver
from triplicate.training.engine import fit
from triplicate.training.events import StepsDone
from triplicate.training.state import StackState

OPTIONS = ("optimizer=adam", "optimizer.lr=0.02", "model.dropout=0.2", "seed=0,1,2,3")


@pytest.fixture(autouse=True)
def _plain_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures with nothing on them, which take no time."""
    empty = Figure(figsize=(0.1, 0.1))
    monkeypatch.setattr("triplicate.reports.draw._of_run", lambda run: iter([("loss", lambda: empty)]))
    monkeypatch.setattr("triplicate.reports.draw._of_sweep", lambda table: iter([("loss_curves", lambda: empty)]))


class Memory:
    """That holds no more than so many runs of a stack in an epoch; a stack is saved after each.

    Attributes:
        begun: of each stack that has begun, how many runs it has and where they go on.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int, epoch: int) -> None:
        self.begun: list[tuple[int, int]] = []
        self._most, self._epoch = most, epoch
        self._held: list[weakref.ref[torch.Tensor]] = []
        monkeypatch.setattr("triplicate.sweeps.train.fit", self._fit)
        monkeypatch.setattr(Saver, "offer", lambda self, event: event.run_steps or self.save(event.state()))

    def _fit(self, configs: Sequence[RunConfig], *others: Any) -> Iterator[object]:
        assert [held() for held in self._held] == [None] * len(self._held), "a stack before it is still there"
        tensor = torch.zeros(1)
        self._held.append(weakref.ref(tensor))
        resumed: StackState | None = others[-1]
        self.begun.append((len(configs), 1 if resumed is None else resumed.epoch))
        for event in fit(configs, *others):
            if isinstance(event, StepsDone) and event.run_steps > 0:
                state = event.state()
                if len(state.runs) > self._most and state.epoch == self._epoch:
                    raise torch.OutOfMemoryError(f"CUDA out of memory, with {tensor} and others")
            yield event


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The notes of a sweep that has told how far it is, and got there."""
    lines = capsys.readouterr().err.splitlines()
    percent = [int(found[1]) for line in lines if (found := re.match(r" *(\d+)%", line))]
    assert max(percent) == 100
    return [line for line in lines if line.startswith("note: ")]


def cuts(sweep: Path) -> list[int]:
    """The number of runs of each stack that sweep.json tells of."""
    record = read_sweep_record(sweep)
    assert record is not None
    return [len(cut.fingerprints) for cut in record.cuts]


def assert_near(one: Path, other: Path) -> None:
    """The same runs with the same epochs, up to the rounding of other products."""
    assert len(list(one.glob("runs/*"))) == 4
    for run in one.glob("runs/*"):
        mine, twin = (pd.read_csv(path / "metrics.csv") for path in (run, other / "runs" / run.name))
        pd.testing.assert_frame_equal(mine.drop(columns="seconds"), twin.drop(columns="seconds"), rtol=1e-4)


def test_halves_are_what_stacks_of_their_size_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the last bit, where nothing was saved before."""
    monkeypatch.setattr("triplicate.sweeps.plan.cores", lambda: 1)  # as many threads for any number of runs
    separate = [train(tmp_path / name[0], *OPTIONS[:3], f"seed={name}") for name in ("0,1", "2,3")]
    memory = Memory(monkeypatch, 2, epoch=1)
    capsys.readouterr()
    halved = train(tmp_path / "out", *OPTIONS)
    assert memory.begun == [(4, 1), (2, 1), (2, 1)]
    assert told(capsys) == ["note: memory is too short for 4 runs in one stack; they go on in stacks of 2 and 2"]
    assert not (halved / "checkpoints").exists()
    found = [run for sweep in separate for run in sorted(sweep.glob("runs/*"))]
    assert len(found) == 4
    for run in found:
        twin = halved / "runs" / run.name
        assert untimed(run) == untimed(twin)
        for name in ("gradients.csv", "weights.safetensors", "confusion.csv"):
            assert (run / name).read_bytes() == (twin / name).read_bytes()


def test_halves_go_on_where_the_stack_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(tmp_path / "whole", *OPTIONS)
    memory = Memory(monkeypatch, 1, epoch=2)
    capsys.readouterr()
    halved = train(tmp_path / "out", *OPTIONS)
    assert memory.begun == [(4, 1), (2, 2), (1, 2), (1, 2), (2, 2), (1, 2), (1, 2)]
    assert len(told(capsys)) == 3
    assert not (halved / "checkpoints").exists()
    assert_near(whole, halved)


def test_runs_that_have_ended_before_are_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ("optimizer.lr=0.1,1e30", "seed=0,1")
    whole = train(tmp_path / "whole", *options)
    memory = Memory(monkeypatch, 1, epoch=3)
    halved = train(tmp_path / "out", *options)
    assert memory.begun == [(4, 1), (1, 3), (1, 3)]
    assert_near(whole, halved)
    states = [json.loads(path.read_text())["status"] for path in sorted(halved.glob("runs/*/summary.json"))]
    assert sorted(states) == ["diverged", "diverged", "finished", "finished"]


def test_a_run_that_is_too_large_by_itself_fails_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    memory = Memory(monkeypatch, 0, epoch=2)
    folder = train(tmp_path / "out", "train.epochs=1,2", "seed=0,1", code=1)
    assert memory.begun == [(2, 1), (1, 2), (1, 2), (2, 1)]
    assert len(list(folder.glob("runs/train.epochs=1*/summary.json"))) == 2
    assert len(list(folder.glob("runs/train.epochs=2*/failure.json"))) == 2
    assert "CUDA out of memory" in capsys.readouterr().err.splitlines()[-1]


def test_a_half_that_is_interrupted_goes_on_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        Memory(patch, 2, epoch=2)
        at_once = train(tmp_path / "at once", *OPTIONS)
    memory = Memory(monkeypatch, 2, epoch=2)
    # Saved are the whole stack after its first epoch, and the first half after its second one.
    interrupted(monkeypatch, tmp_path / "out", 2, *OPTIONS)
    assert memory.begun == [(4, 1), (2, 2)]
    assert cuts(tmp_path / "out") == [2, 2]
    capsys.readouterr()
    train(tmp_path / "out", *OPTIONS)
    assert memory.begun == [(4, 1), (2, 2), (2, 3), (2, 2)]
    assert told(capsys) == []
    assert cuts(tmp_path / "out") == []
    assert_same(at_once, tmp_path / "out")


@pytest.mark.parametrize("place", ["triplicate.sweeps.task.replace_cut", "triplicate.sweeps.execute.in_parts"])
def test_a_command_that_ends_while_a_stack_is_halved_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def end(*_: object) -> None:
        raise Interrupted(15)

    with monkeypatch.context() as patch:
        Memory(patch, 2, epoch=2)
        at_once = train(tmp_path / "at once", *OPTIONS)
    memory = Memory(monkeypatch, 2, epoch=2)
    with monkeypatch.context() as patch:
        patch.setattr(place, end)
        train(tmp_path / "out", *OPTIONS, code=143)
    assert memory.begun == [(4, 1)]
    assert cuts(tmp_path / "out") == [4]
    train(tmp_path / "out", *OPTIONS)
    assert memory.begun == [(4, 1), (4, 2), (2, 2), (2, 2)]
    assert_same(at_once, tmp_path / "out")


def test_other_seeds_beside_a_stack_that_was_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of an interrupted half is asked for, and later all."""
    with monkeypatch.context() as patch:
        whole = train(tmp_path / "whole", *OPTIONS)
        Memory(patch, 2, epoch=2)
        interrupted(monkeypatch, tmp_path / "out", 2, *OPTIONS)
    train(tmp_path / "out", *OPTIONS[:3], "seed=1")
    train(tmp_path / "out", *OPTIONS)
    assert_near(whole, tmp_path / "out")
