"""The tab key, as a shell asks for it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from triplicate import presets
from triplicate.cli import main
from triplicate.commands import COMMANDS

ROOT = Path(__file__).parents[1]

# A line up to the cursor → what its last word may become.
LINES = {
    "triplicate pl": "plan",
    "scripts/run rep": "report report. reproduce",
    "python -m triplicate pl": "plan",
    "triplicate -m pla": "plan",
    "triplicate seed=0 pla": "",
    "triplicate optimizer=ad": "optimizer=adam optimizer=adamw",
    "triplicate plan optimizer=sgd,ad": "optimizer=sgd,adam optimizer=sgd,adamw",
    "triplicate schedule=step schedule.w": "schedule.warmup= schedule.warmup_from=",
    "triplicate -q plan optimizer=adam optimizer.b": "optimizer.beta1= optimizer.beta2=",
    "triplicate nothing=3 optimizer=adam optimizer.n": "optimizer.name= optimizer.nesterov=",
    "triplicate tracker=[wandb,ten": "tracker=[wandb,tensorboard",
    "triplicate tracker=[m": "tracker=[mlflow",
    "triplicate tracker=wandb tracker.wandb.p": "tracker.wandb.project=",
    "triplicate experiment=cv2025/c": "experiment=cv2025/cnn experiment=cv2025/convergence",
    "triplicate train.shuffle=": "train.shuffle=false train.shuffle=true",
    "triplicate train.dtype=": "train.dtype=float32 train.dtype=float64",
    "triplicate train.epochs=": "train.epochs=10",
    "triplicate model.activation=gel": "model.activation=gelu model.activation=gelu_tanh",
    "triplicate hydra/launcher=tri": "hydra/launcher=triplicate",
    "triplicate output_dir=./mi": "output_dir=./mine",
    "triplicate --cfg ": "all hydra job",
    "triplicate --config-dir ": "",
    "triplicate --qu": "--quiet",
    "triplicate help --conf": "--config-dir",
    "triplicate report ": "",
    "triplicate help schedule=s": "schedule=step",
    "triplicate help train.ep": "train.epochs train.epochs=",
    "triplicate reproduce cv2025/c": "cv2025/cnn cv2025/convergence",
    "triplicate --config-dir mine model=th": "model=three",
    "triplicate plan --config-dir=mine +si": "+size=",
    "triplicate --config-dir mine +size=": "+size=small",
    "triplicate --config-dir mine model=three model.hid": "model.hidden=",
    "triplicate --config-dir mine help thr": "",
}


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Presets of one's own, in the folder where the shell is."""
    for name, text in {
        "model/three.yaml": "defaults: [mlp, _self_]\nhidden: [3]\n",
        "size/small.yaml": "# @package _global_\ntrain: {epochs: 1}\n",
    }.items():
        (tmp_path / "mine" / name).parent.mkdir(parents=True)
        (tmp_path / "mine" / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine"


@pytest.mark.usefixtures("mine")
def test_the_last_word_of_a_line_is_completed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, expected in LINES.items():
        monkeypatch.setenv("COMP_LINE", line)
        assert main(["-sc", "query=bash"]) == 0
        printed = capsys.readouterr()
        assert (printed.out.split(), printed.err) == (expected.split(), ""), line


def test_an_empty_word_may_become_any_command_group_or_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMP_LINE", "triplicate ")
    assert main(["-sc", "query=bash"]) == 0
    found = capsys.readouterr().out.split()
    for word in (*COMMANDS, *(f"{group}=" for group in presets.groups()), "seed=", "train."):
        assert word in found


def test_bash_completes_what_is_typed(mine: Path) -> None:
    """As readline would call it; a = is a word of its own there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "mine": str(mine)}
    install = shlex.join([sys.executable, "-m", "triplicate", "-sc", "install=bash"])
    script = f"""
        set -eu
        eval "$({install})"
        complete -p triplicate scripts/run > /dev/null
        typed() {{ # PROGRAM, WORDS as bash splits them; the line
            COMP_WORDS=("${{@:1:$#-1}}"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE=${{@: -1}}
            COMP_POINT=${{#COMP_LINE}}
            _triplicate_completion "$1" 2> /dev/null || true
            echo "${{COMPREPLY[@]+${{COMPREPLY[@]}}}}"
        }}
        typed triplicate pla "triplicate pla"
        typed triplicate plan optimizer = ad "triplicate plan optimizer=ad"
        typed triplicate schedule = "triplicate schedule="
        typed {ROOT}/scripts/run --config-dir "$mine" model = thr "{ROOT}/scripts/run --config-dir $mine model=thr"
        typed elsewhere/scripts/run pla "elsewhere/scripts/run pla"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["plan", "adam adamw", "constant cosine exponential step", "three", ""]


def test_what_bash_was_told_can_be_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-sc", "install=bash"]) == 0
    installed = capsys.readouterr().out
    assert main(["-sc", "uninstall=bash"]) == 0
    removed = capsys.readouterr().out
    script = f"{installed}\n{removed}\ncomplete -p | grep -c triplicate; declare -F | grep -c triplicate"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["0", "0"], "")
