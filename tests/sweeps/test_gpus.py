"""Sweeps on GPUs: on two that are none, and on those of the machine where there are any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from triplicate.cli import main
from triplicate.records.sweep_folder import read_sweep_record

FAKE = ("--parts", str(Path(__file__).with_name("fake_gpus.py")))
SMALL = ("train.epochs=3", "dataset.limit=64", "model=mlp", "model.hidden=[4]", "trace=none")


def command(*arguments: str, code: int = 0, **environment: str) -> str:
    """A command in a process of its own, with what it says on standard error."""
    argv = [sys.executable, "-m", "triplicate", *SMALL, *arguments]
    ended = subprocess.run(argv, capture_output=True, text=True, env=os.environ | environment, check=False)
    assert ended.returncode == code, ended.stderr
    return ended.stderr


def summaries(sweep: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(sweep.glob("runs/*/summary.json"))]


def trained_on(sweep: Path) -> list[str]:
    """The name of the GPU of each run, and of the process that it has there."""
    return [summary["environment"]["device"] for summary in summaries(sweep)]


def test_each_worker_has_its_own_gpu(tmp_path: Path) -> None:
    command(*FAKE, "device=cuda", "seed=0,1", f"output_dir={tmp_path}")
    numbers = [summary["environment"]["device"][:10] for summary in summaries(tmp_path)]
    assert sorted(numbers) == ["fake GPU 0", "fake GPU 1"]
    memory = {s["environment"]["device"][:10]: s["measures"]["peak_memory_mib"] for s in summaries(tmp_path)}
    assert memory == {"fake GPU 0": 1, "fake GPU 1": 2}


def test_a_gpu_that_is_named_is_taken_by_every_worker(tmp_path: Path) -> None:
    command(*FAKE, "device=cuda:1", "executor.workers=2", "seed=0,1", f"output_dir={tmp_path}")
    names = trained_on(tmp_path)
    assert [name[:10] for name in names] == ["fake GPU 1"] * 2
    assert len(set(names)) == 2


def test_after_an_error_on_a_gpu_the_next_stack_has_a_fresh_process(tmp_path: Path) -> None:
    activations = "activation=asserting,relu,tanh"
    told = command(*FAKE, "device=cuda", "executor.workers=1", activations, "seed=0", f"output_dir={tmp_path}", code=1)
    assert "device-side assert triggered" in told.splitlines()[-1]
    assert len(summaries(tmp_path)) == 2
    assert len(set(trained_on(tmp_path))) == 1
    (failure,) = tmp_path.glob("runs/*/failure.json")
    assert "activation=asserting" in failure.parent.name


def test_a_stack_that_is_too_large_for_a_gpu_is_halved(tmp_path: Path) -> None:
    """What the halves compute is in test_memory.py."""
    told = command(*FAKE, "device=cuda:0", "seed=0,1,2,3,4", f"output_dir={tmp_path}", FAKE_RUNS="2")
    notes = [line for line in told.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: memory is too short for 5 runs in one stack; they go on in stacks of 3 and 2",
        "note: memory is too short for 3 runs in one stack; they go on in stacks of 2 and 1",
    ]
    assert [summary["status"] for summary in summaries(tmp_path)] == ["finished"] * 5
    for path in tmp_path.glob("runs/*/metrics.csv"):
        assert list(pd.read_csv(path)["epoch"]) == [1, 2, 3]


def test_a_gpu_that_is_not_here_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    told = command(*FAKE, "device=cuda:2", f"output_dir={tmp_path / 'out'}", code=2)
    assert told == "error: device: 'cuda:2' is not here: 2 CUDA device(s); give device=cpu\n"
    assert not (tmp_path / "out").exists()


def test_a_finished_sweep_is_shown_where_there_is_no_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command(*FAKE, "device=cuda", "seed=0,1", f"output_dir={tmp_path}")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/summary.json")}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert main([*SMALL, "device=cuda", "seed=0,1", f"output_dir={tmp_path}"]) == 0
    assert "test accuracy" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/summary.json")} == before
    assert main([*SMALL, "device=cuda", "seed=0,1,2", f"output_dir={tmp_path}"]) == 2
    assert capsys.readouterr().err == "error: device: 'cuda' is not here: 0 CUDA device(s); give device=cpu\n"
    record = read_sweep_record(tmp_path)
    assert record is not None
    assert len(record.wanted) == 2


@pytest.mark.cuda
def test_on_a_gpu_two_workers_train_what_a_cpu_trains(tmp_path: Path) -> None:
    options = ("seed=0,1", "optimizer.lr=0.1,0.01", "train.dtype=float64", "executor.workers=2")
    for device in ("cuda", "cpu"):
        command(*options, f"device={device}", f"output_dir={tmp_path / device}")
    assert {s["environment"]["device"] for s in summaries(tmp_path / "cuda")} == {torch.cuda.get_device_name(0)}
    for run in (tmp_path / "cpu" / "runs").iterdir():
        one, other = (pd.read_csv(tmp_path / device / "runs" / run.name / "metrics.csv") for device in ("cpu", "cuda"))
        pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), rtol=1e-6)


ASSERTING = '''
import torch
from dataclasses import dataclass
from torch import nn
from triplicate.activations import Activation
from triplicate.parts import part


class Outside(nn.Module):
    def forward(self, x):
        return x * torch.ones(1, device=x.device)[torch.tensor([5 * x.is_cuda], device=x.device)]


@part("asserting")
@dataclass(frozen=True)
class Asserting(Activation):
    """Reads beyond the end of a tensor."""

    def module(self):
        return Outside()
'''


@pytest.mark.cuda
def test_on_a_gpu_an_assertion_costs_one_stack(tmp_path: Path) -> None:
    (tmp_path / "asserting.py").write_text(ASSERTING)
    options = ("device=cuda", "executor.workers=1", "activation=asserting,relu", "seed=0", "executor.cuda_graphs=false")
    command("--parts", str(tmp_path / "asserting.py"), *options, f"output_dir={tmp_path / 'out'}", code=1)
    assert [s["choices"]["activation"] for s in summaries(tmp_path / "out")] == ["relu"]
    (failure,) = (tmp_path / "out").glob("runs/*/failure.json")
    assert "CUDA error" in failure.read_text()


@pytest.mark.cuda
def test_asking_for_the_memory_of_a_gpu_takes_none_of_it() -> None:
    text = "import torch; from triplicate.training import devices; print(devices.memory(0) > 0, "
    text += "torch._C._cuda_hasPrimaryContext(0))"
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["True", "False"]
