"""scripts/gpu-check rehearsed on a CPU, so that it runs where there is a GPU. It says nothing of a GPU itself."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "gpu-check"


def rehearsed(*arguments: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPT), "--device", "cpu", *arguments]
    variables = os.environ | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"} | environment
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended


def verdicts(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Check → PASS, FAIL or SKIP."""
    lines = [line.split() for line in ended.stdout.splitlines()]
    return {words[1]: words[0] for words in lines if words and words[0] in ("PASS", "FAIL", "SKIP")}


# `workers` and `sweep` are left out: they start commands and a loop over torchvision's data, for long.
ON_THE_ENGINE = ("tests", "recorded", "inputs_alive", "waits", "stacks", "statistics", "masks")
OTHERS = ("memory", "bench")


@pytest.mark.parametrize("names", [ON_THE_ENGINE, OTHERS])
def test_every_check_runs_on_a_cpu_and_says_what_it_leaves_out(names: tuple[str, ...]) -> None:
    ended = rehearsed("--only", *names)
    skipped = {"tests", "inputs_alive"}
    assert verdicts(ended) == {"machine": "PASS"} | {n: "SKIP" if n in skipped else "PASS" for n in names}
    assert "A rehearsal on a CPU" in ended.stdout
    if "bench" in names:
        assert "| MLP 512-512, SGD | 1 |" in ended.stdout
        assert "8 runs into 4 and 4; all 8 finished" in ended.stdout


def test_a_check_that_takes_too_long_is_ended_and_fails() -> None:
    ended = rehearsed("--only", "waits", "masks", "--seconds", "0.3", code=1)
    assert verdicts(ended) == {"machine": "PASS", "waits": "FAIL", "masks": "FAIL"}
    assert "0 PASS, 2 FAIL, 0 SKIP" in ended.stdout


def test_wheels_are_imported_and_others_named(tmp_path: Path) -> None:
    """The one of antlr4 here is broken, which is how it is seen to be taken."""
    with zipfile.ZipFile(tmp_path / "antlr4-4.9.3-py3-none-any.whl", "w") as wheel:
        wheel.writestr("antlr4/__init__.py", "raise ImportError('of the wheel')")
    (tmp_path / "hydra-core-1.3.8.tar.gz").write_bytes(b"")
    (tmp_path / "numpy-2.0-cp27-cp27-win32.whl").write_bytes(b"")
    ended = rehearsed("--wheels", str(tmp_path), "--only", "masks", code=1)
    assert "of the wheel" in ended.stderr
    assert "note: hydra-core-1.3.8.tar.gz is a source distribution; make a wheel of it" in ended.stderr
    assert "note: numpy-2.0-cp27-cp27-win32.whl is for another Python than" in ended.stderr


def test_what_is_missing_is_one_line(tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    told = rehearsed(code=2, PYTHON=str(bare)).stderr.splitlines()
    assert told[-1].startswith("error: torch, hydra-core, omegaconf, antlr4-python3-runtime, ")
    assert told[-1].endswith("; give their wheels with --wheels DIR")
    assert told[0].startswith("note: pandas, ")
    told = rehearsed("--wheels", str(tmp_path / "none"), code=2).stderr.splitlines()
    assert told == [f"error: --wheels: there is no folder {tmp_path / 'none'}; give the one that the wheels lie in"]
