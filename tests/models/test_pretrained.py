from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import safetensors.torch
import torch
import torchvision.models
from torch import Tensor, nn

from triplicate.activations.relu import Relu
from triplicate.errors import UserError
from triplicate.models.layers.pretrained import Pretrained
from triplicate.models.resnet18 import Resnet18
from triplicate.models.vgg16 import Vgg16

SHAPE = (3, 32, 32)


def config(weights: str | Path, freeze: bool = False, name: Literal["resnet18", "vgg16"] = "resnet18") -> Pretrained:
    cls = {"resnet18": Resnet18, "vgg16": Vgg16}[name]
    return cls(str(weights), freeze)


def resnet18(classes: int) -> nn.Module:
    """torchvision's own network, random, and with statistics that its norms have seen."""
    torch.manual_seed(classes)
    network: nn.Module = torchvision.models.resnet18(weights=None, num_classes=classes)
    network(torch.randn(4, *SHAPE))
    return network.eval()


def save_pth(state: dict[str, Tensor], folder: Path) -> Path:
    torch.save(state, folder / "weights.pth")
    return folder / "weights.pth"


def save_safetensors(state: dict[str, Tensor], folder: Path) -> Path:
    safetensors.torch.save_file(state, folder / "weights.safetensors")
    return folder / "weights.safetensors"


def same_backbone(model: nn.Module, network: nn.Module) -> bool:
    """Whether two ResNet18 compute the same but for their last layer."""
    images = torch.randn(3, *SHAPE)
    features = [nn.Sequential(*list(each.children())[:-1]).eval()(images) for each in (model, network)]
    return torch.equal(*features)


@pytest.mark.parametrize(("name", "parameters"), [("resnet18", 11_181_642), ("vgg16", 134_301_514)])
def test_parameter_counts_and_shapes(name: Literal["resnet18", "vgg16"], parameters: int) -> None:
    with torch.device("meta"):
        model = config("none", name=name).build(SHAPE, 10, Relu())
        assert model(torch.zeros(2, *SHAPE)).shape == (2, 10)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert all(p.requires_grad for p in model.parameters())


def test_without_weights_it_is_the_network_that_torchvision_draws() -> None:
    torch.manual_seed(7)
    model = config("none").build(SHAPE, 7, Relu()).eval()
    torch.manual_seed(7)
    expected = torchvision.models.resnet18(weights=None, num_classes=7).eval()
    images = torch.randn(2, *SHAPE)
    assert torch.equal(model(images), expected(images))


@pytest.mark.parametrize("save", [save_pth, save_safetensors])
def test_a_file_of_the_1000_class_network_gives_all_but_the_last_layer(
    save: Callable[[dict[str, Tensor], Path], Path], tmp_path: Path
) -> None:
    network = resnet18(1000)
    file = save(network.state_dict(), tmp_path)
    torch.manual_seed(3)
    model = config(file).build(SHAPE, 10, Relu()).eval()
    assert same_backbone(model, network)
    torch.manual_seed(3)
    drawn = torchvision.models.resnet18(weights=None, num_classes=10).fc
    assert torch.equal(model.fc.weight, drawn.weight)
    assert torch.equal(model.fc.bias, drawn.bias)


@pytest.mark.parametrize("save", [save_pth, save_safetensors])
def test_a_file_with_as_many_classes_gives_the_last_layer_too(
    save: Callable[[dict[str, Tensor], Path], Path], tmp_path: Path
) -> None:
    network = resnet18(6)
    model = config(save(network.state_dict(), tmp_path)).build(SHAPE, 6, Relu()).eval()
    images = torch.randn(3, *SHAPE)
    assert torch.equal(model(images), network(images))


def test_a_file_that_does_not_count_batches(tmp_path: Path) -> None:
    network = resnet18(6)
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    model = config(save_pth(state, tmp_path)).build(SHAPE, 6, Relu())
    assert same_backbone(model, network)


