"""Parts from outside, by the three ways, with the very texts of docs/parts.md."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from joblib.externals.loky import get_reusable_executor

from tests.parts import examples
from triplicate.cli import main

SMALL = ("train.epochs=2", "train.batch_size=50", "dataset.limit=300", "seed=0,1", "trace=none")
STRIPES = ("dataset=stripes", *SMALL)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, in which nothing is registered yet."""
    argv = [sys.executable, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, env=os.environ | environment, check=False)


def summaries(sweep: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(sweep.glob("runs/*/summary.json"))]


def test_every_example_is_a_file_with_a_name() -> None:
    assert len(examples.texts()) == 13
    for name, text in examples.texts().items():
        if name.endswith(".py"):
            compile(text, name, "exec")


FILES = ("activations", "mixer", "stripes", "augmentations", "optimizers", "measures", "figures", "others")
ALL = tuple(f"{name}.py" for name in FILES)
SWEEP = [
    *STRIPES,
    *("model=mixer", "model.dropout=0,0.1", "activation=mish", "optimizer=lion", "schedule=halving"),
    *("augmentation=light", "optimizer.clip_norm=10", "schedule.warmup=1"),
    *("init=orthogonal", "loss=focal", "loss.gamma=1", "stopping=small_loss", "stopping.below=1e-9"),
    *("report.measures=[test_accuracy,test_top2,last_step]", "report.figures=[weights]"),
]
USED = {
    "dataset stripes",
    "augmentation light",
    "model mixer",
    "optimizer lion",
    "schedule halving",
    "activation mish",
    "init orthogonal",
    "loss focal",
    "stopping small_loss",
    "measure top2",
}


@pytest.fixture(scope="module")
def by_file(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """The arguments of a sweep with a part of every kind, each from a file, and the folder that it has left."""
    folder = tmp_path_factory.mktemp("files")
    parts = examples.write(folder, *ALL)
    arguments = [*parts[:4], *SWEEP, f"output_dir={folder / 'out'}", *parts[4:]]
    assert main(arguments) == 0
    return arguments, folder / "out"


def test_all_kinds_from_files_in_one_sweep(by_file: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]) -> None:
    arguments, sweep = by_file
    table = pd.read_csv(sweep / "table.csv")
    assert list(table["model.dropout"]) == [0, 0.1]
    assert list(table["n"]) == [2, 2]
    assert (table["test_top2_mean"] >= table["test_accuracy_mean"]).all()
    assert table["last_step_mean"].notna().all()
    assert len(list(sweep.glob("runs/*/plots/weights.png"))) == 4
    assert (sweep / "weights_accuracy.png").is_file()
    for summary in summaries(sweep):
        outside = summary["parts_from_outside"]
        assert set(outside) == USED
        assert outside["model mixer"]["source"] == "mixer.py"
        assert len(outside["model mixer"]["version"]) == 12
    _same_again(arguments, sweep, sweep.parent, capsys)


@pytest.mark.parametrize("way", ["package", "script"])
def test_they_give_the_same_by_the_other_ways(way: str, by_file: tuple[list[str], Path], tmp_path: Path) -> None:
    """With two workers; a script's classes cannot be imported by these."""
    options = [*SWEEP, "executor.workers=2", "output_dir=out"]
    if way == "package":
        examples.install_entries(tmp_path / "site", "everything", "3", {"all": "everything"})
        (tmp_path / "site" / "everything.py").write_text(examples.together(*ALL))
        done = command("-m", "triplicate", *options, PYTHONPATH=str(tmp_path / "site"))
    else:
        main_too = (
            "\nimport sys\nfrom triplicate import main\nif __name__ == '__main__':\n    sys.exit(main(sys.argv[1:]))\n"
        )
        (tmp_path / "everything.py").write_text(examples.together(*ALL) + main_too)
        done = command("everything.py", *options)
    assert done.returncode == 0, done.stderr
    source = {"package": "everything 3", "script": "script or notebook"}[way]
    for summary in summaries(tmp_path / "out"):
        assert set(summary["parts_from_outside"]) == USED
        assert {outside["source"] for outside in summary["parts_from_outside"].values()} == {source}
    _same_numbers(by_file[1], tmp_path / "out")


def _same_numbers(one: Path, other: Path) -> None:
    found = sorted(one.glob("runs/*/metrics.csv"))
    assert len(found) > 1
    for path in found:
        mine, theirs = (pd.read_csv(p).drop(columns="seconds") for p in (path, other / path.relative_to(one)))
        pd.testing.assert_frame_equal(mine, theirs, rtol=1e-4)


