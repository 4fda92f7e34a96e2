"""Sweeps and runs as objects; what they compute is what their sweep has measured."""

from __future__ import annotations

import doctest
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from PIL import Image

import triplicate
from tests.datasets.pictures import fill
from tests.parts import examples
from triplicate import Run, Sweep, UserError
from triplicate.config import run_config
from triplicate.datasets import Images
from triplicate.reports import draw
from triplicate.results.images import examples as read_images

QUIET = ("report.curves=[]", "executor.workers=1", "data_dir=null")

FAMILIES = {
    "mlp_cnn_numpy": (
        "dataset=glyphs",
        "dataset.limit=200",
        "dataset.mean=[0.3]",
        "dataset.std=[0.4]",
        "dataset.validation=0.2",
        "stopping.keep=best",
        "model=mlp,cnn",
        "model.backend=torch,numpy",
        "optimizer.lr=0.3",
        "seed=0,1",
        "train.epochs=2",
    ),
    "upscaled_float64": (
        "dataset=folder",
        "dataset.path=PICTURES",
        "dataset.size=12",
        "dataset.upscale=20",
        "dataset.test=0.5",
        "model=cnn",
        "train.dtype=float64",
        "train.epochs=1",
        "seed=0",
    ),
    "torchvision": (
        "dataset=folder",
        "dataset.path=PICTURES",
        "dataset.size=16",
        "dataset.upscale=32",
        "dataset.test=0.5",
        "model=resnet18",
        "model.weights=none",
        "train.epochs=1",
        "seed=0",
        "trace=none",
    ),
    "autocast_two_classes": (
        "dataset=points",
        "model=mlp",
        "loss=binary_cross_entropy",
        "train.autocast=none,bfloat16",
        "train.epochs=1",
        "seed=0,1",
    ),
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 12 pictures of noise."""
    root = tmp_path_factory.mktemp("pictures")
    for place, name in enumerate(("cat", "NA")):
        fill(root / name, 12, 20 * place, side=14)
    return root


@pytest.fixture(scope="module")
def sweeps(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sweep]:
    """A sweep of each family of models, trained once."""
    folder = tmp_path_factory.mktemp("sweeps")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw, "write_run", lambda run: None)  # plots are tested elsewhere, and take a third of the time
        for name, given in FAMILIES.items():
            words = [word.replace("PICTURES", str(pictures)) for word in given]
            found[name] = triplicate.sweep(*words, *QUIET, f"output_dir={folder / name}", progress=False)
    return found


@pytest.fixture
def glyphs(sweeps: dict[str, Sweep]) -> Sweep:
    return sweeps["mlp_cnn_numpy"]


def own_test_images(run: Run) -> Images:
    """The test images of the sweep, read from its recorded configuration alone."""
    config = run_config(run.record.config)  # type: ignore[union-attr]
    return config.dataset.load(config.data_dir).test


@pytest.mark.parametrize("family", FAMILIES)
def test_evaluating_gives_the_sweeps_own_measures(sweeps: dict[str, Sweep], family: str) -> None:
    """To the last bit: every column of metrics.csv on the test images in the tested epoch, and the confusion matrix."""
    for run in sweeps[family].runs:
        measured = run.evaluate()
        recorded = run.metrics.loc[int(run.result["tested_epoch"])]  # type: ignore[arg-type]
        assert len(measured.measures) >= 5
        for name, value in measured.measures.items():
            assert value == recorded[name], (run.name, name)
        pd.testing.assert_frame_equal(measured.confusion, run.confusion)
        pd.testing.assert_frame_equal(measured.classes, run.classes)
        assert measured.images == run.confusion.to_numpy().sum()


@pytest.mark.parametrize("family", FAMILIES)
def test_predicting_the_test_images_gives_the_confusion_matrix(sweeps: dict[str, Sweep], family: str) -> None:
    for run in sweeps[family].runs:
        images = own_test_images(run)
        found = run.predict(images.pixels)
        counted = pd.crosstab(images.labels.numpy(), found.labels)
        counted = counted.reindex(index=range(len(found.classes)), columns=range(len(found.classes)), fill_value=0)
        assert (counted.to_numpy() == run.confusion.to_numpy()).all()
        # A likelihood by hand is the loss, of the network as a module too.
        logits = run.model()(images.pixels)
        bits = 1e-2 if run.config.train.autocast != "none" else 1e-5
        by_module = run_config(run.record.config).loss.probabilities(logits).detach().numpy()  # type: ignore[union-attr]
        np.testing.assert_allclose(by_module, found.probabilities, atol=bits)
        likelihoods = found.probabilities[np.arange(len(found)), images.labels.numpy()]
        recorded = run.metrics.loc[int(run.result["tested_epoch"])]  # type: ignore[arg-type]
        assert -np.log(likelihoods).mean() == pytest.approx(recorded["test_loss"], rel=1e-4)


def test_the_examples_of_the_help_run(glyphs: Sweep) -> None:
    names = {"triplicate": triplicate, "torch": torch, "sweep": glyphs}
    for thing in (triplicate.open, Sweep, Run):
        examples_of = [test for test in doctest.DocTestFinder().find(thing, globs=names) if test.examples]
        assert examples_of
        assert all(doctest.DocTestRunner().run(test).failed == 0 for test in examples_of)


def test_the_best_epoch_is_not_always_the_last(glyphs: Sweep) -> None:
    """Otherwise the tests above would not tell whether the best weights are meant."""
    assert {run.result["tested_epoch"] for run in glyphs.runs} == {1, 2}


def test_files_are_scaled_as_the_data_set_does(sweeps: dict[str, Sweep], pictures: Path) -> None:
    run = sweeps["torchvision"].runs[0]
    config = run_config(run.record.config)  # type: ignore[union-attr]
    dataset = config.dataset.load(None)
    both = torch.cat([dataset.train.pixels, dataset.test.pixels])
    read = read_images(pictures, (3, 16, 16)).pixels
    assert {image.numpy().tobytes() for image in read} == {image.numpy().tobytes() for image in both}
    found = run.predict(pictures)
    assert list(found.frame.index) == sorted(str(file) for file in pictures.rglob("*.png"))
    assert list(found.frame.columns) == ["class", "probability", "p_NA", "p_cat"]
    files = list(found.frame.index)
    with Image.open(files[3]) as image:
        alone = run.predict(image)
    pd.testing.assert_series_equal(alone.frame.iloc[0], run.predict([files[3]]).frame.iloc[0], check_names=False)
    assert run.predict(files[3]).frame["class"].iloc[0] == found.frame["class"].iloc[3]
    assert "p_cat" in found._repr_html_()


def test_arrays_of_grey_images_need_no_channels(glyphs: Sweep) -> None:
    run = glyphs.runs[0]
    pixels = own_test_images(run).pixels[:3]
    expected = run.predict(pixels).probabilities
    for given in (pixels.numpy(), pixels[:, 0].numpy(), list(pixels), [p[0].numpy() for p in pixels]):
        np.testing.assert_array_equal(run.predict(given).probabilities, expected)
    np.testing.assert_allclose(run.predict(pixels[0, 0]).probabilities, expected[:1], atol=1e-6)


WRONG_IMAGES: dict[str, tuple[Any, str]] = {
    "floats": (np.zeros((2, 1, 28, 28)), "images: they are float64 [2, 1, 28, 28]; give uint8 [N, 1, 28, 28] with"),
    "shape": (np.zeros((2, 3, 28, 28), np.uint8), "images: they are uint8 [2, 3, 28, 28]; give uint8 [N, 1, 28, 28]"),
    "none": ([], "images: none are given; give one at least"),
    "empty": (np.zeros((0, 1, 28, 28), np.uint8), "images: they are uint8 [0, 1, 28, 28]"),
    "ragged": ([np.zeros((1, 28, 28), np.uint8), np.zeros((1, 27, 28), np.uint8)], "of which no tensor can be made"),
    "number": (7, "images: they are int64 []"),
    "nothing": (None, "images: of a NoneType no tensor can be made"),
    "missing": ("nowhere.png", "nowhere.png: it cannot be read (No such file or directory)"),
}


@pytest.mark.parametrize("kind", WRONG_IMAGES)
def test_wrong_images_are_told_in_a_line(glyphs: Sweep, kind: str) -> None:
    given, expected = WRONG_IMAGES[kind]
    with pytest.raises(UserError) as caught:
        glyphs.runs[0].predict(given)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_image_is_named(glyphs: Sweep, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(UserError, match=r"a\.png: the image cannot be decoded"):
        glyphs.runs[0].predict(tmp_path)
    (tmp_path / "a.png").unlink()
    with pytest.raises(UserError, match="no image is in it"):
        glyphs.runs[0].predict(tmp_path)


def test_other_data_is_evaluated_with_the_runs_own_preprocessing(glyphs: Sweep) -> None:
    """By hand: the whole test set through the module, as many right as its logits say."""
    run = glyphs.best("test_accuracy")
    whole = run.evaluate("dataset.limit=null")
    assert whole.images == 2000
    config = run_config({**run.record.config, "dataset": {**run.record.config["dataset"], "limit": None}})  # type: ignore[union-attr]
    images = config.dataset.load(None).test
    right = (run.model()(images.pixels).argmax(1) == images.labels).double().mean()
    assert whole.measures["test_accuracy"] == float(right)
    again = run.evaluate("dataset=glyphs")
    assert again.measures == whole.measures
    assert "test_accuracy" in whole._repr_html_()


WRONG_DATA = {
    "dataset=points": "dataset: its examples are 2, and the network was trained on 1×28×28; choose data",
    "dataset=mnits": "dataset: there is no 'mnits'; did you mean mnist?",
    "dataset.limt=5": "dataset.limt: there is no such key; did you mean dataset.limit?",
    "dataset.limit=0": "dataset.limit: 0 is out of range",
    "dataset.limit=1,2": "dataset.limit: several values are given",
    "dataset=mnist,glyphs": "dataset: several values are given",
    "optimizer.lr=1": "optimizer.lr: it only affects training, and this run is trained; give dataset=…",
    "dataset.upscale=64": "dataset.upscale: how images are prepared was fixed when the network was trained",
    "dataset.validation=0.5": "dataset.validation: it only affects training, and this run is trained",
    "mnist": "mnist: it is no override; write key=value",
    "dataset=mnist data_dir=/nowhere": "/nowhere",
}


@pytest.mark.parametrize("words", WRONG_DATA)
def test_wrong_data_is_told_in_a_line(glyphs: Sweep, words: str) -> None:
    with pytest.raises(UserError) as caught:
        glyphs.runs[0].evaluate(*words.split())
    assert WRONG_DATA[words] in str(caught.value)
    assert "\n" not in str(caught.value)


def test_data_of_other_classes_is_refused(sweeps: dict[str, Sweep], tmp_path: Path) -> None:
    for place in range(3):
        fill(tmp_path / str(place), 4, place, side=14)
    with pytest.raises(UserError, match="dataset: it has 3 classes, and the network was trained on 2; choose"):
        sweeps["torchvision"].runs[0].evaluate(f"dataset.path={tmp_path}")


def test_a_model_is_an_ordinary_module(glyphs: Sweep) -> None:
    run = next(run for run in glyphs.runs if run.config.model.name == "cnn" and run.config.model.backend == "torch")
    model = run.model()
    assert not model.training
    pixels = own_test_images(run).pixels[:4]
    preprocessed = ((pixels / 255) - 0.3) / 0.4
    torch.testing.assert_close(model(pixels), model.network(preprocessed))
    stored = safetensors.torch.load_file(run.folder / "weights.safetensors")
    assert stored.keys() == model.network.state_dict().keys()
    model(pixels).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_the_frame_is_the_table(glyphs: Sweep) -> None:
    assert (glyphs.folder / "table.csv").read_text() == glyphs.frame.to_csv(index=False)
    assert len(glyphs.frame) == 4
    assert glyphs._repr_html_().count("<tr>") == 5
    assert str(glyphs).partition("\n\n")[0].count("\n") == 5
    assert repr(glyphs).endswith("4 rows, 8 finished)")


def test_a_run_tells_what_its_folder_has(glyphs: Sweep) -> None:
    run = glyphs.runs[3]
    assert run.setting == {"model": "mlp", "model.backend": "numpy"}
    assert (run.seed, run.status, run.cause) == (1, "finished", "")
    assert run.overrides["optimizer.lr"] == "0.3"
    assert run.config.optimizer.lr == 0.3
    with pytest.raises(Exception, match="read-only"):
        run.config.optimizer.lr = 1
    assert json.loads((run.folder / "summary.json").read_text())["measures"] == run.result
    assert list(run.metrics.index) == [1, 2]
    assert {"step", "layer", "parameter", "mean", "mean_absolute", "l2"} == set(run.gradients.columns)
    assert len(run.gradients) > 0
    assert len(run.steps) == 0
    assert Run.open(run.folder).result == run.result


def test_the_best_run_is_best(glyphs: Sweep) -> None:
    for measure, best in (("test_accuracy", max), ("test_loss", min), ("min_test_loss", min), ("test_f1@1", max)):
        values = [run.measure(measure) for run in glyphs.runs]
        first = values.index(best(values))  # type: ignore[type-var]
        assert glyphs.best(measure).folder == glyphs.runs[first].folder
    with pytest.raises(UserError, match="best: there is no 'test_acuracy'; did you mean test_accuracy"):
        glyphs.best("test_acuracy")
    with pytest.raises(UserError, match="best: no finished run has epochs_to_target"):
        glyphs.best("epochs_to_target")


def test_runs_without_a_result_are_there_and_never_best(glyphs: Sweep, tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(glyphs.folder, copied)
    best = glyphs.best("test_accuracy")
    (copied / "runs" / best.name / "summary.json").unlink()
    sweep = triplicate.open(copied)
    assert "1 missing" in repr(sweep)
    assert "7 finished" in repr(sweep)
    assert len(sweep.runs) == 8
    assert sweep.best("test_accuracy").name != best.name
    lost = next(run for run in sweep.runs if run.name == best.name)
    assert lost.status == "missing"
    assert lost.config == best.config
    with pytest.raises(UserError, match="it is missing; the same command again trains what is missing"):
        lost.metrics  # noqa: B018


def test_a_run_that_diverged_is_no_model(tmp_path: Path) -> None:
    words = ["dataset=points", "model=mlp", "optimizer.lr=1e30,0.1", "seed=0", "train.epochs=1", *QUIET]
    sweep = triplicate.sweep(*words, f"output_dir={tmp_path / 'out'}", progress=False)
    assert [run.status for run in sweep.runs] == ["diverged", "finished"]
    assert sweep.best("test_loss").setting == sweep.best("test_accuracy").setting == {"optimizer.lr": "0.1"}
    for compute in (sweep.runs[0].model, sweep.runs[0].evaluate, lambda: sweep.runs[0].predict([[0.0, 0.0]])):
        with pytest.raises(
            UserError, match=r"it diverged in step \d+, and its weights mean nothing; choose another run"
        ):
            compute()


def test_damaged_files_are_named(glyphs: Sweep, tmp_path: Path) -> None:
    folder = tmp_path / "sweep" / "runs" / "one"
    shutil.copytree(glyphs.runs[0].folder, folder)
    run = Run.open(folder)
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with pytest.raises(UserError, match=r"weights\.safetensors: its content is not what was written; see triplicate"):
        run.model()
    weights.unlink()
    with pytest.raises(UserError, match=r"weights\.safetensors: it is not there; see triplicate check"):
        run.predict(np.zeros((1, 28, 28), np.uint8))
    with pytest.raises(UserError, match="nowhere: there is no such folder; name the folder"):
        triplicate.open(tmp_path / "nowhere")
    with pytest.raises(UserError, match="no finished run is in it"):
        Run.open(tmp_path)


def test_parts_from_outside_must_be_brought(tmp_path: Path) -> None:
    _, file = examples.write(tmp_path, "activations.py")
    words = ["dataset=points", "model=mlp", "activation=mish", "seed=0", "train.epochs=1", *QUIET]
    sweep = triplicate.sweep(*words, f"output_dir={tmp_path / 'out'}", parts=[file], progress=False)
    expected = sweep.runs[0].evaluate().measures
    assert expected["test_accuracy"] == sweep.runs[0].result["test_accuracy"]
    without = triplicate.open(tmp_path / "out")
    with pytest.raises(UserError, match=r"activation mish: it came from activations\.py, which is not loaded; name"):
        without.runs[0].model()
    assert triplicate.open(tmp_path / "out", parts=[file]).runs[0].evaluate().measures == expected
    Path(file).write_text(Path(file).read_text() + "# another text\n")
    with pytest.warns(UserWarning, match="its text is not the one"):
        triplicate.open(tmp_path / "out", parts=[file]).runs[0].model()
