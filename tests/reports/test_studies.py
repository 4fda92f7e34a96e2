"""The pages of studies, from sweeps on disk."""

from __future__ import annotations

import dataclasses
import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Configure
from tests.reports.sweeps import OnDisk, wanted
from triplicate.records.run_folder import RunFolder, write_json
from triplicate.records.sweep_folder import read_sweep_record, write_sweep
from triplicate.records.training_time import seconds_in_training
from triplicate.reports.studies import pages
from triplicate.reports.studies.measured import Preset
from triplicate.study_presets import study_presets

RUNS = [wanted(rate, seed) for rate in ("1", "0.1") for seed in range(3)]
PUBLISHED: Mapping[str, Mapping[str, float | str]] = {
    "optimizer.lr=1": {"test_accuracy": 0.10},
    "optimizer.lr=0.1": {"test_accuracy": 0.5, "test_loss": 0.9},
}


def preset(
    name: str, needs_gpu: bool = False, published: Mapping[str, Mapping[str, float | str]] = PUBLISHED
) -> Preset:
    return Preset(name, f"The title of {name}", ("What is not stated.",), published, needs_gpu, False)


@pytest.fixture
def sweep(configure: Configure, tmp_path: Path) -> OnDisk:
    """Whole but for one run, with a plot."""
    sweep = OnDisk(tmp_path / "records" / "study" / "one", configure)
    sweep.asked(RUNS, published=PUBLISHED)
    for run, accuracy in zip(RUNS[:5], (0.3, 0.3, 0.3, 0.49, 0.52), strict=True):
        sweep.finish(run, accuracy)
    _plot(sweep.folder)
    return sweep


def _plot(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (900, 1600, 3), np.uint8)
    Image.fromarray(noise).save(folder / "loss_curves.png")
    write_json(folder / "plots.json", {"files": ["loss_curves.png", "not_there.png"]})


