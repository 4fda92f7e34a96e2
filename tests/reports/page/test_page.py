from __future__ import annotations

import itertools
import json
import math
import re
import shutil
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.reports.page.conftest import NAMED, TITLE
from triplicate.commands.report import command
from triplicate.files import atomic
from triplicate.reports import report, tables
from triplicate.reports.page import charts, curves, library, pictures, traces, write
from triplicate.reports.tables import Table


class Read(HTMLParser):
    """What a page has: text by element, and the attributes of all elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        self._open.append(tag)

    def handle_data(self, text: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", text))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def text(self, *but: str) -> str:
        return "".join(text for tag, text in self.texts if tag not in but)


@pytest.fixture(scope="module", autouse=True)
def _small_library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What draws takes seconds to be put together, and nothing here runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(library, "_made", lambda: "/* draws */")
        yield


@pytest.fixture(scope="module")
def page(sweep: Path) -> str:
    report.write(sweep)
    return (sweep / "report.html").read_text()


def test_the_numbers_are_those_of_table_csv(page: str, sweep: Path) -> None:
    wanted = pd.read_csv(sweep / "table.csv", dtype=str, keep_default_na=False)
    columns: dict[str, list[str]] = {}
    for _, attributes in Read(page).tags:
        if "data-column" in attributes:
            columns.setdefault(attributes["data-column"], []).append(attributes["data-value"])
    assert {"test_accuracy_mean", "test_accuracy_published", "train_loss_mean", "n"} <= set(columns)
    for name, values in columns.items():
        assert list(map(_number, values)) == list(map(_number, wanted[name])), name


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def test_it_is_the_same_when_made_again_elsewhere(
    page: str, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(sweep, tmp_path / "sweep")
    monkeypatch.chdir(tmp_path)
    write.write(Table.read(Path("sweep")), Path("sweep"))
    assert (tmp_path / "sweep" / "report.html").read_text() == page


def test_where_the_page_cannot_be_made_the_rest_is_there(
    page: str, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        raise ModuleNotFoundError("No module named 'vl_convert'")

    folder = shutil.copytree(sweep, tmp_path / "sweep")
    (folder / "table.csv").unlink()
    monkeypatch.setattr("triplicate.reports.page.library.script", fail)
    assert "report.html" not in {path.name for path in report.write_sweep(folder).written}
    assert "no page (ModuleNotFoundError: No module named 'vl_convert')" in capsys.readouterr().err
    assert (folder / "table.csv").is_file()
    assert not (folder / "report.html").exists()


def test_names_are_text(page: str) -> None:
    read = Read(page)
    assert not [a for tag, a in read.tags if tag in ("b", "i")]
    assert TITLE in read.text("script")
    assert NAMED in read.text("script")
    assert page.count("<script") == sum(tag == "script" for tag, _ in read.tags) == 5


def test_it_needs_nothing_from_elsewhere(page: str) -> None:
    links = [a[name] for _, a in Read(page).tags for name in ("src", "href", "action") if name in a]
    assert links
    for link in links:
        assert link.startswith(("#", "data:", "runs/", "table.", "sweep.json"))
    assert not re.search(r"url\(|@import", page)


def test_what_is_lost_is_told_with_the_end_of_its_log(page: str) -> None:
    text = Read(page).text("script", "style")
    assert "7 of 9 runs, 1 diverged, 1 failed" in text
    assert "its loss was no longer finite at step 7" in text
    assert "no memory <i>left</i>" in text
    assert "the last line of its log" in text


def test_every_seed_and_the_verdict_are_there(page: str) -> None:
    cells = [text for tag, text in Read(page).texts if tag in ("td", "th", "a")]
    assert "90.50 ± 0.71" in cells
    assert {"90.00", "91.00", "seed 2", "diverged", "reproduced"} <= set(cells)


def test_headings_descend_by_one(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Read(page).tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_a_sweep_that_has_not_begun_has_a_page(sweep: Path, tmp_path: Path) -> None:
    shutil.copy(sweep / "sweep.json", tmp_path)
    text = Read(write.write(Table.read(tmp_path), tmp_path).read_text()).text("script", "style")
    assert "0 of 9 runs, 9 missing" in text
    assert "it has not begun, or was interrupted" in text


def test_curves_hold_what_metrics_csv_holds(sweep: Path) -> None:
    shown = curves.curves(Table.read(sweep))
    assert shown is not None
    assert shown["values"]["test_accuracy"][:3] == [[90, 90], [91, 91], [92, 92]]
    assert shown["runs"][:4] == [[0, 0], [0, 1], [0, 2], [1, 0]]
    assert shown["measures"][0]["label"] == "accuracy"
    assert [panel["column"] for panel in shown["measures"][0]["panels"]] == ["train_accuracy", "test_accuracy"]


def test_a_loss_that_is_not_finite_is_left_out() -> None:
    metrics = pd.DataFrame({"epoch": [1, 2, 4], "test_loss": [1.23456789, math.inf, math.nan]})
    assert curves.over_epochs(metrics, "test_loss") == [1.2346, None, None, None]


def test_a_logarithm_is_for_what_is_wide_and_above_zero() -> None:
    assert curves.is_wide([0.1, 0.1, 26])
    assert not curves.is_wide([0.1, 0.1, 0.5])
    assert not curves.is_wide([-0.1, 0.1, 26])


@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=200), st.integers(2, 30), st.integers(0, 50)
)
def test_thinning_keeps_the_first_steps_and_every_extreme(values: list[float], together: int, first: int) -> None:
    steps, whole = np.arange(1, len(values) + 1), np.array(values)
    kept_steps, kept = traces.thinned(steps, whole, together, first)
    np.testing.assert_array_equal(kept[:first], whole[:first])
    assert (np.diff(kept_steps) > 0).all()
    assert len(kept) <= first + 2 * -(-max(len(values) - first, 0) // together)
    for start in range(first, len(values), together):
        part = whole[start : start + together]
        inside = kept[(kept_steps > start) & (kept_steps <= start + together)]
        if np.isfinite(part).any():
            assert np.nanmin(inside) == np.nanmin(part)
            assert np.nanmax(inside) == np.nanmax(part)


@pytest.mark.parametrize("steps", [1, 40, 999, 18_760, 1_000_000])
def test_a_trace_takes_no_more_than_its_room(steps: int) -> None:
    together = traces.spacing(steps, room=1000)
    kept, _ = traces.thinned(np.arange(steps), np.zeros(steps), together, 200)
    assert len(kept) <= 1002
    assert together == 1 or len(kept) > 500


def test_traces_can_be_read_by_layer_and_by_row(sweep: Path) -> None:
    shown = traces.traces(Table.read(sweep))
    assert shown is not None
    assert shown["layers"] == ["all", "last"]
    assert [view["label"] for view in shown["views"]] == [
        "all parameters", "last", "the layers of 0.1", "the layers of 0.01"
    ]  # fmt: skip
    assert len(shown["series"]) == 5 * 2 * 3
    run, layer, statistic, grid, values = shown["series"][0]
    assert (run, layer, shown["statistics"][statistic]["label"]) == (0, 0, "signed mean of the gradient")
    assert shown["steps"][grid] == list(range(1, 41))
    assert values[:2] == [1e-4, 2e-4]


@pytest.fixture(scope="module")
def schema() -> Any:
    text = files("altair").joinpath("vegalite/v6/schema/vega-lite-schema.json").read_text()
    return jsonschema.Draft7Validator(json.loads(text))


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("chart", [charts.over_epochs(10), charts.over_epochs(100), charts.over_steps()])
def test_a_chart_is_what_vega_lite_takes(schema: Any, chart: dict[str, Any], scale: str) -> None:
    for layer in chart["layer"]:
        if "y" in layer["encoding"] and scale == "log":
            layer["encoding"]["y"]["scale"] = {"type": "log"}
    chart["datasets"]["points"] = [{"x": 1, "y": 2.5, "line": 0, "run": 0}]
    chart["encoding"]["x"]["scale"]["domain"] = [1, 10]
    chart["encoding"]["color"]["scale"] |= {"domain": [0], "range": charts.colours(1)}
    schema.validate(chart)


@pytest.mark.parametrize("count", [1, 4, 8, 9, 100])
def test_no_two_lines_look_the_same(count: int) -> None:
    looks = list(zip(charts.colours(count), map(tuple, charts.dashes(count)), strict=True))
    assert len(looks) == len(set(looks)) == count


def test_small_pictures_are_held_and_large_ones_linked(sweep: Path, tmp_path: Path) -> None:
    shutil.copytree(sweep, tmp_path / "sweep")
    table = Table.read(tmp_path / "sweep")
    run = table.rows[0].runs[0].path
    (run / "plots").mkdir(exist_ok=True)
    for name, size in {"filters": 1000, "samples": 400_000, "loss": 1000}.items():
        (run / "plots" / f"{name}.png").write_bytes(bytes(size))
    shown = pictures.pictures(table, tmp_path / "sweep")
    found = {
        picture.name: picture for picture in shown if picture.link.startswith(pictures.link_to(run, tmp_path / "sweep"))
    }
    assert set(found) == {"filters", "samples"}
    assert found["filters"].source.startswith("data:image/png;base64,AAAA")
    assert found["samples"].source == ""


def test_an_index_lists_every_sweep(sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/one", "a/two & <b>three</b>"):
        shutil.copytree(sweep, tmp_path / name)
        tables.write(Table.read(tmp_path / name), tmp_path / name)
        atomic.write_text(tmp_path / name / "report.html", "")
    shutil.copytree(sweep, tmp_path / "b", ignore=shutil.ignore_patterns("runs", "*.html", "table.*"))
    command(tmp_path)
    assert capsys.readouterr().out == f"{tmp_path / 'index.html'}\n"
    page = (tmp_path / "index.html").read_text()
    read = Read(page)
    assert [a["href"] for tag, a in read.tags if tag == "a"][1:] == [
        "a/one/report.html", "a/two%20%26%20%3Cb%3Ethree%3C/b%3E/report.html", "b/"
    ]  # fmt: skip
    text = read.text("script", "style")
    assert "2 of 2" in text
    assert "7 of 9 runs, 1 diverged, 1 failed" in text
    assert "0 of 9 runs, 9 missing" in text
    assert "90.50 ± 0.71" in text
    assert NAMED in text
    command(tmp_path)
    assert (tmp_path / "index.html").read_text() == page


def test_the_library_is_put_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[None] = []
    monkeypatch.setattr(library, "_made", lambda: made.append(None) or "drawn")
    assert (library.script(), library.script(), len(made)) == ("drawn", "drawn", 1)
