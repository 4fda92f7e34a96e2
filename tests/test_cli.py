from __future__ import annotations

import itertools
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import triplicate
from triplicate.cli import main

ROOT = Path(__file__).parents[1]
TINY = ("train.epochs=1", "dataset.limit=64", "model=mlp", "model.hidden=[4]")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


MISTAKES = {
    "optimizer=sdg": "optimizer: there is no 'sdg'; did you mean sgd?",
    "optimizer=sgd,lbfgs": "optimizer: there is no 'lbfgs'; choose one of adam, adamw, momentum, rmsprop, sgd",
    "optimizer.beta1=0.5": "optimizer.beta1: the chosen optimizer does not have this key; see triplicate --cfg job",
    "optimizer.name=adam": "optimizer.momentum: the chosen optimizer does not have this key",
    "optimizer.name=sdg": "optimizer.name: there is no 'sdg'; did you mean sgd?",
    "dataset=fashion_minst": "dataset: there is no 'fashion_minst'; did you mean fashion_mnist?",
    "experiment=cv2025/learning_rate": "did you mean cv2025/learning_rates?",
    "experiment=nothing": "experiment: there is no 'nothing'; choose one of",
    "experiment=quickstart,cv2025/learning_rate": "did you mean cv2025/learning_rates?",
    "optimizer.lrr=1,2": "optimizer.lrr: there is no such key; did you mean optimizer.lr?",
    "optimizer.lrr=3": "optimizer.lrr: there is no such key; did you mean optimizer.lr?",
    "lr=3": "lr: there is no such key; did you mean optimizer.lr?",
    "optimzer=sgd": "optimzer: there is no such key; did you mean optimizer?",
    "+optimizer.lr=3": "optimizer.lr: it is there already; write it without the +",
    "+extra=1": "extra: there is no such key",
    "optimizer.lr=0": "optimizer.lr: 0.0 is out of range; give a number above 0",
    "optimizer.lr=-1": "optimizer.lr: -1.0 is out of range",
    "optimizer.lr=abc": "optimizer.lr: 'abc' is not a number; give a number above 0",
    "optimizer.lr=nan": "optimizer.lr: nan is not finite",
    "optimizer.lr=": "optimizer.lr: nothing is not a number",
    "optimizer.lr=0.1,abc": "optimizer.lr: 'abc' is not a number",
    "optimizer.lr=interval(0,1)": "optimizer.lr: an interval has no values",
    "optimizer.lr==": "optimizer.lr: it cannot be read (extraneous input '=')",
    "seed=-1": "seed: -1 is out of range; give a whole number at least 0",
    "seed=": "seed: nothing is not a whole number",
    "seed=0,0": "seed=0: this run is given twice; give each value of a sweep once",
    "seed=0,1,0": "seed=0: this run is given twice",
    "seed=[0,1]": "without brackets, such as 0,1,2",
    "seed=1.5": "seed: 1.5 is not a whole number",
    "train.epochs=0": "train.epochs: 0 is out of range",
    "train.batch_size=0": "train.batch_size: 0 is out of range",
    "+optimizer._target_=os.system": "optimizer._target_: import paths are refused",
    "+optimizer={_target_: os.system}": "optimizer: import paths are refused",
    "~optimizer": "optimizer: a key cannot be taken away",
    "output_dir=/dev/null/x": "/dev/null/x: not a directory; give a folder that can be written",
    "device=tpu": "device: there is no 'tpu'",
    "hydra/launcher=nothing": "hydra/launcher: no plug-in nothing is installed",
    "--nothing": "--nothing: there is no such flag",
    "repport": "repport: it is neither a command nor key=value; did you mean report?",
}


