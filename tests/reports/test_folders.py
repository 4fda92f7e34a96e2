"""Reports of sweeps on disk: what is missing, what is damaged, and what is drawn again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tests.conftest import Configure
from tests.reports.sweeps import OnDisk, wanted
from triplicate.errors import UserError
from triplicate.parts import part
from triplicate.parts.registry import scope
from triplicate.records.run_folder import RunFolder
from triplicate.reports import report
from triplicate.reports.figures import Figures
from triplicate.reports.plots.trained import Trained
from triplicate.reports.tables import Table

RUNS = [wanted(rate, seed) for rate in ("1", "0.1") for seed in range(3)]
PLOTS = ["accuracy.png", "confusion.png", "loss.png", "plots.json"]


@pytest.fixture
def sweep(configure: Configure, tmp_path: Path) -> OnDisk:
    return OnDisk(tmp_path / "out", configure)


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Name → bytes and time of all that is in a folder."""
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def table_csv(sweep: OnDisk) -> pd.DataFrame:
    return pd.read_csv(sweep.folder / "table.csv")


# Tables


def test_what_is_not_there_stands_in_the_table_in_its_place(sweep: OnDisk, capsys: pytest.CaptureFixture[str]) -> None:
    """The first rate has nothing but failures; it is the first row none the less, and its plots have no line of it."""
    plots = {"curves": ["loss", "accuracy_gap"], "gradients": ["all.all.l2"], "bars": ["test_accuracy"]}
    sweep.asked(RUNS, **plots, figures=["steps", "gradient_layers"])
    for run in RUNS[:3]:
        writer = RunFolder(sweep.run(run))
        writer.begin(sweep.config(run))
        writer.fail("out of memory")
    sweep.finish(RUNS[3], 0.5)
    sweep.finish(RUNS[4], 0.7)
    written, text = astuple(report.write_sweep(sweep.folder))
    assert [path.name for path in written][3:] == [
        "loss_curves.png",
        "accuracy_gap_curves.png",
        "test_accuracy_bars.png",
        "report.html",
    ]
    assert capsys.readouterr().err == ""
    frame = table_csv(sweep)
    assert list(frame["optimizer.lr"]) == [1, 0.1]
    assert list(frame["n"]) == [0, 2]
    assert list(frame["failed"]) == [3, 0]
    assert list(frame["missing"]) == [0, 1]
    assert frame["test_accuracy_mean"][1] == pytest.approx(0.6)
    assert f"failed: {sweep.run(RUNS[0])}: out of memory" in text
    assert "same command again trains what is missing" in text
    assert "out of memory" in (sweep.folder / "table.md").read_text()


@pytest.mark.parametrize("name", ["metrics.csv", "config.yaml", "summary.json"])
@pytest.mark.parametrize("content", [b"\x00\xff", b"", None])
def test_a_damaged_run_is_named_and_the_others_are_shown(
    sweep: OnDisk, name: str, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep.asked(RUNS[:3])
    for run in RUNS[:3]:
        sweep.finish(run)
    damaged = sweep.run(RUNS[1])
    (damaged / name).unlink() if content is None else (damaged / name).write_bytes(content)
    table = Table.read(sweep.folder)
    assert list(table.frame()["n"]) == [2]
    assert list(table.frame()["missing"]) == [1]
    text = table.as_text()
    assert "2/3 seeds, 1 missing" in text
    if (name, content) != ("summary.json", None):  # a run without one has not finished
        assert f"damaged: {damaged}: {name}: " in text
        report.write_run(damaged)
        assert f"note: {damaged}: no plots ({name}: " in capsys.readouterr().err


def test_a_sweep_without_a_result_is_reported_and_a_folder_without_a_sweep_is_an_error(sweep: OnDisk) -> None:
    sweep.asked(RUNS)
    assert "missing" in report.write(sweep.folder).text
    assert [path.name for path in report.write_sweep(sweep.folder).written] == [
        "table.csv",
        "table.md",
        "table.tex",
        "report.html",
    ]
    with pytest.raises(UserError, match="no finished run"):
        report.write(sweep.folder / "none")


def test_a_damaged_sweep_record_is_told_of(sweep: OnDisk) -> None:
    sweep.asked(RUNS)
    sweep.finish(RUNS[0])
    (sweep.folder / "sweep.json").write_text("{")
    table = Table.read(sweep.folder)
    assert [row.n for row in table.rows] == [1]
    assert "which runs are missing is not known" in table.notes[0]


def test_a_report_that_is_given_later_has_its_effect(sweep: OnDisk) -> None:
    sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1])
    report.write_sweep(sweep.folder)
    sweep.asked(RUNS[:1], title="Later", measures=["test_loss"], curves=["test_accuracy"], figures=["samples"])
    written = report.write_sweep(sweep.folder).written
    assert "**Later**" in (sweep.folder / "table.md").read_text()
    assert "test_loss_mean" in table_csv(sweep)
    assert [path.name for path in written][3:] == ["test_accuracy_curves.png", "report.html"]
    assert (sweep.run(RUNS[0]) / "plots" / "samples.png").is_file()