def _same_again(arguments: list[str], sweep: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is trained twice; a report needs no parts; another text of a part is another run."""
    capsys.readouterr()
    finished = [summary["finished_at"] for summary in summaries(sweep)]
    assert main(["plan", *arguments]) == 0
    assert "0 runs to train, 4 finished already" in capsys.readouterr().out
    before = (sweep / "table.csv").read_text()
    assert main(["report", str(sweep)]) == 0
    printed = capsys.readouterr()
    assert (sweep / "table.csv").read_text() == before
    assert "there is no figure weights" in printed.err
    assert main(["report", *examples.write(folder, "figures.py"), str(sweep)]) == 0
    assert "note" not in capsys.readouterr().err
    with (folder / "mixer.py").open("a") as file:
        file.write("\n# another text\n")
    assert main(["plan", *arguments]) == 0
    assert "4 runs to train: " in capsys.readouterr().out
    assert [summary["finished_at"] for summary in summaries(sweep)] == finished


def test_what_a_command_brought_is_gone_after_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = examples.write(tmp_path, "activations.py")
    assert main([*parts, "--help"]) == 0
    assert " mish " in capsys.readouterr().out
    assert main([*parts, "help", "elu", "all"]) == 0
    shown = capsys.readouterr().out
    assert "  activation.alpha=1.0  limit for large negative inputs, negated (above 0)" in shown
    assert " activation.alpha " in shown
    assert main(["--help"]) == 0
    assert "mish" not in capsys.readouterr().out
    assert main(["activation=mish"]) == 2
    assert "activation: there is no 'mish'" in capsys.readouterr().err
    assert main(["plan", *parts, *parts, "activation=mish", "dataset=points"]) == 0


def test_keys_of_a_part_sweep_and_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = examples.write(tmp_path, "activations.py")
    assert main(["plan", *parts, "dataset=points", "activation=elu", "activation.alpha=0.5,1", "seed=0,1"]) == 0
    assert "4 runs to train: 2 stacks" in capsys.readouterr().out
    for override, message in {
        "activation.alpha=0": "activation.alpha: 0.0 is out of range; give a number above 0",
        "activation.alpha=a": "activation.alpha: 'a' is not a number",
        "activation.alhpa=1": "activation.alhpa: there is no such key; did you mean activation.alpha?",
    }.items():
        assert main([*parts, "activation=elu", override]) == 2
        assert message in capsys.readouterr().err
    assert main([*parts, "activation.alpha=1"]) == 2
    assert "activation.alpha: the chosen activation does not have this key" in capsys.readouterr().err
    assert main([*parts, "model=cnn", "model.activation=[elu,relu]"]) == 2
    assert "elu has keys of its own (alpha)" in capsys.readouterr().err
    assert main(["plan", *parts, "model=cnn", "activation=elu", "model.activation=[elu,mish]", "seed=0"]) == 0


def test_a_module_that_cannot_be_stacked_trains_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = examples.write(tmp_path, "recurrent.py", "stripes.py")
    assert main(["plan", *parts, *STRIPES, "model=recurrent"]) == 0
    shown = capsys.readouterr().out
    assert "2 runs to train: 2 stacks" in shown
    assert "alone: no rule stacks GRU, which has tensors of its own (weight_ih_l0" in shown
    assert main([*parts, *STRIPES, "model=recurrent", f"output_dir={tmp_path / 'out'}"]) == 0
    assert list(pd.read_csv(tmp_path / "out" / "table.csv")["n"]) == [2]


def test_an_installed_package(tmp_path: Path) -> None:
    """In processes of their own: what a package registers stays."""
    examples.install(tmp_path / "site")
    site = str(tmp_path / "site")
    shown = command("-m", "triplicate", "help", "activation", "softplus", PYTHONPATH=site).stdout
    assert "activation=softplus" in shown
    assert "  activation.beta=2.0  how sharply it bends (above 0)" in shown
    options = ["dataset=points", "activation=softplus,relu", "seed=0,1", "train.epochs=1", "trace=none"]
    done = command("-m", "triplicate", *options, "executor.workers=2", "output_dir=out", PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    assert list(pd.read_csv(tmp_path / "out" / "table.csv")["activation"]) == ["softplus", "relu"]
    softplus = [s for s in summaries(tmp_path / "out") if s["choices"]["activation"] == "softplus"]
    assert {s["parts_from_outside"]["activation softplus"]["source"] for s in softplus} == {"soft-parts 1.2"}
    assert all(not s["parts_from_outside"] for s in summaries(tmp_path / "out") if s not in softplus)
    twice = command("-m", "triplicate", "activation=softplus", "+activation.gamma=1", PYTHONPATH=site)
    assert twice.returncode == 2
    assert twice.stderr.count("\n") == 1


def test_a_script_that_registers_before_it_sweeps(tmp_path: Path) -> None:
    examples.write(tmp_path, "sweep.py")
    options = ["dataset=points", "activation=softsign,relu", "seed=0,1", "train.epochs=1", "trace=none"]
    done = command("sweep.py", *options, "executor.workers=2", "output_dir=out")
    assert done.returncode == 0, done.stderr
    assert list(pd.read_csv(tmp_path / "out" / "table.csv")["activation"]) == ["softsign", "relu"]
    origins = [s["parts_from_outside"].get("activation softsign") for s in summaries(tmp_path / "out")]
    assert {o["source"] for o in origins if o} == {"script or notebook"}
    assert origins.count(None) == 2


@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_other_launchers_load_the_same_parts(tmp_path: Path, launcher: str) -> None:
    parts = examples.write(tmp_path, "activations.py")
    options = ["dataset=points", "activation=mish", "seed=0,1", "train.epochs=1", f"hydra/launcher={launcher}"]
    assert main([*options, *parts, f"output_dir={tmp_path / 'out'}"]) == 0
    get_reusable_executor().shutdown(wait=True)
    assert list(pd.read_csv(tmp_path / "out" / "table.csv")["n"]) == [2]
    versions = {json.dumps(summary["parts_from_outside"]) for summary in summaries(tmp_path / "out")}
    assert len(versions) == 1
    assert "activations.py" in versions.pop()


@pytest.mark.parametrize("place", ["activation=mi", "model=mixe", "model=mixer model.pat"])
def test_the_tab_key_completes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any, place: str
) -> None:
    parts = examples.write(tmp_path, "activations.py", "mixer.py")
    monkeypatch.setenv("COMP_LINE", f"triplicate {' '.join(parts)} {place}")
    monkeypatch.setenv("COMP_POINT", "999")
    assert main(["-sc", "query=bash"]) == 0
    expected = {"activation=mi": "activation=mish", "model=mixe": "model=mixer"}.get(place, "model.patch=")
    assert expected in capsys.readouterr().out.split()


def test_an_activation_of_our_own_is_one_file_and_one_yaml(tmp_path: Path) -> None:
    """In a copy of the package: nothing else is edited."""
    root = Path(__file__).parents[2]
    for name in ("src", "conf"):
        subprocess.run(["cp", "-r", str(root / name), str(tmp_path / name)], check=True)
    text = examples.texts()["activations.py"].partition('@part("elu")')[2].replace(", default=1.0", "")
    head = examples.texts()["activations.py"].partition("\n\n@part")[0]
    (tmp_path / "src" / "triplicate" / "activations" / "elu.py").write_text(f'{head}\n\n@part("elu"){text}')
    (tmp_path / "conf" / "activation" / "elu.yaml").write_text("name: elu\nalpha: 1.0\n")
    source = str(tmp_path / "src")
    shown = command("-m", "triplicate", "help", "elu", PYTHONPATH=source).stdout
    assert "  activation.alpha=1.0  limit for large negative inputs, negated (above 0)" in shown
    options = ["dataset=glyphs", "dataset.limit=60", "train.epochs=1", "trace=none", "seed=0", "model.hidden=[4]"]
    models = ["model=mlp,cnn", "activation=elu", "activation.alpha=0.5,1"]
    done = command("-m", "triplicate", *options, *models, "output_dir=out", PYTHONPATH=source)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tmp_path / "out" / "table.csv")
    assert list(zip(table["model"], table["activation.alpha"], strict=True)) == [
        ("mlp", 0.5),
        ("mlp", 1),
        ("cnn", 0.5),
        ("cnn", 1),
    ]


def test_a_notebooks_cells_make_its_version(tmp_path: Path) -> None:
    """What a class of a notebook uses counts too; where its lines stand, and being run again, does not."""
    code = """
from dataclasses import dataclass
from torch import nn
from triplicate import Activation, part

cells = [
    "SLOPE = 0.1\\ndef made(): return nn.LeakyReLU(SLOPE)\\n",
    "@part('leaky')\\n@dataclass(frozen=True)\\nclass Leaky(Activation):\\n    def module(self): return made()\\n",
]

def version(*cells):
    for cell in cells:
        exec(compile(cell, '<cell>', 'exec'), globals())
    return Leaky.origin.version

del __file__
print(version(*cells), version(*cells), version('\\n\\n' + cells[0], '\\n' + cells[1]))
print(version(cells[0].replace('0.1', '0.2'), cells[1]), version(cells[0].replace('Leaky', ''), cells[1]))
"""
    (tmp_path / "cells.py").write_text(code)
    done = command("cells.py")
    assert done.returncode == 0, done.stderr
    same, other = (line.split() for line in done.stdout.splitlines())
    assert len(set(same)) == 1
    assert len({*same, *other}) == 3
