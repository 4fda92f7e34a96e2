"""What is checked through commands: the tests marked cuda, two workers on one GPU, and too little memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from libraries import FOR_COMMANDS, FOR_TESTS, listed, missing
from outcome import Figures, Setting, Skipped, expect
from training import begin, configured, stack_of, trained

ROOT = Path(__file__).parents[2]
WATCHED = Path(__file__).with_name("watched.py")


def tests(setting: Setting) -> Figures:
    """All tests marked cuda. Warnings are shown, and fail no test: they depend on what is installed."""
    _need(FOR_TESTS)
    if setting.is_rehearsal:
        raise Skipped("left out on a CPU: they need a GPU")
    files = [str(file) for file in sorted((ROOT / "tests").rglob("*.py")) if "mark.cuda" in file.read_text()]
    options = ["-m", "cuda", "-q", "-p", "no:cacheprovider", "-W", "default", *files]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", *options]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    lines = ended.stdout.strip().splitlines() or ["pytest said nothing"]
    if ended.returncode != 0:
        print(ended.stdout[-8000:], ended.stderr[-2000:], sep="\n", file=sys.stderr)
    expect(ended.returncode == 0, lines[-1])
    expect("passed" in lines[-1] and "skipped" not in lines[-1], f"not all of them ran: {lines[-1]}")
    return Figures(lines[-1].strip("= "))


def workers(setting: Setting) -> Figures:
    """Two stacks, two workers, one GPU: both train, and all runs are finished."""
    _need(FOR_COMMANDS)
    sweep = setting.folder / "workers"
    models = ("model=mlp", "model.hidden=[16],[8]", "seed=0,1", "train.epochs=2")
    told = _command(setting, sweep, "executor.workers=2", *models)
    ended = _finished(sweep, 4)
    processes = set((setting.folder / "workers.log").read_text().split())
    expect(len(processes) == 2, f"{len(processes)} process(es) trained, not 2: {told}")
    return Figures(f"4 runs of 2 stacks in 2 processes on {ended[0]['environment']['device']}")


def memory(setting: Setting) -> Figures:
    """A stack for which three fifths of the memory that it needs are there: it is split, and every run ends."""
    _need(FOR_COMMANDS)
    sweep, wide = setting.folder / "memory", 8 if setting.is_rehearsal else 2048
    options = ("model=mlp", f"model.hidden=[{wide},{wide}]", "optimizer=adam", "train.epochs=2", "trace=none")
    limit = "" if setting.is_rehearsal else str(int(0.6 * _peak(setting, *options)))
    told = _command(setting, sweep, *options, "executor.workers=1", "seed=0,1,2,3,4,5,6,7", limit=limit)
    splits = re.findall(r"note: memory is too short for (\d+) runs .* in stacks of (.*)", told)
    expect(bool(splits), f"no stack was split: {told}")
    _finished(sweep, 8)
    how = "an error raised for more than 4 runs" if setting.is_rehearsal else f"{int(limit) / 2**20:.0f} MiB"
    return Figures(f"{how}: {', '.join(f'{runs} runs into {into}' for runs, into in splits)}; all 8 finished")


def _peak(setting: Setting, *options: str) -> int:
    """Bytes that the stack takes where there are enough."""
    device = begin(setting)
    config = configured(*options, "dataset=points")
    trained(stack_of(config, (config.optimizer.lr,), 8), config.dataset.load(None), device)
    peak = torch.cuda.max_memory_allocated(device)
    begin(setting)  # gives it back
    return peak


def _command(setting: Setting, sweep: Path, *arguments: str, limit: str | None = None) -> str:
    """Triplicate as its users run it, on points; what it says on standard error."""
    command = [sys.executable, "-m", "triplicate", "--parts", str(WATCHED), "dataset=points", *arguments]
    command += [f"device={setting.device}", f"output_dir={sweep}", "report.curves=[]"]
    told = {"GPU_CHECK_LOG": str(sweep.with_suffix(".log"))}
    if limit is not None:
        told["GPU_CHECK_BYTES"] = limit
    ended = subprocess.run(command, env=os.environ | told, capture_output=True, text=True, check=False)
    expect(ended.returncode == 0, f"exit code {ended.returncode}: {ended.stderr[-600:]}")
    return ended.stderr


def _finished(sweep: Path, runs: int) -> list[dict[str, Any]]:
    """The summaries of so many runs, each of them finished."""
    found = [json.loads(path.read_text()) for path in sorted(sweep.glob("runs/*/summary.json"))]
    states = [summary["status"] for summary in found]
    expect(states == ["finished"] * runs, f"not {runs} finished runs: {states}")
    return found


def _need(names: Sequence[str]) -> None:
    if absent := missing(names):
        raise Skipped(f"missing: {listed(absent)}; give their wheels with --wheels")
