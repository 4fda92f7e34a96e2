"""The NumPy backend under the one engine: the same runs as torch's."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.conftest import Configure
from tests.training.test_engine import end, losses, train
from triplicate.cli import main
from triplicate.datasets import Dataset
from triplicate.training.build import build

COMMON = ("train.dtype=float64", "train.batch_size=16", "train.epochs=7", "seed=3")
MLP = ("model=mlp", "model.hidden=[12,9]")
CNN = ("model=cnn", "model.filters=[3,4]")

RUNS = {
    "mlp": (*MLP, "optimizer.momentum=0.9", "trace.every=10"),
    "mlp with dropout": (*MLP, "model.dropout=0.3", "optimizer=adam", "activation=tanh"),
    "mlp with batch norm": (*MLP, "model.norm=after", "optimizer.lr=0.01", "activation=leaky_relu"),
    "gelu, rmsprop": (*MLP, "activation=gelu", "optimizer=rmsprop"),
    "gelu_tanh, random": (*MLP, "activation=gelu_tanh", "init=random", "train.reduction=sum", "optimizer.lr=0.002"),
    "sigmoid": (*MLP, "activation=sigmoid", "schedule=cosine"),
    "cnn": (*CNN, "model.kernel=[3,2]", "model.padding=[1,0]", "model.pool=[max,none]"),
    "cnn with all": (
        *CNN,
        "model.stride=[1,2]",
        "model.norm=[before,after]",
        "model.pool=[average,global]",
        "model.conv_dropout=[0.2,0]",
        "model.hidden=[5]",
        "model.hidden_norm=before",
        "model.dropout=0.2",
        "optimizer.lr=0.01",
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_both_backends_train_the_same_run(configure: Configure, small: Dataset, name: str) -> None:
    """112 steps in float64: every loss to 1e-8, and the last weights and statistics too."""
    ours, theirs = (
        train([configure(*RUNS[name], *COMMON, f"model.backend={b}")], small, stacked=False) for b in ("numpy", "torch")
    )
    assert len(losses(ours, 0)) == 112
    assert (losses(ours, 0) - losses(theirs, 0)).abs().max() < 1e-8
    weights = end(ours, 0).weights
    assert list(weights) == list(end(theirs, 0).weights)
    for key, tensor in end(theirs, 0).weights.items():
        torch.testing.assert_close(weights[key], tensor, rtol=1e-7, atol=1e-7)
    for mine, other in zip(end(ours, 0).gradients, end(theirs, 0).gradients, strict=True):
        assert (mine.step, mine.layer, mine.parameter) == (other.step, other.layer, other.parameter)
        assert mine.l2 == pytest.approx(other.l2, rel=1e-7)


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "perceptron"])
def test_so_they_do_with_one_logit(configure: Configure, loss: str) -> None:
    options = ("dataset=points", "model=perceptron", f"loss={loss}", "train.batch_size=10", "train.epochs=2")
    configs = [configure(*options, "train.dtype=float64", f"model.backend={backend}") for backend in ("numpy", "torch")]
    ours, theirs = (losses(train([config], config.dataset.load(None)), 0) for config in configs)
    assert len(ours) == 200
    assert (ours - theirs).abs().max() < 1e-8


def test_the_weights_load_into_the_plain_model(configure: Configure, small: Dataset) -> None:
    config = configure(*RUNS["cnn with all"], *COMMON, "model.backend=numpy")
    events = train([config], small)
    model = build(config, small.image_shape, 4).double().eval()
    model.load_state_dict(end(events, 0).weights)
    predicted = model(small.test.pixels.double() / 255).argmax(1)
    assert int((predicted == small.test.labels).sum()) == int(end(events, 0).confusion.trace())


LACKING = {
    ("activation=silu",): "model.backend: numpy has no silu",
    ("device=cuda",): "model.backend: numpy computes on a CPU, and the device is cuda",
    ("model=resnet18",): "model.backend: the chosen model does not have this key",
}


@pytest.mark.parametrize("arguments", LACKING, ids=" ".join)
def test_what_it_lacks_is_one_clear_line(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main([*arguments, "model.backend=numpy", f"output_dir={out}"]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert LACKING[arguments] in printed
    assert not out.exists()


def test_a_sweep_over_backends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ("model=mlp_small", "dataset.limit=200", "train.epochs=1", "seed=0")
    assert main([*small, "model.backend=numpy,torch", f"output_dir={tmp_path}"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.split()[:1] in (["numpy"], ["torch"])]
    assert len(rows) == 2
    assert rows[0][1] == rows[1][1]


@pytest.mark.real_data
@pytest.mark.parametrize("preset", ["dl2023/activations", "dl2023/cnn_layers", "cs776/mlp_dropout"])
def test_a_preset_is_the_same_with_both_backends(preset: str, real_data_unpacked: Path, tmp_path: Path) -> None:
    """100 steps in float64: every loss to 1e-8."""
    steps = ["dataset.limit=800", "train.batch_size=8", "dataset.validation=0", "stopping=none", "trace.steps=true"]
    options = [f"experiment={preset}", *steps, "train.dtype=float64", "train.epochs=1", "seed=0"]
    place = [f"data_dir={real_data_unpacked}", f"output_dir={tmp_path}", "report.bars=[]", "report.figures=[]"]
    assert main([*options, *place, "model.backend=numpy,torch"]) == 0
    found = {backend: sorted(tmp_path.glob(f"runs/*backend={backend}*/steps.csv")) for backend in ("numpy", "torch")}
    assert len(found["numpy"]) == len(found["torch"]) > 0
    for ours, theirs in zip(found["numpy"], found["torch"], strict=True):
        assert str(ours).replace("numpy", "torch") == str(theirs)
        mine, other = pd.read_csv(ours), pd.read_csv(theirs)
        assert len(mine) == 100
        assert (mine["loss"] - other["loss"]).abs().max() < 1e-8
