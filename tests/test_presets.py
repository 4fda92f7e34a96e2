from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.conftest import Configure
from triplicate import presets
from triplicate.cli import main
from triplicate.reports.tables import MEASURES

EXPERIMENTS = presets.choices("experiment")


def test_how_many_there_are() -> None:
    assert len(EXPERIMENTS) == 2


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_preset_composes_and_says_how_it_is_run(name: str, configure: Configure) -> None:
    config = configure(f"experiment={name}")
    text = (presets.CONF / "experiment" / f"{name}.yaml").read_text()
    command = "triplicate" if name == "quickstart" else f"triplicate experiment={name}"
    assert config.name == name
    assert config.report.title
    assert f"# {command}\n" in text
    assert all(m in MEASURES for row in config.report.published.values() for m in row)


@pytest.mark.parametrize(
    "name", [name if name == "quickstart" else pytest.param(name, marks=pytest.mark.real_data) for name in EXPERIMENTS]
)
def test_a_preset_runs_at_a_small_size(
    name: str,
    configure: Configure,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    overrides = [f"experiment={name}", "train.epochs=1", "dataset.limit=128", f"output_dir={tmp_path}"]
    if configure(f"experiment={name}").dataset.name != "glyphs":
        overrides.append(f"data_dir={request.getfixturevalue('real_data')}")
    assert main(overrides) == 0
    preset = yaml.safe_load((presets.CONF / "experiment" / f"{name}.yaml").read_text())
    axes = preset["hydra"]["sweeper"]["params"]
    rows = [value for values in axes.values() for value in str(values).split(",")]
    table = pd.read_csv(tmp_path / "table.csv")
    assert list(table[next(iter(axes))].astype(str)) == [str(float(r)) for r in rows]
    assert list(table["n"]) == [3] * len(rows)
    published = configure(f"experiment={name}").report.published
    assert table["test_accuracy_published"].notna().sum() == len(published)
    assert "test accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("group", presets.GROUPS)
def test_every_choice_of_every_group_composes(group: str, configure: Configure) -> None:
    names = presets.choices(group)
    assert names
    for name in names:
        extra = ["dataset.validation=0.2"] if group == "stopping" else []
        configure(f"{group}={name}", *extra)


def test_an_unknown_group_has_no_choices() -> None:
    assert presets.choices("nothing") == []
