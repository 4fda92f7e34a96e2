"""-q, -v and --no-progress."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from triplicate.cli import main

TINY = ("train.epochs=1", "dataset.limit=64", "model=mlp", "model.hidden=[4]", "seed=0", "output_dir=out")


def test_a_sweep_says_as_much_as_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    answers = {}
    for flag in ("--quiet", "-q", "--no-progress", "-v"):
        assert main([*TINY, *(["rerun=all"] if flag != "-q" else []), flag]) == 0
        answers[flag] = capsys.readouterr()
    assert dict(os.environ) == before
    assert all("test accuracy" in answer.out for answer in answers.values())
    assert [flag for flag, answer in answers.items() if answer.err] == ["-v"], "nothing else has anything to say"
    said = answers["-v"].err
    for word in ("configuration: ", "folder: out", "1 runs to train: 1 stacks", "epoch 1/1", "trained and written in"):
        assert word in said


def test_what_was_there_already_is_said_unless_it_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*TINY]) == 0
    assert "epoch 1/1" in capsys.readouterr().err
    assert main([*TINY]) == 0
    assert "1 finished already" in capsys.readouterr().err
    assert main(["-q", *TINY]) == 0
    assert capsys.readouterr().err == ""


def test_another_launcher_is_quiet_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for flags, expected in (([], True), (["-q", "rerun=all"], False)):
        assert main([*TINY, "hydra/launcher=basic", *flags]) == 0
        printed = capsys.readouterr()
        assert ("Launching 1 jobs" in printed.out) == expected
        assert (printed.err != "") == expected
