"""What `triplicate clean` finds, asks for and leaves alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from tests.commands.conftest import Say, Sweeps
from triplicate.files import tensors
from triplicate.files.tensors import Content
from triplicate.records.checkpoints import Checkpoints
from triplicate.records.run_folder import CHECKPOINT, RunFolder, check_files, read_json, write_json
from triplicate.records.sweep_folder import Cut, SweepRecord, read_sweep_record, write_sweep

CONTENT = Content({}, {"x": torch.zeros(1000)})


@pytest.fixture
def littered(own: Sweeps) -> Sweeps:
    """With something of every kind; of `broken` a stack is going on."""
    run = own.run("0.1", 0)
    summary = read_json(run / "summary.json")
    digest = tensors.write_checked(run / CHECKPOINT, CONTENT)
    write_json(run / "summary.json", summary | {"files": {**summary["files"], CHECKPOINT: digest}})
    (run / ".metrics.csv.123.partial").write_text("half")
    (own.whole / ".data-abc").mkdir()
    (own.whole / ".data-abc" / "0.safetensors").write_bytes(bytes(100))
    for sweep in (own.whole, own.broken):
        record = read_sweep_record(sweep)
        assert record is not None
        fingerprints = tuple(wanted.fingerprint for wanted in record.wanted)
        write_sweep(sweep, _with_cut(record, Cut(fingerprints, 1)))
        Checkpoints(sweep, fingerprints).write(CONTENT)
    return own


def _with_cut(record: SweepRecord, cut: Cut) -> SweepRecord:
    return SweepRecord(**{**vars(record), "cuts": (cut,)})


def found(say: Say, sweeps: Sweeps, *words: object) -> dict[str, list[str]]:
    by_kind: dict[str, list[str]] = {}
    for line in say("clean", sweeps.folder, "--json", *words).json["found"]:
        by_kind.setdefault(line["kind"], []).append(str(Path(line["path"]).relative_to(sweeps.folder)))
    return by_kind


def test_what_is_found(say: Say, littered: Sweeps) -> None:
    kinds = found(say, littered)
    stale = kinds.pop("stale")
    assert kinds == {
        "partial": ["sweep/whole/.data-abc", "sweep/whole/runs/optimizer.lr=0.1,seed=0/.metrics.csv.123.partial"],
        "checkpoint": ["sweep/whole/runs/optimizer.lr=0.1,seed=0/checkpoint.safetensors"],
        "failed": ["reproduce/now/broken/runs/optimizer.lr=1,seed=0"],
        "empty": ["empty"],
    }
    # Of `whole` all runs have ended; in `broken` two have not.
    assert [Path(path).parent for path in stale] == [Path("sweep/whole/checkpoints")]


def test_what_is_removed(say: Say, littered: Sweeps) -> None:
    before = {path for path in littered.folder.rglob("*") if path.is_file()}
    listed = found(say, littered)
    said = say("clean", littered.folder, "--yes")
    assert said.code == 0
    assert "removed: 6, " in said.out
    gone = before - {path for path in littered.folder.rglob("*") if path.is_file()}
    named = tuple(str(littered.folder / path) for paths in listed.values() for path in paths)
    assert gone
    assert all(str(path).startswith(named) for path in gone)
    assert found(say, littered) == {}
    # The finished runs are whole, and their sweeps are.
    assert [check_files(path.parent) for path in littered.folder.rglob("summary.json")] == [[]] * 5
    assert say("check", littered.whole).code == 0
    assert (littered.broken / "checkpoints").is_dir()


def test_some_kinds_alone(say: Say, littered: Sweeps) -> None:
    assert set(found(say, littered, "--only", "failed,empty")) == {"failed", "empty"}
    say("clean", littered.folder, "--yes", "--only", "empty")
    assert not littered.empty.exists()
    assert set(found(say, littered)) == {"partial", "stale", "checkpoint", "failed"}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lines that are typed at a terminal, one after the other; then its end."""
    lines: list[str] = []

    class Terminal:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return lines.pop(0) if lines else ""

    monkeypatch.setattr(sys, "stdin", Terminal())
    return lines


def test_it_asks_kind_by_kind(say: Say, littered: Sweeps, answers: list[str]) -> None:
    # partial, stale, checkpoint, failed, empty
    answers += ["\n", "no\n", "yes\n", "Y\n"]
    said = say("clean", littered.folder)
    assert said.out.count("? [y/N] ") == 5
    assert "costs: the same run with more epochs starts from the beginning" in said.out
    assert set(found(say, littered)) == {"partial", "stale", "empty"}


def test_nothing_is_removed_unasked(say: Say, littered: Sweeps, monkeypatch: pytest.MonkeyPatch) -> None:
    before = found(say, littered)
    assert say("clean", littered.folder, "--dry-run").code == 0
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    said = say("clean", littered.folder)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("error: clean: there is no terminal to ask at; give --yes")
    assert found(say, littered) == before


def test_a_sweep_in_training_is_left_alone(say: Say, littered: Sweeps) -> None:
    with FileLock(littered.whole / ".lock"), FileLock(littered.broken / "runs" / "optimizer.lr=0.1,seed=0" / ".lock"):
        assert set(found(say, littered)) == {"empty"}
        said = say("clean", littered.folder, "--yes")
    assert said.out.count("in training, left alone: ") == 2
    assert set(found(say, littered)) == {"partial", "stale", "checkpoint", "failed"}


def test_somebody_elses_file_is_kept(say: Say, own: Sweeps) -> None:
    notes = own.empty / "notes.md"
    notes.write_text("mine")
    failed = own.broken / "runs" / "optimizer.lr=1,seed=0"
    (failed / "thesis.pdf").write_text("mine too")
    assert found(say, own) == {}
    (own.folder / "link").symlink_to(own.empty)
    notes.unlink()
    assert found(say, own) == {"empty": ["empty"]}


def test_a_run_that_is_begun_keeps_what_it_has(say: Say, own: Sweeps) -> None:
    """An interrupted sweep with a checkpoint is not empty."""
    record = read_sweep_record(own.empty)
    assert record is not None
    fingerprints = tuple(wanted.fingerprint for wanted in record.wanted)
    write_sweep(own.empty, _with_cut(record, Cut(fingerprints, 1)))
    Checkpoints(own.empty, fingerprints).write(CONTENT)
    RunFolder(own.empty / "runs" / record.wanted[0].folder).log("begun")
    assert found(say, own) == {"failed": ["reproduce/now/broken/runs/optimizer.lr=1,seed=0"]}