def written(tmp_path: Path, *presets: Preset, tried: Path | None = None) -> dict[str, bytes]:
    """Name → content of all pages and pictures."""
    out = tmp_path / "pages"
    pages.write(presets, tmp_path / "records", out, tried)
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def cells(page: bytes, *within: str) -> list[str]:
    """Of the only row of a table that has all of these cells."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.decode().splitlines() if "|" in line]
    (found,) = [row for row in rows if set(within) <= set(row)]
    return found


def test_each_published_number_stands_beside_what_was_measured(sweep: OnDisk, tmp_path: Path) -> None:
    found = written(tmp_path, preset("study/one"), preset("study/two"), preset("study/three", needs_gpu=True))
    index = found["README.md"]
    assert cells(index, "one", "optimizer.lr=0.1", "test accuracy %")[4:7] == ["50.00", "50.50 ± 2.12", "2"]
    assert cells(index, "one", "optimizer.lr=0.1", "test accuracy %")[7].startswith("reproduced")
    assert cells(index, "one", "optimizer.lr=1")[7] == "differs, not explained"
    assert cells(index, "two", "optimizer.lr=1")[4:] == ["10.00", "", "", "not run"]
    assert cells(index, "three", "optimizer.lr=1")[7] == "waits for a GPU"
    assert cells(index, "all")[1:3] == ["0 of 3", "9"]
    study = found["study.md"].decode()
    assert "partly run" in study
    assert "1 missing" in study
    assert "triplicate experiment=study/three" in study
    assert "Not run so far." in study
    assert "What is not stated." in study


def test_the_same_records_give_the_same_bytes(sweep: OnDisk, tmp_path: Path) -> None:
    first = written(tmp_path, preset("study/one"), preset("study/two"))
    assert written(tmp_path, preset("study/one"), preset("study/two")) == first
    (sweep.folder / "loss_curves.png").unlink()
    assert "study/one-loss_curves.png" not in written(tmp_path, preset("study/one"), preset("study/two"))


def test_pictures_are_small(sweep: OnDisk, tmp_path: Path) -> None:
    found = written(tmp_path, preset("study/one"))
    assert set(found) == {"README.md", "study.md", "study/one-loss_curves.png"}
    assert "(study/one-loss_curves.png)" in found["study.md"].decode()
    noise = found["study/one-loss_curves.png"]
    assert len(noise) < 60_000
    assert Image.open(io.BytesIO(noise)).size[0] >= 320
    lines = io.BytesIO()
    Image.new("RGB", (640, 480), "white").save(lines, "PNG")
    assert Image.open(io.BytesIO(pages.small(lines.getvalue()))).size == (640, 480)


def test_a_run_of_another_recipe_has_no_verdict(sweep: OnDisk, tmp_path: Path) -> None:
    record = read_sweep_record(sweep.folder)
    assert record is not None
    departed = tuple(dataclasses.replace(run, departed=("train.epochs=2",)) for run in record.wanted)
    write_sweep(sweep.folder, dataclasses.replace(record, wanted=departed))
    found = written(tmp_path, preset("study/one"))
    assert cells(found["README.md"], "one", "optimizer.lr=1")[7] == "not compared: run with train.epochs=2"
    assert "run with another recipe" in found["study.md"].decode()


def test_what_was_tried_stands_beside_what_is_shown(sweep: OnDisk, configure: Configure, tmp_path: Path) -> None:
    for size in ("128", "32"):
        other = OnDisk(tmp_path / "tried" / f"one-{size}", configure)
        runs = [dataclasses.replace(r, overrides={**r.overrides, "train.batch_size": size}) for r in RUNS]
        other.asked(runs, published=PUBLISHED)
        record = read_sweep_record(other.folder)
        assert record is not None
        write_sweep(other.folder, dataclasses.replace(record, experiment="study/one"))
        for run in runs:
            other.finish(run, 0.3 if run.overrides["optimizer.lr"] == "1" else 0.4)
    page = written(tmp_path, preset("study/one"), tried=tmp_path / "tried")["study.md"]
    sizes = [f"train.batch_size={size}" for size in (32, 64, 128)]
    assert cells(page, *sizes) == ["row", "published test accuracy %", *sizes]
    told = cells(page, "optimizer.lr=0.1", "40.00 ± 0.00")
    assert told[1:] == ["50.00", "40.00 ± 0.00", "50.50 ± 2.12", "40.00 ± 0.00"]
    # By hand: 30 and 40 beside 10 and 50; 30 and 50.5.
    assert cells(page, "mean difference")[2:] == ["+5.00", "+10.25", "+5.00"]
    assert cells(page, "mean size of it")[2:] == ["15.00", "10.25", "15.00"]


def test_the_time_by_the_clock_leaves_out_what_lay_between_two_starts(tmp_path: Path) -> None:
    logs = {
        "a": "[2026-01-01 00:00:00] seed 0\n[2026-01-01 00:01:00] finished\n",
        "b": "[2026-01-01 00:00:30] seed 1\n[2026-01-01 00:02:00] epoch 1: x\n"
        "[2026-01-02 10:00:00] goes on after epoch 1\n[2026-01-02 10:00:10] finished\n",
        "c": "nothing that tells a time\n",
    }
    for name, text in logs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "triplicate.log").write_text(text)
    assert seconds_in_training(tmp_path / name for name in "abcd") == 130
    assert seconds_in_training([tmp_path / "c"]) is None


def test_the_log_of_a_run_is_such_a_log(tmp_path: Path, configure: Configure) -> None:
    RunFolder(tmp_path / "run").begin(configure())
    assert seconds_in_training([tmp_path / "run"]) == 0


def test_the_presets_of_the_studies_are_told() -> None:
    known = {found.name: found for found in study_presets()}
    assert len(known) == 51
    assert known["cs776/cnn_best"].needs_gpu
    assert known["cv2025/samples"].is_shown
    assert known["cv2025/learning_rates"].published["optimizer.lr=0.1"] == {"test_accuracy": 0.874}
    measured = re.compile(r"measured|\d s on|EPYC", re.IGNORECASE)
    assert [name for name, found in known.items() if measured.search(" ".join(found.about))] == []