# Plots


def test_plots_are_drawn_when_they_are_not_there(sweep: OnDisk) -> None:
    """As after a kill between the training and the drawing."""
    folder = sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1])
    report.write_sweep(sweep.folder)
    assert [path.name for path in sorted((folder / "plots").iterdir())] == PLOTS


def test_plots_that_are_as_they_should_be_are_left_alone(sweep: OnDisk) -> None:
    folder = sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1])
    report.write_run(folder)
    before = state(folder / "plots")
    sweep.asked(RUNS[:1], measures=["test_loss"])
    report.write_sweep(sweep.folder)
    assert state(folder / "plots") == before


def test_the_figures_of_a_sweep_are_there_for_print_too(sweep: OnDisk) -> None:
    sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1], curves=["loss", "accuracy"])
    written = [path.name for path in report.write(sweep.folder).written]
    assert written[3:] == ["loss_curves.png", "accuracy_curves.png", "report.html"]
    vectors = {path.name: path.read_text() for path in sweep.folder.glob("*.svg")}
    assert set(vectors) == {"loss_curves.svg", "accuracy_curves.svg"}
    assert not any("<dc:date>" in vector for vector in vectors.values())
    with Image.open(sweep.folder / "loss_curves.png") as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    report.write(sweep.folder)
    assert {path.name: path.read_text() for path in sweep.folder.glob("*.svg")} == vectors
    sweep.asked(RUNS[:1], curves=["loss"])
    report.write(sweep.folder)
    assert [path.name for path in sweep.folder.glob("*.svg")] == ["loss_curves.svg"]


@pytest.mark.parametrize("change", ["index gone", "index damaged", "plot gone", "records", "figures", "title"])
def test_plots_that_are_not_of_their_records_are_drawn_again_and_no_others(sweep: OnDisk, change: str) -> None:
    changed, other = sweep.finish(RUNS[0]), sweep.finish(RUNS[1])
    report.write(sweep.folder)
    before, untouched = state(changed / "plots"), state(other / "plots")
    index = changed / "plots" / "plots.json"
    if change == "index gone":
        index.unlink()
    elif change == "index damaged":
        index.write_text(index.read_text().replace("loss", "less"))
    elif change == "plot gone":
        (changed / "plots" / "loss.png").unlink()
    elif change == "records":
        sweep.finish(RUNS[0], 0.9)
    else:
        later = {"figures": ["samples"]} if change == "figures" else {"title": "Later"}
        sweep.asked(RUNS[:2], **later)
        report.write_run(other, later)
        untouched = state(other / "plots")
    report.write_sweep(sweep.folder)
    after = state(changed / "plots")
    assert {name: time for name, (_, time) in after.items() if before.get(name, (b"", 0))[1] == time} == {}
    assert ("samples.png" in after) == (change == "figures")
    assert (after["accuracy.png"][0] != before["accuracy.png"][0]) == (change in ("records", "title"))
    assert state(other / "plots") == untouched


def test_plots_are_the_same_bytes_whenever_they_are_drawn(sweep: OnDisk) -> None:
    folder = sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1], curves=["accuracy"], bars=["test_accuracy"], figures=["samples", "filters"])

    def drawn() -> dict[str, bytes]:
        files = [*folder.glob("plots/*"), *sweep.folder.glob("*.png"), *sweep.folder.glob("table.*")]
        return {path.name: path.read_bytes() for path in [*files, sweep.folder / "plots.json"]}

    report.write(sweep.folder)
    first = drawn()
    report.write(sweep.folder)
    assert drawn() == first
    assert {"accuracy_curves.png", "test_accuracy_bars.png", "filters_first.png", "samples.png"} <= set(first)
    for path in folder.glob("plots/*.png"):
        with Image.open(path) as image:
            assert not {"tIME", "date", "Creation Time"} & set(image.info)


def test_plots_that_are_drawn_no_more_are_removed_and_nothing_else(sweep: OnDisk) -> None:
    folder = sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1], figures=["samples"], curves=["loss", "accuracy"])
    report.write_sweep(sweep.folder)
    (folder / "plots" / "mine.png").touch()
    (sweep.folder / "mine.png").touch()
    assert (folder / "plots" / "samples.png").is_file()
    assert (sweep.folder / "accuracy_curves.png").is_file()
    sweep.asked(RUNS[:1], figures=[], curves=["loss"])
    report.write_sweep(sweep.folder)
    assert {path.name for path in (folder / "plots").iterdir()} == {*PLOTS, "mine.png"}
    assert {path.name for path in sweep.folder.glob("*.png")} == {"loss_curves.png", "mine.png"}


def test_a_list_of_plots_leads_to_no_other_folder(sweep: OnDisk) -> None:
    folder = sweep.finish(RUNS[0])
    (folder / "plots").mkdir()
    (sweep.folder / "kept.png").touch()
    names = ["../../../kept.png", "../summary.json", "/etc/x.png", 7]
    (folder / "plots" / "plots.json").write_text(json.dumps({"files": names}))
    report.write_run(folder)
    assert (sweep.folder / "kept.png").is_file()
    assert (folder / "summary.json").is_file()
    (folder / "plots" / "plots.json").write_text(json.dumps({"files": 7}))
    report.write_run(folder)
    assert [path.name for path in sorted((folder / "plots").iterdir())] == PLOTS


