"""The table as it is read: on terminals, on a forge and in LaTeX."""

from __future__ import annotations

import dataclasses
import html
import math
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from tests.conftest import Configure
from tests.reports.sweeps import ENVIRONMENT, OnDisk, wanted
from triplicate.config import as_plain
from triplicate.records.run_folder import RunRecord
from triplicate.records.sweep_folder import Sweep, read_sweep
from triplicate.reports import report
from triplicate.reports.markup import in_latex, in_markdown
from triplicate.reports.tables import Table, write

MEASURES = ("test_accuracy", "test_precision", "test_recall", "test_f1", "train_loss", "seconds")
HEADINGS = ("test accuracy %", "test precision %", "test recall %", "test F1 %", "training loss", "seconds")
# What no language of documents may take for more than letters.
AWKWARD = r"a|b_c% &d #$e^f~g{h}\i <b>*j* `k` [l](m) _n_"


def run(config: Mapping[str, Any], name: str, seed: int, value: float, overrides: Mapping[str, str]) -> RunRecord:
    summary = {
        "status": "finished",
        "seed": seed,
        "overrides": {"dataset.path": name, **overrides},
        "choices": {},
        "measures": dict.fromkeys(MEASURES, value),
        "finished_at": "2026-01-01T00:00:00",
        "command": "triplicate x=1",
        "environment": ENVIRONMENT,
    }
    return RunRecord(Path(), config, summary, pd.DataFrame(), None, None, f"{name}, {seed}", name)


def table(
    configure: Configure,
    names: Sequence[str] = ("a", "b"),
    measures: Sequence[str] = MEASURES,
    published: Mapping[str, Any] | None = None,
    departed: Mapping[str, tuple[str, ...]] | None = None,
    seeds: int = 3,
    **others: Any,
) -> Table:
    config = as_plain(configure())
    rows = {f"dataset.path={names[0]}": dict.fromkeys(MEASURES, 0.5)} if published is None else published
    config["report"] |= {"measures": list(measures), "published": rows} | others
    runs = [
        run(config, name, seed, 0.5 + place / 10 + seed * (place + 1) / 1000, {})
        for place, name in enumerate(names)
        for seed in range(seeds)
    ]
    return Table.of(Sweep(tuple(runs), (), None, (), (), departed or {}))


# A terminal


@pytest.mark.parametrize("width", [60, 80, 110, 200])
def test_the_table_is_no_wider_than_the_terminal(configure: Configure, width: int) -> None:
    lines = table(configure).as_text(width).split("\n\n")
    tables = [block.splitlines() for block in lines if "---" in block]
    assert all(len(line) <= width for block in tables for line in block)
    text = "\n".join(line for block in tables for line in block)
    for heading in HEADINGS:  # all of them were published
        assert text.count(heading) == 1
    assert len(tables) == {60: 6, 80: 6, 110: 5, 200: 2}[width]
    assert text.count("verdict") == len(MEASURES)
    assert [block[0].split()[0] for block in tables] == ["dataset.path"] * len(tables)


def test_what_does_not_fit_and_was_not_published_is_named(configure: Configure) -> None:
    found = table(configure, published={"dataset.path=a": {"test_accuracy": 0.5}})
    lines = found.as_text(80).splitlines()
    assert max(map(len, lines[:4])) <= 80
    assert "no room here for test precision %, test recall %, test F1 %, training loss; see table.md" in lines
    assert "no room" not in found.as_text(400)
    assert "no room" not in found.as_text()
    assert "difference" in found.as_text()
    assert all(heading in found.as_text() for heading in HEADINGS)


def test_the_terminal_says_the_verdict_and_the_best_pair(configure: Configure) -> None:
    text = table(configure).as_text(80).splitlines()
    assert text[-2] == "5 of 5 published numbers reproduced; 1 not comparable"
    assert re.fullmatch(r"test accuracy %: b beats a by 10.10 points, 95 % interval \S+ to \S+, 3 seeds", text[-1])
    assert "test accuracy %: a and b" not in table(configure, compare="none").as_text()


def test_what_differs_is_named_with_its_reason(configure: Configure) -> None:
    published = {f"dataset.path={name}": {"test_accuracy": 0.2, "seconds": 5} for name in "abcd"}
    explained = {"dataset.path=b": {"test_accuracy": "the batch size is not stated"}}
    reasons = {"dataset.path=d": "the recipe is not stated"}
    found = table(configure, "abcd", published=published, explained=explained, not_comparable=reasons)
    line = (
        "0 of 3 published numbers reproduced, 3 differ: dataset.path=a, test accuracy %; dataset.path=b, "
        "test accuracy %; dataset.path=c, test accuracy %; 5 not comparable"
    )
    assert line in found.as_text()
    markdown = found.as_markdown()
    assert "test accuracy %: differs: the batch size is not stated (40.20 points above" in markdown
    assert "test accuracy %: not comparable: the recipe is not stated\n" in markdown
    assert markdown.count("seconds: not comparable: it depends on the machine\n") == 1
    assert list(found.frame()["test_accuracy_verdict"]) == ["differs"] * 3 + ["not comparable"]
    assert math.isnan(found.frame()["seconds_difference"][0])


def test_one_seed_cannot_reproduce(configure: Configure) -> None:
    found = table(configure, published={"dataset.path=a": {"test_accuracy": 0.5}}, seeds=1)
    assert "0 of 1 published number reproduced, 1 close; one seed has no interval" in found.as_text()
    assert "standard deviation" not in found.as_markdown()


