"""Parts from outside compute in a stack what they compute alone, and what torch computes without triplicate."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.conftest import Configure
from tests.parts import examples
from tests.training.test_engine import BASE, SMALL_CNN, loop, losses, train
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.errors import UserError
from triplicate.parts import find, outside
from triplicate.sweeps.trial import agree, attempt
from triplicate.training.build import build

NAMES = tuple(
    f"{name}.py" for name in ("activations", "mixer", "recurrent", "stripes", "augmentations", "optimizers", "others")
)


@pytest.fixture(scope="module", autouse=True)
def _parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("parts")
    examples.write(folder, *NAMES)
    with outside.loaded([folder / name for name in NAMES]), outside.composed():
        yield


def check_stacked(configs: list[RunConfig], dataset: Dataset, steps: int) -> None:
    stacked = train(configs, dataset)
    for run, config in enumerate(configs):
        alone = losses(train([config], dataset, stacked=False), 0)
        assert len(alone) == steps
        assert (losses(stacked, run) - alone).abs().max() < 1e-10


@pytest.fixture
def square() -> Dataset:
    """The stripes, cut to 256 images."""
    source = find("dataset", "stripes")(limit=256, validation=0.0, mean=None, std=None, upscale=None, noise=60.0)  # type: ignore[call-arg]
    dataset: Dataset = source.load(None)  # type: ignore[attr-defined]
    return dataset


def test_an_augmentation_gives_the_same_alone_and_in_a_stack(configure: Configure, square: Dataset) -> None:
    """48 steps, float64, 1e-10; two runs have the same seed, and so the same images."""
    options = (*BASE, "augmentation=light", "optimizer=lion", "optimizer.clip_norm=0.5", "train.epochs=3")
    rows = ((0.001, 0), (0.002, 0), (0.001, 1))
    configs = [configure(*options, f"optimizer.lr={lr}", f"seed={seed}") for lr, seed in rows]
    attempt(configs[0], square)
    check_stacked(configs, square, 48)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (lambda images: images[:, :, 1:], "it gives float32 [3, 1, 11, 12], not images like them"),
        (lambda images: images.double(), "it gives float64 [3, 1, 12, 12], not images like them"),
        (lambda images: images - images.mean(), "depends on the other images of the batch"),
        (lambda images: images[5], "it fails on images [3, 1, 12, 12] (IndexError"),
    ],
)
def test_an_augmentation_that_is_none_is_refused(
    configure: Configure, square: Dataset, monkeypatch: pytest.MonkeyPatch, made: Callable[..., Any], problem: str
) -> None:
    monkeypatch.setattr(find("augmentation", "light"), "augment", lambda _, images, drawn: made(images))
    with pytest.raises(UserError, match=re.escape(problem)):
        attempt(configure(*BASE, "augmentation=light"), square)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "lion", "nadam"])
def test_a_mixer_in_a_stack_is_a_mixer_alone(configure: Configure, square: Dataset, optimizer: str) -> None:
    """112 steps with dropout of different rates, float64, 1e-10."""
    options = ("model=mixer", "activation=mish", "train.batch_size=16", "train.dtype=float64", "trace=none")
    configs = [
        configure(
            *options,
            f"optimizer={optimizer}",
            f"optimizer.lr={lr}",
            f"model.dropout={p}",
            f"seed={seed}",
            "train.epochs=7",
        )
        for lr, p, seed in ((0.003, 0.1, 0), (0.001, 0.3, 1), (0.002, 0.1, 2))
    ]
    assert attempt(configs[0], square).must_agree
    assert agree(configs, square) is None
    check_stacked(configs, square, 112)


def plain_mixer(config: RunConfig, dataset: Dataset) -> torch.Tensor:
    """The losses of a textbook's loop over the same module."""
    model = build(config, dataset.image_shape, 3).double()
    return loop(config, dataset, model, torch.optim.NAdam(model.parameters(), lr=config.optimizer.lr))


def test_a_mixer_is_trained_as_a_plain_loop_does(configure: Configure, square: Dataset) -> None:
    options = ("model=mixer", "model.dropout=0", "activation=elu", "optimizer=nadam", "trace=none")
    more = ("train.batch_size=16", "train.dtype=float64", "train.epochs=7", "seed=4")
    config = configure(*options, *more)
    assert (losses(train([config], square), 0) - plain_mixer(config, square)).abs().max() < 1e-10


@pytest.mark.parametrize("activation", ["elu", "mish"])
@pytest.mark.parametrize("model", [(*BASE, "model.norm=before"), SMALL_CNN], ids=["mlp", "cnn"])
def test_an_activation_in_mlps_and_cnns(
    configure: Configure, small: Dataset, model: tuple[str, ...], activation: str
) -> None:
    """112 steps, stacked and alone, float64, 1e-10."""
    options = (*model, f"activation={activation}", "optimizer.lr=0.01", "train.epochs=7")
    check_stacked([configure(*options, f"seed={seed}") for seed in range(3)], small, 112)


