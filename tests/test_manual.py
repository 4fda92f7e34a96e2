"""What --help and `triplicate help …` say."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml

from triplicate import presets
from triplicate.cli import main
from triplicate.commands import COMMANDS
from triplicate.config import known_keys
from triplicate.config.check import groups


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*words]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


@pytest.mark.parametrize("columns", [60, 80, 110, 200])
def test_help_is_one_screen_as_wide_as_the_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = said(capsys, "--help")
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) <= (44 if columns > 60 else 52)
    for word in (*COMMANDS, *(f"{group}=" for group in presets.groups())):
        assert f"\n  {word} " in text
    assert text == said(capsys, "help") == said(capsys, "-h")
    for page in (said(capsys, "help", "model=cnn"), said(capsys, "help", "report")):
        assert max(map(len, page.splitlines())) <= columns


def test_all_names_every_choice_and_key(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "help", "all")
    choices = [choice for group in presets.groups() for choice in presets.choices(group)]
    for word in [*known_keys(), *(f"{group}=" for group in presets.groups()), *choices]:
        assert word in text


def test_every_group_has_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    for group in {*presets.groups(), *groups()}:
        text = said(capsys, "help", group)
        for choice in presets.choices(group):
            assert f"  {group}={choice}" in text
    assert "  experiment=cv2025/cnn             A small CNN beside the widest MLP" in said(capsys, "help", "cv2025")


def test_a_key_is_told_with_its_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    conf = yaml.safe_load((presets.CONF / "config.yaml").read_text())
    for key in ("epochs", "batch_size"):
        assert f"train.{key}={conf['train'][key]}\n" in said(capsys, "help", f"train.{key}")
    assert said(capsys, "help", "seed").startswith("seed=0\n\nseed of the weights")
    assert said(capsys, "help", "report.published").startswith("report.published={}\n")
    assert "  optimizer.beta1=0.9  with optimizer=adam, adamw\n" in said(capsys, "help", "optimizer.beta1")
    for name, known in known_keys().items():
        if any(entry.parts for entry in known):
            text = said(capsys, "help", name)
            assert f"  {name}=" in text, "a default"
            assert known[0].key.help.split()[0] in text


def test_a_choice_is_told_with_what_it_sets(capsys: pytest.CaptureFixture[str]) -> None:
    own = yaml.safe_load((presets.CONF / "model" / "cnn_a.yaml").read_text())
    text = said(capsys, "help", "model=cnn_a")
    assert f"  model.hidden={own['hidden']} " in text
    assert "  model.kernel=3 " in text, "from the preset below it"
    assert text == said(capsys, "help", "cnn_a")
    assert "  model.dropout=0.5 " in said(capsys, "help", "regularization=dropout")
    assert "It sets nothing." in said(capsys, "help", "regularization=none")


def test_an_experiment_is_told_with_its_rows_and_what_is_published(capsys: pytest.CaptureFixture[str]) -> None:
    content = yaml.safe_load((presets.CONF / "experiment/cv2025/learning_rates.yaml").read_text())
    rates = content["hydra"]["sweeper"]["params"]["optimizer.lr"].split(",")
    text = said(capsys, "help", "experiment=cv2025/learning_rates")
    assert content["report"]["title"] in text
    assert f"{len(rates)} rows, {3 * len(rates)} runs" in text
    for rate, (row, measures) in itertools.zip_longest(rates, content["report"]["published"].items()):
        assert f"\n  optimizer.lr={rate}\n" in text
        assert f"\n  {row}  " in text
        assert f"test_accuracy {measures['test_accuracy']}" in text
    assert "converged in about 13 epochs" in said(capsys, "help", "experiment=cv2025/cnn")
    rows = said(capsys, "help", "experiment=dlhw1/optimizers")
    assert "4 rows, 12 runs\n  optimizer=sgd optimizer.lr=0.01\n" in rows


def test_presets_of_ones_own_are_in_the_help(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in {
        "model/three.yaml": "# Three units.\ndefaults: [mlp, _self_]\nhidden: [3]\n",
        "size/small.yaml": "# @package _global_\n# Quick.\ntrain: {epochs: 1}\n",
        "experiment/own/rates.yaml": "# @package _global_\nname: own/rates\nreport: {title: Own rates}\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    beside = ("--config-dir", str(tmp_path))
    assert "  +size=           small\n" in said(capsys, *beside, "--help")
    assert "  model=three " in said(capsys, "help", "model", *beside)
    assert "  model.hidden=[3] " in said(capsys, *beside, "help", "model=three")
    assert "  train.epochs=1  passes over" in said(capsys, "help", "+size=small", *beside)
    assert "Own rates" in said(capsys, "help", "own", *beside)
    assert "Own rates\n\n1 row, 3 runs" in said(capsys, "help", "experiment=own/rates", *beside)


def test_a_command_that_sweeps_has_its_own_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in (name for name, command in COMMANDS.items() if command.sweeps):
        for words in ([name, "--help"], ["-h", name], ["help", name]):
            text = said(capsys, *words)
            assert text.startswith(f"Usage: triplicate {name} ")
            assert f"\n    triplicate {name} " in text, "an example"
            assert max(map(len, text.splitlines())) <= 80