def test_another_recipe_is_not_compared(configure: Configure) -> None:
    departed = {"a": ("train.epochs=3", "dataset.limit=9"), "b": ("train.epochs=3",)}
    frame = table(configure, departed=departed).frame()
    assert list(frame["test_accuracy_verdict"]) == ["", ""]
    assert frame["test_accuracy_published"][0] == 0.5
    assert frame["test_accuracy_difference"].isna().all()
    line = "not compared with what was published, since this ran with train.epochs=3, dataset.limit=9"
    for text in (table(configure, departed=departed).as_text(), table(configure, departed=departed).as_markdown()):
        assert line in text
        assert "reproduced" not in text
        assert "difference" not in text.partition("\n\ntest accuracy")[0].partition("- ")[0]
    published = {f"dataset.path={name}": {"test_accuracy": 0.5} for name in "ab"}
    mixed = table(configure, published=published, departed={"b": ("train.epochs=3",)}).as_text()
    assert "1 of 1 published number reproduced\n" in mixed
    assert "dataset.path=b: not compared with what was published, since this ran with train.epochs=3\n" in mixed


def test_the_meaning_of_a_verdict_is_said_once(configure: Configure) -> None:
    assert table(configure).as_markdown().count("a published number is one run, and has noise of its own") == 1
    assert "is the mean of 3 runs" in table(configure, published_runs=3).as_markdown()
    assert "a published number" not in table(configure, published={}).as_markdown()


# From a folder


def test_a_sweep_says_where_its_files_are_and_what_departed(configure: Configure, tmp_path: Path) -> None:
    sweep = OnDisk(tmp_path / "x", configure)
    runs = [wanted("0.1", seed) for seed in range(2)]
    sweep.asked(
        [dataclasses.replace(run, departed=("train.epochs=2",)) for run in runs],
        published={"optimizer.lr=0.1": {"test_accuracy": 0.5}},
    )
    for one in runs:
        sweep.finish(one)
    assert read_sweep(sweep.folder).departed == {"setting of 0.1": ("train.epochs=2",)}
    text = report.write_sweep(sweep.folder, 80).text
    assert "since this ran with train.epochs=2" in text
    assert text.splitlines()[-2:] == [
        f"  {sweep.folder}: table.csv, table.md, table.tex, runs/",
        f"  {sweep.folder}/report.html",
    ]


# Documents


def cells_of(rendered: str) -> list[list[str]]:
    """The cells of the one table of a rendered page, as a reader sees them."""
    rows = re.findall(r"<tr>(.*?)</tr>", rendered, flags=re.DOTALL)
    return [
        [
            html.unescape(re.sub(r"<[^>]*>", "", cell))
            for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)
        ]
        for row in rows
    ]


def test_the_table_renders_on_a_forge(configure: Configure) -> None:
    found = table(configure, (AWKWARD, "plain"), title="*Not bold* | <b>_x_</b>", published={})
    rendered = MarkdownIt("commonmark").enable("table").render(found.as_markdown())
    rows = cells_of(rendered)
    assert rows[0] == ["dataset.path", *HEADINGS, "n"]
    assert [row[0] for row in rows[1:]] == [AWKWARD, "plain"]
    assert rows[1][1] == "50.10 ± 0.10"
    assert [len(row) for row in rows] == [len(rows[0])] * 3
    assert "<strong>*Not bold* | &lt;b&gt;_x_&lt;/b&gt;</strong>" in rendered
    assert "<code>triplicate x=1</code>" in rendered
    assert "<b>" not in rendered
    assert "<li>" in rendered
    assert in_markdown("model.hidden=[64,32], mlp_base") == "model.hidden=[64,32], mlp_base"


def test_a_tabular_has_one_cell_for_each_column(configure: Configure) -> None:
    found = table(configure, (AWKWARD, "plain"), title="50 %\nof \\LaTeX")
    lines = found.as_latex().splitlines()
    comments, tabular = [line for line in lines if line.startswith("%")], [line for line in lines if line[0] != "%"]
    assert "% 50 % of \\LaTeX" in comments
    assert tabular[0] == r"\begin{tabular}{" + "r" * 25 + "}"
    assert [tabular[1], tabular[3], *tabular[-2:]] == [r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"]
    for line in (tabular[2], *tabular[4:-2]):
        assert line.endswith(r" \\")
        assert len(re.split(r"(?<!\\)&", line)) == 25
        bare = re.sub(r"\\[_%&#${}]", "", line)
        assert not re.search(r"[_#^~|<>]", bare)
        assert "%" not in bare
    assert r"\num{50.10} $\pm$ \num{0.10}" in tabular[4]
    assert in_latex("a_b") == r"a\_b"


def test_the_tabular_compiles(configure: Configure, tmp_path: Path) -> None:
    latex = shutil.which("pdflatex")
    if latex is None or subprocess.run(["kpsewhich", "siunitx.sty"], capture_output=True, check=False).returncode:
        pytest.skip("there is no pdflatex with siunitx")
    found = table(configure, (AWKWARD, "plain", "1e300", ">3"))
    write(found, tmp_path)
    document = r"\documentclass{article}\usepackage{booktabs,siunitx}\begin{document}\input{table}\end{document}"
    (tmp_path / "x.tex").write_text(document)
    done = subprocess.run(
        [latex, "-interaction=nonstopmode", "-halt-on-error", "x.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "x.pdf").is_file()