def test_imagenet_weights_are_taken_from_the_cache_of_torch_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    network = resnet18(1000)
    file = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    torch.save(network.state_dict(), file)
    assert same_backbone(config("imagenet").build(SHAPE, 10, Relu()), network)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"resnet18-f37072fd\.pth: it is damaged"):
        config("imagenet").build(SHAPE, 10, Relu())


@pytest.mark.parametrize(("name", "file"), [("resnet18", "resnet18-f37072fd.pth"), ("vgg16", "vgg16-397923af.pth")])
def test_a_download_that_fails(
    name: Literal["resnet18", "vgg16"],
    file: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    no_network: None,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with torch.device("meta"), pytest.raises(UserError) as caught:
        config("imagenet", name=name).build(SHAPE, 10, Relu())
    message = str(caught.value)
    assert message.startswith(f"model.weights: no {file}, and the download failed (")
    assert str(tmp_path / "hub" / "checkpoints") in message
    assert "model.weights=<file>.pth" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("name", "last"),
    [("resnet18", {"fc.weight", "fc.bias"}), ("vgg16", {"classifier.6.weight", "classifier.6.bias"})],
)
def test_frozen_it_trains_the_last_layer_only(name: Literal["resnet18", "vgg16"], last: set[str]) -> None:
    with torch.device("meta"):
        model = config("none", freeze=True, name=name).build(SHAPE, 10, Relu())
    assert {parameter for parameter, p in model.named_parameters() if p.requires_grad} == last