def test_an_activation_computes_what_torchs_module_does(configure: Configure) -> None:
    numbers = torch.linspace(-4, 4, 101, dtype=torch.float64)
    made = configure("activation=elu", "activation.alpha=0.5").activation()
    torch.testing.assert_close(made(numbers), functional.elu(numbers, 0.5))


ORACLES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "focal": lambda logits, labels: (1 - logits.softmax(-1)[labels]) ** 2 * -logits.log_softmax(-1)[labels],
}


def test_a_loss_computes_what_its_formula_says(configure: Configure) -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 5, 4, dtype=torch.float64), torch.randint(0, 4, (2, 5))
    ours = configure("loss=focal").loss.per_example(logits, labels)
    for run in range(2):
        for image in range(5):
            torch.testing.assert_close(ours[run, image], ORACLES["focal"](logits[run, image], labels[run, image]))


class Mixing(nn.Module):
    """Its output depends on the other examples of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(144, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        flat = images.flatten(1)
        return self.output(flat - flat.mean(0))


class Twice(nn.Module):
    """Uses one layer twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.output = nn.Linear(144, 144), nn.Linear(144, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(self.layer(self.layer(images.flatten(1))))


class Hidden(nn.Module):
    """Keeps layers where triplicate does not see them."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.output = nn.Linear(144, 8), nn.Linear(8, 3)
        self.steps = [self.layer, self.output]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.steps[1](self.steps[0](images.flatten(1)))


class Noisy(nn.Module):
    """Draws from torch's own generator."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(144, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.output(functional.dropout(images.flatten(1), 0.5, self.training))


class Fussy(nn.Module):
    """Knows the size of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(144, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 4:
            raise ValueError("too many")
        return self.output(images.flatten(1))


@pytest.mark.parametrize("network", [Mixing, Hidden, Noisy, Fussy])
def test_what_a_stack_would_not_compute_trains_alone(
    configure: Configure, square: Dataset, network: type[nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find("model", "mixer"), "build", lambda *_: network())
    configs = [configure("model=mixer", "activation=mish", f"seed={seed}") for seed in range(2)]
    assert attempt(configs[0], square).must_agree
    assert "stacked, its forward pass" in str(agree(configs, square))


def test_a_layer_that_is_used_twice_can_be_stacked(
    configure: Configure, square: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`agree` compares its gradients, which are sums then, with those of the network alone."""
    monkeypatch.setattr(find("model", "mixer"), "build", lambda *_: Twice())
    configs = [configure("model=mixer", "activation=mish", f"seed={seed}") for seed in range(2)]
    assert attempt(configs[0], square).must_agree
    assert agree(configs, square) is None


def test_layers_that_share_weights_or_are_frozen_train_alone(
    configure: Configure, square: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared(*_: object) -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(144, 144), nn.Linear(144, 144), nn.Linear(144, 3))
        model[2].weight = model[1].weight
        return model

    def frozen(*_: object) -> nn.Module:
        model = nn.Sequential(nn.Flatten(), nn.Linear(144, 9), nn.Linear(9, 3))
        model[1].requires_grad_(False)
        return model

    for build_it, reason in ((shared, "share their weights"), (frozen, "are frozen")):
        monkeypatch.setattr(find("model", "mixer"), "build", build_it)
        assert reason in str(attempt(configure("model=mixer"), square).alone)


def test_a_run_that_draws_from_torchs_generator_gives_the_same_again(
    configure: Configure, square: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find("model", "mixer"), "build", lambda *_: Noisy())
    config = configure("model=mixer", "train.epochs=1", "trace=none")
    first = losses(train([config], square, stacked=False), 0)
    torch.rand(3)
    assert torch.equal(first, losses(train([config], square, stacked=False), 0))


def test_an_activation_that_is_not_what_it_says_trains_alone(
    configure: Configure, square: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A softmax across the examples, which says nothing and so counts as elementwise."""
    config = configure("model=mlp", "activation=mish")
    assert agree([config], square) is None
    monkeypatch.setattr(find("activation", "mish"), "module", lambda _: nn.Softmax(dim=0))
    assert attempt(config, square).must_agree
    assert "stacked, its forward pass" in str(agree([config], square))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda logits, labels: logits.mean(), "it gives \\[\\], not a number for each example \\[2, 3\\]"),
        (
            lambda logits, labels: (logits - logits.mean(1, keepdim=True)).sum(-1),
            "depends on the other examples of the batch",
        ),
        (
            lambda logits, labels: (logits - logits.mean(0, keepdim=True)).sum(-1),
            "depends on the other examples of the batch",
        ),
        (lambda logits, labels: logits[99], "it fails on logits \\[2, 3, 3\\] \\(IndexError"),
    ],
)
def test_a_loss_that_is_not_of_each_example_is_refused(
    configure: Configure, square: Dataset, monkeypatch: pytest.MonkeyPatch, rule: Any, message: str
) -> None:
    monkeypatch.setattr(find("loss", "focal"), "per_example", staticmethod(rule))
    with pytest.raises(UserError, match=f"loss focal: .*{message}"):
        attempt(configure("loss=focal", "model=mlp"), square)
