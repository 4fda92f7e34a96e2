"""`triplicate predict` and `triplicate evaluate`, with a run that was trained."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from tests.commands.conftest import Say
from tests.conftest import Configure
from triplicate.cli import main

TINY = ("train.epochs=1", "dataset.limit=96", "model.hidden=[16]", "optimizer.lr=0.2", "seed=0,1", "report.curves=[]")


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "sweep"
    assert main([*TINY, f"output_dir={folder}"]) == 0
    return folder


@pytest.fixture(scope="module")
def run(sweep: Path) -> Path:
    return sweep / "runs" / "seed=1"


@pytest.fixture(scope="module")
def images(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test images that the sweep had, as files that are named by their labels, half of them in a folder below."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "below").mkdir()
    test = configure("dataset.limit=96").dataset.load(None).test
    for number, (pixels, label) in enumerate(zip(test.pixels, test.labels, strict=True)):
        where = folder / "below" if number % 2 else folder
        Image.fromarray(pixels[0].numpy()).save(where / f"{int(label)},{number}.PNG")
    return folder


def test_evaluate_equals_the_sweep(say: Say, run: Path) -> None:
    found = say("evaluate", run, "--json").json
    recorded = say("show", run, "--json").json["measures"]
    assert found["images"] == 96
    assert set(found["measures"]) == {"test_loss", "test_accuracy", "test_precision", "test_recall", "test_f1"}
    assert found["measures"] == {name: recorded[name] for name in found["measures"]} == found["measures_of_sweep"]
    counts = found["confusion"]["counts"]
    assert counts == pd.read_csv(run / "confusion.csv", index_col=0).to_numpy().tolist()
    assert sum(counts[n][n] for n in range(10)) == round(96 * recorded["test_accuracy"])
    text = say("evaluate", run).out
    accuracy = f"{100 * recorded['test_accuracy']:.2f}"
    assert [line.split() for line in text.splitlines() if line.startswith("test accuracy")] == [
        ["test", "accuracy", "%", accuracy, "in", "the", "sweep", accuracy]
    ]
    table = pd.read_csv(io.StringIO(say("evaluate", run, "--csv").out), dtype={"class": str, "predicted": str})
    assert table.loc[table["what"] == "test_accuracy", "value"].tolist() == [recorded["test_accuracy"]]
    assert table.loc[table["what"] == "count", "value"].sum() == 96


def test_evaluate_on_other_data(say: Say, run: Path) -> None:
    assert say("evaluate", run, "dataset.limit=null", "--json").json["images"] == 2000
    for words, part in {
        ("dataset=glyhps",): "did you mean glyphs?",
        ("dataset=xor",): "error: dataset",
        ("optimizer.lr=1",): "error: optimizer.lr: ",
        ("bla",): "error: bla: ",
    }.items():
        said = say("evaluate", run, *words)
        assert (said.code, said.out) == (2, ""), words
        assert part in said.err
        assert said.err.count("\n") == 1


def test_predictions_are_those_of_the_sweep(say: Say, run: Path, images: Path) -> None:
    table = pd.read_csv(io.StringIO(say("predict", run, images, "--csv").out), dtype={"class": str})
    assert len(table) == 96
    right = [Path(file).name[0] == found for file, found in zip(table["file"], table["class"], strict=True)]
    recorded = say("show", run, "--json").json["measures"]
    assert sum(right) / 96 == recorded["test_accuracy"]
    probabilities = table[[f"p_{n}" for n in range(10)]]
    assert probabilities.sum(axis=1).to_numpy() == pytest.approx(1)
    assert (probabilities.max(axis=1) == table["probability"]).all()
    assert (probabilities.to_numpy().argmax(axis=1) == table["class"].astype(int)).all()


def test_predict_in_each_form(say: Say, run: Path, images: Path) -> None:
    file = min(images.glob("*.PNG"))
    (one,) = say("predict", run, file, "--json").json
    assert list(one) == ["file", "class", "probability", "probabilities", "error"]
    assert next(iter(one["probabilities"])) == one["class"]
    assert len(one["probabilities"]) == 10
    said = say("predict", run, file)
    assert said.out.startswith(f"{file}  {one['class']}  {100 * one['probability']:6.2f} %   then ")
    assert say("predict", run, file, "--json", "--csv").err.startswith("error: --csv: ")


def test_an_image_that_cannot_be_read_costs_no_other(say: Say, run: Path, images: Path, tmp_path: Path) -> None:
    bad, missing, pipe = tmp_path / "bad.png", tmp_path / "missing.png", tmp_path / "pipe.png"
    bad.write_bytes(b"no image")
    os.mkfifo(pipe)
    good = min(images.glob("*.PNG"))
    said = say("predict", run, bad, good, missing, pipe, "--csv")
    assert said.code == 2
    assert [line["file"] for line in said.csv] == [str(path) for path in (bad, good, missing, pipe)]
    assert [bool(line["error"]) for line in said.csv] == [True, False, True, True]
    assert [line.partition(": ")[2].partition(": ")[0] for line in said.err.splitlines()] == [
        str(bad),
        str(missing),
        str(pipe),
    ]
    alone = say("predict", run, bad)
    assert (alone.code, alone.out, alone.err.count("\n")) == (2, "", 1)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"error: {empty}: no image is in it; " in say("predict", run, empty).err


def test_the_keys_are_documented(say: Say, run: Path, images: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    sections = {part.split()[0]: part for part in text.split("\n## ")[1:]}
    evaluated = say("evaluate", run, "--json").json
    keys = {
        "predict": say("predict", run, min(images.glob("*.PNG")), "--json").json[0],
        "evaluate": [*evaluated, *evaluated["confusion"], *evaluated["classes"][0]],
    }
    for command, known in keys.items():
        assert [key for key in known if f"`{key}`" not in sections[command]] == []


def test_best_names_the_run_for_predict(say: Say, sweep: Path, images: Path) -> None:
    path = say("best", sweep, "--path").out.rstrip("\n")
    measured = {name: say("show", sweep / "runs" / name, "--json").json for name in ("seed=0", "seed=1")}
    accuracies = {name: each["measures"]["test_accuracy"] for name, each in measured.items()}
    assert accuracies[Path(path).name] == max(accuracies.values())
    assert say("predict", path, min(images.glob("*.PNG"))).code == 0