def test_a_sweep_of_an_older_version_is_reported(sweep: OnDisk) -> None:
    """Its summaries know no setting and no hashes, and there is no sweep.json."""
    for run in RUNS:
        summary = sweep.finish(run) / "summary.json"
        values = json.loads(summary.read_text())
        for key in ("sha256", "files", "setting", "data"):
            del values[key]
        summary.write_text(json.dumps(values | {"layout": 2}))
    report.write_sweep(sweep.folder)
    assert list(table_csv(sweep)["n"]) == [3, 3]
    assert list(table_csv(sweep).columns[:2]) == ["optimizer.lr", "test_accuracy_mean"]
    plots = sweep.run(RUNS[0]) / "plots"
    before = state(plots)
    report.write_sweep(sweep.folder)
    assert state(plots) == before


# What cannot be drawn


@pytest.mark.parametrize("content", [b"damaged", None])
@pytest.mark.parametrize(
    ("name", "left_out"),
    [("weights.safetensors", "filters"), ("samples.safetensors", "samples"), ("confusion.csv", "confusion")],
)
def test_a_damaged_file_costs_the_plots_that_need_it(
    sweep: OnDisk, name: str, left_out: str, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1], figures=["filters", "samples"])
    (folder / name).unlink() if content is None else (folder / name).write_bytes(content)
    assert "1" in report.write_sweep(sweep.folder).text
    notes = [line for line in capsys.readouterr().err.splitlines() if name in line]
    problem = "it is not there" if content is None else "its content is not what was written"
    assert notes == [f"note: {folder / 'plots'}: {left_out} is not drawn ({name}: {problem})"]
    assert not list((folder / "plots").glob(f"{left_out}*.png"))
    assert (folder / "plots" / "loss.png").is_file()
    # It is drawn as soon as it can be.
    sweep.finish(RUNS[0])
    report.write_sweep(sweep.folder)
    assert list((folder / "plots").glob(f"{left_out}*.png"))


@pytest.fixture
def broken() -> Iterator[list[str]]:
    """A figure `fragile` from outside, that fails for a run and for a sweep as long as the list has something in it."""
    causes = ["no\nway"]
    with scope():

        @part("fragile")
        @dataclass(frozen=True)
        class Fragile(Figures):
            """It raises for a run, and gives what is no figure for a sweep."""

            def of_run(self, trained: Trained) -> Mapping[str, Figure | None]:
                if causes:
                    raise ZeroDivisionError(*causes)
                return {"own": Figure()}

            def of_sweep(self, table: Table) -> Mapping[str, Figure | None]:
                return {"own_sweep": "a word" if causes else Figure()}  # type: ignore[dict-item]

        yield causes


def test_a_figure_that_raises_costs_no_other(
    sweep: OnDisk, broken: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1], figures=["fragile", "samples"], curves=["loss"])
    report.write_sweep(sweep.folder)
    notes = capsys.readouterr().err.splitlines()
    assert f"note: {folder / 'plots'}: fragile is not drawn (ZeroDivisionError: no way)" in notes
    assert len(notes) == 2
    assert notes[0].startswith(f"note: {sweep.folder}: fragile is not drawn (AttributeError: ")
    assert "Traceback" in (folder / "triplicate.log").read_text()
    assert {path.name for path in (folder / "plots").iterdir()} == {*PLOTS, "samples.png"}
    assert (sweep.folder / "loss_curves.png").is_file()
    assert list(table_csv(sweep)["n"]) == [1]
    broken.clear()
    report.write_sweep(sweep.folder)
    assert (folder / "plots" / "own.png").is_file()
    assert (sweep.folder / "own_sweep.png").is_file()


def test_what_cannot_be_drawn_again_is_kept_while_its_records_are_the_same(
    sweep: OnDisk, broken: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    causes = [*broken]
    broken.clear()
    folder = sweep.finish(RUNS[0])
    sweep.asked(RUNS[:1], figures=["fragile"])
    report.write(sweep.folder)
    assert capsys.readouterr().err == ""
    before = (folder / "plots" / "own.png").read_bytes()
    broken += causes
    for _ in range(2):
        report.write(sweep.folder)
        assert (folder / "plots" / "own.png").read_bytes() == before
        assert (sweep.folder / "own_sweep.png").is_file()
    sweep.finish(RUNS[0], 0.9)
    report.write(sweep.folder)
    assert not (folder / "plots" / "own.png").exists()
    assert not (sweep.folder / "own_sweep.png").exists()


def test_a_full_disk_is_no_figure_that_failed(sweep: OnDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = sweep.finish(RUNS[0])

    def full(path: Path, content: bytes) -> str:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("triplicate.files.atomic.write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        report.write_run(folder)
