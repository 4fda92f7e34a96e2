"""The page of the run folder names every file, column and key that a sweep writes, and none besides."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.docs.pages import ROOT
from triplicate.cli import main
from triplicate.records.run_folder import CHECKPOINT, FAILURE

WORDS = (
    *("dataset=glyphs", "dataset.limit=60", "dataset.validation=0.2", "model=mlp", "model.hidden=[4]", "seed=0"),
    *("train.epochs=1", "train.evaluate_training=true", "trace.steps=true", "optimizer.lr=0.1,0.01"),
)
# What is there only while a sweep trains, or where there is a reason for it.
NOT_ALWAYS = {"checkpoints/", FAILURE}
PAGE = (ROOT / "docs" / "run-folder.md").read_text()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep") / "out"
    assert main([*WORDS, f"output_dir={folder}"]) == 0
    return folder


def told(heading: str) -> set[str]:
    """The names in the first column of the tables below a heading."""
    section = re.split(r"\n##+ ", PAGE.partition(f"# {heading}\n")[2])[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def assert_told(there: set[str], heading: str) -> None:
    """All that is there is told, and all that is told is there."""
    assert there - told(heading) == set()
    assert told(heading) - there - NOT_ALWAYS == set()


def columns(file: Path) -> set[str]:
    return set(pd.read_csv(file).columns)


def test_files(sweep: Path) -> None:
    run = sweep / "runs" / "optimizer.lr=0.1,seed=0"
    assert_told({path.name + "/" * path.is_dir() for path in run.iterdir()}, "A run")
    assert_told({path.name + "/" * path.is_dir() for path in sweep.iterdir()} - {".lock"}, "The sweep")
    assert (run / CHECKPOINT).is_file()


def test_columns(sweep: Path) -> None:
    run = sweep / "runs" / "optimizer.lr=0.1,seed=0"
    for name in ("metrics.csv", "steps.csv", "gradients.csv"):
        assert columns(run / name) == told(name), name
    assert columns(run / "classes.csv") == told("confusion.csv and classes.csv")
    assert columns(run / "confusion.csv") == {"true class", *(str(digit) for digit in range(10))}
    of_table = {name for name in columns(sweep / "table.csv") if not name.startswith(("train_loss", "test_loss"))}
    assert_told(of_table - {"optimizer.lr"}, "table.csv")


def test_keys_of_the_summary(sweep: Path) -> None:
    summary = json.loads((sweep / "runs" / "optimizer.lr=0.1,seed=0" / "summary.json").read_text())
    assert set(summary) == told("summary.json")