def test_gradients_reach_every_parameter() -> None:
    model = config("none").build(SHAPE, 4, Relu())
    model(torch.randn(4, *SHAPE)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_weights_of_another_model(tmp_path: Path) -> None:
    with torch.device("meta"):
        other = torchvision.models.resnet34(weights=None, num_classes=1000).state_dict()
    file = save_pth({name: torch.tensor(0.0).expand(tensor.shape) for name, tensor in other.items()}, tmp_path)
    with pytest.raises(UserError) as caught:
        config(file).build(SHAPE, 10, Relu())
    assert str(caught.value).startswith(
        f"{file}: it holds the weights of another model (an unknown layer1.2.conv1.weight, "
        "an unknown layer1.2.bn1.weight, an unknown layer1.2.bn1.bias and "
    )


def test_each_difference_is_told(tmp_path: Path) -> None:
    state = resnet18(6).state_dict()
    del state["bn1.weight"]
    state["extra"] = torch.zeros(1)
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    with pytest.raises(UserError) as caught:
        config(save_pth(state, tmp_path)).build(SHAPE, 6, Relu())
    differences = "(no bn1.weight, an unknown extra, conv1.weight of 64×1×7×7 instead of 64×3×7×7)"
    assert caught.value.problem == f"it holds the weights of another model {differences}"


def test_a_last_layer_of_other_features_is_another_model(tmp_path: Path) -> None:
    state = resnet18(6).state_dict() | {"fc.weight": torch.zeros(6, 2048)}
    with pytest.raises(UserError, match=r"fc\.weight of 6×2048 instead of 6×512"):
        config(save_pth(state, tmp_path)).build(SHAPE, 6, Relu())


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
@pytest.mark.parametrize("content", [b"", b"no weights at all " * 50])
def test_a_damaged_file(suffix: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / f"weights{suffix}"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        config(file).build(SHAPE, 10, Relu())
    assert str(caught.value).startswith(f"{file}: it is damaged, or holds more than tensors (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [save_pth, save_safetensors])
def test_a_file_cut_short(save: Callable[[dict[str, Tensor], Path], Path], tmp_path: Path) -> None:
    file = save({"weight": torch.zeros(1000)}, tmp_path)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(UserError, match="it is damaged, or holds more than tensors"):
        config(file).build(SHAPE, 10, Relu())


def test_a_pickled_network_is_not_run(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "network.pth")
    with pytest.raises(UserError) as caught:
        config(tmp_path / "network.pth").build(SHAPE, 10, Relu())
    assert caught.value.problem == "it is damaged, or holds more than tensors (Weights only load failed)"


@pytest.mark.parametrize("content", [{"model": {"weight": torch.zeros(2)}, "epoch": 3}, [torch.zeros(2)]])
def test_a_file_of_something_else(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match=r"checkpoint\.pt: it holds no state dict"):
        config(tmp_path / "checkpoint.pt").build(SHAPE, 10, Relu())


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save_pth({}, tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")  # a mode of the file would not stop root

    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(UserError) as caught:
        config(file).build(SHAPE, 10, Relu())
    assert str(caught.value) == f"{file}: it cannot be read (Permission denied); make it readable"


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.pth: there is no such file; set model\.weights to one"):
        config(tmp_path / "none.pth").build(SHAPE, 10, Relu())


def _a_pipe(file: Path) -> None:
    os.mkfifo(file)


def _a_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def _a_folder(file: Path) -> None:
    file.mkdir()


@pytest.mark.parametrize("put", [_a_pipe, _a_device, _a_folder])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_no_file_is_named_and_not_waited_for(put: Callable[[Path], None], suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"weights{suffix}"
    put(file)
    for use in (lambda: config(file).build(SHAPE, 10, Relu()), lambda: config(file).content):
        with pytest.raises(UserError) as caught:
            use()
        assert str(caught.value) == f"{file}: it is not a regular file; remove it"


def test_a_pipe_among_the_downloads_of_torch_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_network: None
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    file = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    file.parent.mkdir(parents=True)
    os.mkfifo(file)
    with pytest.raises(UserError, match="it is not a regular file; remove it"):
        config("imagenet").build(SHAPE, 10, Relu())


def test_a_file_of_weights_counts_by_its_content(tmp_path: Path) -> None:
    one, copy, other = (tmp_path / name for name in ("one.pth", "copy.pth", "other.pth"))
    one.write_bytes(b"some weights")
    copy.write_bytes(b"some weights")
    other.write_bytes(b"more weights")
    assert config(one).content == hashlib.sha256(b"some weights").hexdigest()[:16]
    assert config(one).identity() == config(copy).identity() == {"weights": config(one).content, "freeze": False}
    assert config(one).identity() != config(other).identity()
    assert config(one).identity() != config(one, freeze=True).identity()
    one.write_bytes(b"MORE weights, in the same file")
    assert config(one).identity() != config(copy).identity()


@pytest.mark.parametrize("weights", ["imagenet", "none"])
def test_weights_without_a_file_count_by_their_name(weights: str) -> None:
    assert config(weights).content is None
    assert config(weights).identity() == {"weights": weights, "freeze": False}


def test_the_content_of_a_missing_file() -> None:
    with pytest.raises(UserError, match=r"none\.pth: there is no such file; set model\.weights to one"):
        config("none.pth").identity()


@pytest.mark.parametrize("weights", ["imagenett", "weights.bin"])
def test_weights_that_are_neither_a_name_nor_a_file(weights: str) -> None:
    with pytest.raises(UserError, match=rf"^model\.weights: '{weights}' is neither imagenet nor none nor a file"):
        config(weights).build(SHAPE, 10, Relu())


@pytest.mark.parametrize(
    ("name", "shape", "problem"),
    [
        ("resnet18", (1, 32, 32), "needs images of 3 channels, and these have 1"),
        ("vgg16", (1, 32, 32), "needs images of 3 channels, and these have 1"),
        ("vgg16", (3, 40, 31), "shrinks images of 40×31 to nothing; give images of 32"),
        ("resnet18", (2,), "needs images, and an example has 2 numbers; choose model=mlp"),
    ],
)
def test_images_that_the_network_cannot_take(
    name: Literal["resnet18", "vgg16"], shape: tuple[int, ...], problem: str
) -> None:
    with pytest.raises(UserError, match=rf"^model\.name: {name} {problem}"):
        config("none", name=name).build(shape, 10, Relu())


def test_resnet18_takes_images_of_any_size() -> None:
    model = config("none").build((3, 1, 1), 10, Relu()).eval()
    assert model(torch.randn(2, 3, 1, 1)).shape == (2, 10)
