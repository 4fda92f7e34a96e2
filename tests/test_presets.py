"""Every preset composes, says how it is run, and runs at a small size by overrides alone."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import torchvision
import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from tests.conftest import Configure
from triplicate import presets
from triplicate.cli import main
from triplicate.measures.shared.names import parse
from triplicate.models.layers.pretrained import Pretrained
from triplicate.parts import classes, names

EXPERIMENTS = presets.choices("experiment")
SAMPLES = [name for name in EXPERIMENTS if name.endswith("/samples")]
TRAINED = [name for name in EXPERIMENTS if name not in SAMPLES]
# Made on the spot; the others need published files.
MADE_HERE = ("quickstart", "smoke", "dlhw1/xor", "dl2023/perceptron")
SMALL = ("train.epochs=1", "dataset.limit=60", "seed=0")
UPSCALED = ("dl2023/architectures", "dl2023/mlp_vs_vgg", "dl2023/filters", "dl2023/feature_maps", "dlhw1/transfer")


def read(name: str) -> dict[str, Any]:
    preset: dict[str, Any] = yaml.safe_load((presets.CONF / "experiment" / f"{name}.yaml").read_text())
    return preset


def test_how_many_there_are() -> None:
    """One for each row of the studies' tables, the baseline of cs776, the quick start and the one for CI."""
    counts = {study: sum(name.startswith(f"{study}/") for name in EXPERIMENTS) for study in presets.studies()}
    assert counts == {"cs776": 12, "cv2024": 11, "cv2025": 9, "dl2023": 9, "dlhw1": 10}
    assert len(EXPERIMENTS) == 53


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_preset_composes_and_says_how_it_is_run(name: str, configure: Configure) -> None:
    config = configure(f"experiment={name}")
    text = (presets.CONF / "experiment" / f"{name}.yaml").read_text()
    command = "triplicate" if name == "quickstart" else f"triplicate experiment={name}"
    assert config.name == name
    assert config.report.title
    assert f"# {command}\n" in text
    if "/" in name:
        assert not re.search(r"20\d\d-\d\d-\d\d", text), "what was measured stands in docs/results, from records"
    for measures in config.report.published.values():
        for measure in measures:
            parse(measure)
            assert measure in config.report.measures


def marked(names: list[str]) -> list[Any]:
    return [name if name in MADE_HERE else pytest.param(name, marks=pytest.mark.real_data) for name in names]


@pytest.fixture
def small_run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that runs a preset at a small size and returns its folder."""

    def run(name: str) -> Path:
        overrides = [f"experiment={name}", *SMALL, f"output_dir={tmp_path}"]
        if name not in MADE_HERE:
            overrides.append(f"data_dir={request.getfixturevalue('real_data_unpacked')}")
        if name in UPSCALED:
            overrides += ["dataset.upscale=32", "dataset.limit=20"]
            overrides.remove("dataset.limit=60")
        if name == "dlhw1/transfer":
            _weights_of_imagenet(tmp_path / "torch", monkeypatch)
        assert main(overrides) == 0
        return tmp_path

    return run


def _weights_of_imagenet(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Random ones, where torch.hub would have put the published ones."""
    monkeypatch.setenv("TORCH_HOME", str(home))
    (home / "hub" / "checkpoints").mkdir(parents=True)
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    state = torchvision.models.resnet18(weights=None).state_dict()
    torch.save(state, home / "hub" / "checkpoints" / url.rpartition("/")[2])


def expected_rows(preset: Mapping[str, Any]) -> int:
    """Rows of the table: settings that belong together, times the values of every axis, as Hydra reads them."""
    sweeper = preset.get("hydra", {}).get("sweeper", {})
    axes = [f"{key}={values}" for key, values in sweeper.get("params", {}).items()]
    (jobs,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(axes), None)
    return len(sweeper.get("rows", [{}])) * len(jobs)


@pytest.mark.parametrize("name", marked(TRAINED))
def test_a_preset_runs_at_a_small_size(name: str, small_run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    folder = small_run(name)
    preset = read(name)
    table = pd.read_csv(folder / "table.csv")
    assert len(table) == expected_rows(preset)
    assert list(table["n"] + table["diverged"]) == [1] * len(table)
    published = preset["report"].get("published", {})
    found = table.filter(like="_published").notna().sum().sum()
    assert found == sum(str(v) not in ("NaN", "N/A") for row in published.values() for v in row.values())
    for figure in expected_figures(preset["report"]):
        assert list(folder.rglob(f"{figure}*.png")), figure
    assert "test accuracy" in capsys.readouterr().out or "report" in preset


def expected_figures(report: Mapping[str, Any]) -> list[str]:
    curves = [f"{name}_curves" for name in report.get("curves", ["loss", "accuracy"])]
    # No run reaches its target in one epoch.
    bars = [f"{name}_bars" for name in report.get("bars", []) if name != "epochs_to_target"]
    gradients = [f"gradient_{name}" for name in report.get("gradients", [])]
    return list(itertools.chain(curves, bars, gradients, report.get("figures", [])))


@pytest.mark.real_data
@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_shown(
    name: str, real_data_unpacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"experiment={name}", f"data_dir={real_data_unpacked}", f"output_dir={tmp_path}"]) == 0
    shown = capsys.readouterr().out
    assert "[60000, 1, 28, 28]" in shown
    assert "Ankle boot: 6,000" in shown
    assert {path.name for path in tmp_path.iterdir()} == {"samples.png"}


@pytest.mark.parametrize("group", presets.groups())
def test_every_choice_of_every_group_composes(group: str, configure: Configure) -> None:
    names = presets.choices(group)
    assert names
    for name in names:
        extra = ["dataset.validation=0.2"] if group == "stopping" else []
        configure(f"{group}={name}", *extra)


def test_the_sweep_for_ci_has_every_family_that_embedded_data_allow(configure: Configure) -> None:
    rows = read("smoke")["hydra"]["sweeper"]["rows"]
    given = [[f"{key}={value}" for key, value in row.items()] for row in rows]
    models = [configure("experiment=smoke", *row).model for row in given]
    families = {model.name for model in models}
    in_colour = {name for name, cls in classes("model").items() if issubclass(cls, Pretrained)}
    assert families == set(names("model")) - in_colour
    assert {getattr(model, "backend", "torch") for model in models} == {"torch", "numpy"}


def test_an_unknown_group_has_no_choices() -> None:
    assert presets.choices("nothing") == []