@pytest.mark.parametrize("argument", MISTAKES)
def test_a_mistake_is_one_clear_line_and_leaves_nothing(
    argument: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_refusal([argument], MISTAKES[argument], elsewhere, capsys)


def check_refusal(arguments: list[str], message: str, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("error: ")
    assert message in printed.err
    assert list(elsewhere.rglob("*")) == []


MISTAKES_OF_SEVERAL = {
    ("model=cnn", "model.filters=[8,8,8,8,8]"): "model.pool: pool5 shrinks the image to nothing",
    ("model=cnn", "model.kernel=15", "model.padding=0"): "model.kernel: conv2 shrinks the image to nothing",
    ("model=cnn", "dataset=xor"): "model.name: cnn needs images, and an example has 2 numbers",
    ("model=cnn", "model.kernel=[3,3,3]"): "model.kernel: 3 values for 2 convolutions",
    ("model=cnn", "model.activation=rleu"): "model.activation: there is no 'rleu'; did you mean relu?",
    ("model=cnn_complex", "dataset.limit=65"): "train.batch_size: the last batch of an epoch has one image",
    ("model=resnet18", "model.weights=none"): "model.name: resnet18 needs images of 3 channels, and these have 1",
    ("dataset=folder",): "dataset.path: ",
    ("dataset=folder", "dataset.path=nowhere"): "nowhere",
    ("dataset=xor", "dataset.mean=[0.5]", "dataset.std=[0.5]"): "dataset.mean: points are no images",
    ("dataset=glyphs", "dataset.mean=[0.5,0.5]", "dataset.std=[1,1]"): "dataset.mean: 2 numbers for images of 1",
    ("loss=binary_cross_entropy",): "loss: binary_cross_entropy is for two classes, and there are 10",
    ("stopping=patience",): "stopping.measure: it goes by validation_loss, and no images are set apart",
    ("augmentation=crop_flip", "dataset=xor"): "augmentation crop_flip: points are no images",
    ("regularization=dropout", "model=resnet18"): "model.dropout: the chosen model does not have this key",
    ("trace.only=[linear1.wieght]",): "trace.only: there is no 'linear1.wieght'; did you mean linear1.weight?",
    ("report.measures=[test_acc]",): "report.measures: there is no 'test_acc'",
    ("report.figures=[filter]",): "report.figures: there is no 'filter'; did you mean filters?",
    ("samples", "dataset=nothing"): "dataset: there is no 'nothing'",
    ("reproduce", "cs777"): "reproduce: there is no 'cs777'; did you mean cs776?",
}


@pytest.mark.parametrize("arguments", MISTAKES_OF_SEVERAL, ids=" ".join)
def test_so_is_a_mistake_of_several_arguments(
    arguments: tuple[str, ...], elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_refusal([*arguments], MISTAKES_OF_SEVERAL[arguments], elsewhere, capsys)


def test_a_folder_without_images_or_with_a_damaged_one(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["dataset=folder", "dataset.path=leaves", "dataset.size=8", "output_dir=out", "train.epochs=1", "seed=0"]
    for name in ("oak", "elm"):
        (elsewhere / "leaves" / name).mkdir(parents=True)
    assert main(command) == 2
    assert "leaves: none of its folders (elm, oak) has an image" in capsys.readouterr().err
    for number in range(10):
        for name in ("oak", "elm"):
            Image.new("RGB", (9, 7), (number, 200 if name == "oak" else 0, 0)).save(
                elsewhere / "leaves" / name / f"{number}.png"
            )
    damaged = elsewhere / "leaves" / "oak" / "3.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:40])
    assert main(command) == 2
    assert "oak/3.png: " in capsys.readouterr().err
    assert not (elsewhere / "out").exists()
    damaged.write_bytes(whole)
    assert main([*command, "model=cnn", "model.filters=[2]"]) == 0
    assert "test accuracy" in capsys.readouterr().out


def test_the_weights_of_another_model(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*TINY, "seed=0", "output_dir=mlp"]) == 0
    weights = next((elsewhere / "mlp").rglob("weights.safetensors")).rename("mlp.safetensors")
    for number in range(4):
        for split, name in itertools.product(("train", "test"), ("elm", "oak")):
            folder = elsewhere / "leaves" / split / name
            folder.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (number, 0, 9)).save(folder / f"{number}.png")
    capsys.readouterr()
    folder = ("dataset=folder", "dataset.path=leaves", "dataset.size=32")
    assert main([*folder, "model=resnet18", f"model.weights={weights}", "output_dir=out", "seed=0"]) == 2
    assert "mlp.safetensors: it holds the weights of another model" in capsys.readouterr().err
    assert not (elsewhere / "out").exists()


def test_a_mistake_keeps_what_a_folder_holds(elsewhere: Path) -> None:
    assert main([*TINY, "seed=0", "output_dir=out"]) == 0
    kept = {path: path.read_bytes() for path in elsewhere.rglob("summary.json")}
    assert main([*TINY, "seed=0", "output_dir=out", "optimizer.lr=0"]) == 2
    assert {path: path.read_bytes() for path in elsewhere.rglob("summary.json")} == kept
    assert main([*TINY, "seed=0", "output_dir=out", "optimizer.lr=0.2"]) == 0
    assert {path: path.read_bytes() for path in elsewhere.rglob("summary.json") if path in kept} == kept
    assert len(list(elsewhere.rglob("summary.json"))) == 2


@pytest.mark.usefixtures("no_network")
def test_files_that_are_cut_short_or_missing(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = elsewhere / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (raw / f"{name}-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x01")
    assert main(["dataset=mnist", "data_dir=data", "output_dir=out"]) == 2
    assert "train-images-idx3-ubyte: the file is cut short or damaged" in capsys.readouterr().err
    assert main(["dataset=mnist", "data_dir=missing", "output_dir=out"]) == 2
    assert f"error: data_dir: {elsewhere / 'missing'} is not there; make it" in capsys.readouterr().err
    (elsewhere / "empty").mkdir()
    assert main(["dataset=mnist", "data_dir=empty", "output_dir=out"]) == 2
    assert "error: dataset MNIST: no files, and the download failed" in capsys.readouterr().err
    assert not (elsewhere / "out").exists()


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_a_split_that_leaves_a_part_empty(share: float, elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset.limit=3", f"dataset.validation={share}", "output_dir=out"]) == 2
    assert "error: dataset.validation: " in capsys.readouterr().err
    assert not (elsewhere / "out").exists()


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("triplicate.files.atomic.write_bytes", full)
    assert main([*TINY, "seed=0", "output_dir=out"]) == 2
    assert "error: output_dir: no space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("argument", ["--help", "help model=cnn train", "optimizer.lrr=3", "optimizer=sdg", "report a"])
def test_help_and_the_answer_to_a_mistake_need_no_torch(argument: str) -> None:
    """It takes seconds to load; matplotlib and SciPy do so too."""
    heavy = "{'torch', 'matplotlib', 'scipy', 'pandas'}"
    command = f"import sys; from triplicate.cli import main; main({argument.split()!r})"
    code = f"{command}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"triplicate {triplicate.__version__}\n"


def test_hydras_own_flags_work(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cfg", "job", "optimizer.lr=0.25"]) == 0
    assert "lr: 0.25" in capsys.readouterr().out
    assert main(["--cfg", "hydra", "-p", "hydra.sweeper.params", "experiment=quickstart"]) == 0
    assert "optimizer.lr: 1,0.1,0.01,0.001" in capsys.readouterr().out


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What Hydra would be handed, as a command line; nothing is trained."""
    seen: list[list[str]] = []

    def main(*_: object, **__: object) -> Callable[[object], Callable[[], None]]:
        return lambda task: lambda: seen.append(sys.argv[1:])

    monkeypatch.setattr("hydra.main", main)
    return seen


# A command line → what Hydra is handed. Flags stand anywhere.
WORDS = {
    "": "experiment=quickstart",
    "-m": "experiment=quickstart",
    "seed=1": "seed=1",
    "-m seed=1": "seed=1",
    "seed=1 --multirun": "seed=1",
    "plan": "task=plan experiment=quickstart",
    "plan -m": "task=plan experiment=quickstart",
    "plan -m seed=0": "task=plan seed=0",
    "-m plan seed=0": "task=plan seed=0",
    "--config-dir . plan model=mlp": "--config-dir=. task=plan model=mlp",
    "plan model=mlp --config-dir=.": "--config-dir=. task=plan model=mlp",
    "-cd . samples": "--config-dir=. task=samples",
    "plan seed=0 --run": "task=plan seed=0 hydra.mode=RUN",
    "--cfg job plan seed=0": "--cfg=job task=plan seed=0",
    "-c job -p optimizer": "--cfg=job --package=optimizer",
    "--info defaults seed=0": "--info=defaults seed=0",
    "--info plan": None,
}


def test_flags_stand_in_any_order_around_a_command(swept: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    for line, expected in WORDS.items():
        code = main(line.split())
        assert [code, *swept] == ([2] if expected is None else [0, expected.split()]), line
        swept.clear()


def test_a_study_is_reproduced_with_flags_in_any_order(swept: list[list[str]], elsewhere: Path) -> None:
    own = elsewhere / "mine" / "experiment" / "study"
    own.mkdir(parents=True)
    (own / "rates.yaml").write_text("# @package _global_\nname: study/rates\n")
    for line in ("reproduce study seed=0 -m --config-dir mine", "--config-dir mine reproduce seed=0 study"):
        main([*line.split(), "output_dir=out"])
        assert swept == [["--config-dir=mine", "experiment=study/rates", "output_dir='out/study/rates'", "seed=0"]]
        swept.clear()


def test_the_wheel_works_in_another_folder(elsewhere: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(elsewhere / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (elsewhere / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(elsewhere / "site")
    site = str(elsewhere / "site")
    code = f"import sys; sys.path.insert(0, {site!r}); from triplicate.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, *TINY, "seed=0", "output_dir=out"]
    subprocess.run(command, cwd=elsewhere, check=True, capture_output=True)
    table = elsewhere / "out" / "table.md"
    assert "test accuracy" in table.read_text()
    hydra_config = next((elsewhere / "out").rglob("hydra.yaml")).read_text()
    assert f"{site}/triplicate/conf" in hydra_config
