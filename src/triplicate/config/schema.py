"""The schema of a run: every key with its type, range and unit. Every default stands in `conf/`, once.

Where a group has kinds of different keys (optimizers, models), its `name` says which dataclass it is: the
one whose `name` lists it, or else the one whose `name` is any string.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from triplicate.reports.names import FIGURES, MEASURES


@dataclass(frozen=True)
class Key:
    """What a key means, its unit, and the range that its numbers must lie in."""

    help: str
    unit: str = ""
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()

    def range(self) -> str:
        """The range in words, such as 'at least 0 and below 1'; empty where there is none."""
        bounds = {
            "at least": self.at_least,
            "above": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        numbers = " and ".join(f"{word} {_plain(x)}" for word, x in bounds.items() if x is not None)
        names = f"one of {', '.join(self.choices)}" if len(self.choices) > 1 else ", ".join(self.choices)
        return ", or ".join(filter(None, [numbers, names]))

    def admits(self, number: float) -> bool:
        """Whether a number is finite and inside the range."""
        return (
            math.isfinite(number)
            and (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )


def _plain(number: float) -> str:
    return f"{number:,}" if float(number).is_integer() else f"{number:g}"


def key(help: str, **limits: Any) -> Any:
    """A dataclass field that carries its `Key`. It has no default: defaults stand in `conf/`, once."""
    return shared(Key(help, **limits))


def shared(key: Key) -> Any:
    """A dataclass field with a `Key` that other fields have too."""
    return field(metadata={"key": key})


_DATASET = Key("data set")
_LIMIT = Key(
    "keep this many images of each split, evenly spaced in the file's order; null keeps all",
    unit="images",
    at_least=1,
)
_VALIDATION = Key(
    "share of the training images set apart for validation, drawn by the seed",
    at_least=0,
    below=1,
)
_MEAN = Key("subtracted from the pixels in [0, 1], a number a channel; null leaves them")
_STD = Key("divides what is left, a number a channel", above=0)
_UPSCALE = Key(
    "side to which each batch is scaled on the device (bilinear); null leaves the images", unit="pixels", at_least=1
)


@dataclass(frozen=True)
class DatasetConfig:
    """What is trained on, and how its pixels are scaled."""

    name: str = shared(_DATASET)
    limit: int | None = shared(_LIMIT)
    validation: float = shared(_VALIDATION)
    mean: tuple[float, ...] | None = shared(_MEAN)
    std: tuple[float, ...] | None = shared(_STD)
    upscale: int | None = shared(_UPSCALE)


@dataclass(frozen=True)
class FolderConfig:
    """Images in folders named by their class: path/train/<class>/… and path/test/<class>/…, or path/<class>/…"""

    name: Literal["folder"] = shared(_DATASET)
    limit: int | None = shared(_LIMIT)
    validation: float = shared(_VALIDATION)
    mean: tuple[float, ...] | None = shared(_MEAN)
    std: tuple[float, ...] | None = shared(_STD)
    upscale: int | None = shared(_UPSCALE)
    path: Path | None = key("folder of class folders, or of train/ and test/ with class folders (folder)")
    size: int = key("side to which every image is scaled when it is read (folder)", unit="pixels", at_least=1)
    channels: str = key("colour or grey (folder)", choices=("colour", "grey"))
    test: float = key(
        "share of each class set apart for the test where there is no test/ (folder)",
        above=0,
        below=1,
    )


_ARCHITECTURE = Key("architecture")
_HIDDEN = Key("width of each hidden layer", unit="units", at_least=1)
_NORM = Key(
    "batch normalisation before or after the activation of each hidden layer (mlp), or of the convolutions, one for "
    "all or a list (cnn)",
    choices=("none", "before", "after"),
)
_BACKEND = Key(
    "what computes the forward and backward passes: torch, or numpy, where they are written out (mlp, cnn)",
    choices=("torch", "numpy"),
)
_DROPOUT = Key("share of the units of each hidden layer that are dropped in training", at_least=0, below=1)


@dataclass(frozen=True)
class MlpConfig:
    """A fully connected network: hidden layers, each with the activation, then a layer of class scores."""

    name: Literal["mlp"] = shared(_ARCHITECTURE)
    hidden: tuple[int, ...] = shared(_HIDDEN)
    norm: str = shared(_NORM)
    dropout: float = shared(_DROPOUT)
    backend: str = shared(_BACKEND)


@dataclass(frozen=True)
class CnnConfig:
    """Convolutions, each with its norm, activation, pooling and dropout, then hidden layers, then class scores.

    A key of the convolutions is one value for all of them, or a list with a value for each.
    """

    name: Literal["cnn"] = shared(_ARCHITECTURE)
    filters: tuple[int, ...] = key("filters of each convolution (cnn)", at_least=1)
    kernel: int | tuple[int, ...] = key("side of the kernels; one for all or a list (cnn)", unit="pixels", at_least=1)
    stride: int | tuple[int, ...] = key("step of the kernels; one for all or a list (cnn)", unit="pixels", at_least=1)
    padding: int | str | tuple[int, ...] = key(
        "zeros around the image, or same: it keeps its size at stride 1; one for all or a list (cnn)",
        unit="pixels",
        at_least=0,
        choices=("same",),
    )
    norm: str | tuple[str, ...] = shared(_NORM)
    activation: str | tuple[str, ...] | None = key(
        "activation of the convolutions, one for all or a list; null: that of the group (cnn)"
    )
    pool: str | tuple[str, ...] = key(
        "pooling after each convolution, global: the mean of the whole image; one for all or a list (cnn)",
        choices=("none", "max", "average", "global"),
    )
    pool_size: int = key("side and step of the max and average pooling (cnn)", unit="pixels", at_least=2)
    conv_dropout: float | tuple[float, ...] = key(
        "share of the values behind each convolution that are dropped in training; one for all or a list (cnn)",
        at_least=0,
        below=1,
    )
    hidden: tuple[int, ...] = shared(_HIDDEN)
    hidden_norm: str = key(
        "batch normalisation of each hidden layer, before or after the activation (cnn)", choices=_NORM.choices
    )
    dropout: float = shared(_DROPOUT)
    backend: str = shared(_BACKEND)


@dataclass(frozen=True)
class SeparableResidualConfig:
    """A residual network of depthwise-separable convolutions."""

    name: Literal["separable_residual"] = shared(_ARCHITECTURE)
    stem: int = key("filters of the first convolution (separable_residual)", at_least=1)
    channels: tuple[int, ...] = key("channels that each block gives (separable_residual)", at_least=1)
    convolutions: int = key("separable convolutions in a block (separable_residual)", at_least=1)
    pair_skips: bool = key("skips around pairs of blocks too (separable_residual)")
    hidden: int = shared(_HIDDEN)
    dropout: float = shared(_DROPOUT)


@dataclass(frozen=True)
class InceptionConfig:
    """Modules of parallel branches (1×1, 3×3, 5×5, pooling) whose channels are concatenated."""

    name: Literal["inception_small"] = shared(_ARCHITECTURE)
    stem: int = key("filters of the first convolution (inception_small)", at_least=1)
    branches: tuple[int, ...] = key("channels of each branch, a number a module (inception_small)", at_least=1)
    dropout: float = shared(_DROPOUT)


@dataclass(frozen=True)
class PretrainedConfig:
    """A network of torchvision with its last layer replaced."""

    name: Literal["resnet18", "vgg16"] = shared(_ARCHITECTURE)
    weights: str = key("imagenet (downloaded once), none, or a file with a state dict (resnet18, vgg16)")
    freeze: bool = key("train the last layer only (resnet18, vgg16)")


ModelConfig = MlpConfig | CnnConfig | SeparableResidualConfig | InceptionConfig | PretrainedConfig


def by_hand(model: ModelConfig) -> bool:
    """Whether NumPy computes a model, with passes that are written out."""
    return isinstance(model, MlpConfig | CnnConfig) and model.backend == "numpy"


_RULE = Key("update rule: sgd, rmsprop, adam or adamw")
_RATE = Key("learning rate", above=0)
_DECAY = Key("L2 penalty added to the gradient; with adamw taken off the weights instead", at_least=0)
_EPS = Key("added to the root of the mean of squares (rmsprop, adam, adamw)", at_least=0)


@dataclass(frozen=True)
class SgdConfig:
    """Stochastic gradient descent as torch.optim.SGD defines it."""

    name: Literal["sgd"] = shared(_RULE)
    lr: float = shared(_RATE)
    weight_decay: float = shared(_DECAY)
    momentum: float = key("momentum (sgd)", at_least=0, below=1)
    nesterov: bool = key("Nesterov's momentum (sgd)")


@dataclass(frozen=True)
class RmspropConfig:
    """RMSprop as torch.optim.RMSprop defines it, without momentum and not centred."""

    name: Literal["rmsprop"] = shared(_RULE)
    lr: float = shared(_RATE)
    weight_decay: float = shared(_DECAY)
    alpha: float = key("share of the old mean of squares that stays (rmsprop)", at_least=0, below=1)
    eps: float = shared(_EPS)


@dataclass(frozen=True)
class AdamConfig:
    """Adam (arXiv 1412.6980) as torch.optim.Adam defines it, or AdamW (arXiv 1711.05101) as torch.optim.AdamW does."""

    name: Literal["adam", "adamw"] = shared(_RULE)
    lr: float = shared(_RATE)
    weight_decay: float = shared(_DECAY)
    beta1: float = key("share of the old mean of gradients that stays (adam, adamw)", at_least=0, below=1)
    beta2: float = key("share of the old mean of squares that stays (adam, adamw)", at_least=0, below=1)
    eps: float = shared(_EPS)


OptimizerConfig = SgdConfig | RmspropConfig | AdamConfig

_SCHEDULE = Key("how the rate changes over the epochs")


@dataclass(frozen=True)
class ScheduleConfig:
    """A schedule without keys of its own: constant."""

    name: Literal["constant"] = shared(_SCHEDULE)


@dataclass(frozen=True)
class StepConfig:
    """The rate is multiplied after every few epochs (torch.optim.lr_scheduler.StepLR)."""

    name: Literal["step"] = shared(_SCHEDULE)
    every: int = key("epochs between two changes of the rate (step)", unit="epochs", at_least=1)
    gamma: float = key("factor of each change of the rate (step, exponential)", above=0, at_most=1)


@dataclass(frozen=True)
class ExponentialConfig:
    """The rate is multiplied after every epoch (torch.optim.lr_scheduler.ExponentialLR)."""

    name: Literal["exponential"] = shared(_SCHEDULE)
    gamma: float = key("factor of each change of the rate (step, exponential)", above=0, at_most=1)


@dataclass(frozen=True)
class CosineConfig:
    """Half a cosine from the rate to zero (torch.optim.lr_scheduler.CosineAnnealingLR; arXiv 1608.03983)."""

    name: Literal["cosine"] = shared(_SCHEDULE)


Schedule = ScheduleConfig | StepConfig | ExponentialConfig | CosineConfig


@dataclass(frozen=True)
class ActivationConfig:
    """The non-linearity behind each hidden layer."""

    name: str = key("activation")


_INIT = Key("initialisation")


@dataclass(frozen=True)
class InitConfig:
    """How the weights begin."""

    name: str = shared(_INIT)


@dataclass(frozen=True)
class RandomInitConfig:
    """Normal weights of one standard deviation in every layer."""

    name: Literal["random"] = shared(_INIT)
    std: float = key("standard deviation of the weights (random)", above=0)


@dataclass(frozen=True)
class StoppingConfig:
    """When a run ends before its last epoch, and which epoch is tested."""

    target_accuracy: float | None = key(
        "end when the test accuracy reaches this fraction; null: no target", above=0, at_most=1
    )
    unchanged: int | None = key(
        "end when the test accuracy was exactly the same so many epochs in a row; null: never",
        unit="epochs",
        at_least=2,
    )
    patience: int | None = key(
        "end when the validation loss has not fallen below its least for so many epochs; null: never",
        unit="epochs",
        at_least=1,
    )
    keep: str = key(
        "the weights that are kept and tested: of the last epoch, or of the one with the least validation loss",
        choices=("last", "best"),
    )


@dataclass(frozen=True)
class TraceConfig:
    """At which steps the gradients are measured."""

    first: int = key("trace the first steps", unit="steps", at_least=0)
    every: int = key("trace every k-th step of the training; 0 for none", unit="steps", at_least=0)
    only: tuple[str, ...] | None = key("trace these tensors alone, such as [conv1.weight]; null: all")
    steps: bool = key("write the loss and accuracy of every training step to steps.csv")


@dataclass(frozen=True)
class TrainConfig:
    """The training loop."""

    epochs: int = key("passes over the training images", unit="epochs", at_least=1)
    batch_size: int = key("images a step", unit="images", at_least=1)
    shuffle: bool = key("a new order each epoch, drawn by the seed; false keeps the file's order")
    loss: str = key(
        "what is minimised; the last two have one score, for two classes",
        choices=("cross_entropy", "binary_cross_entropy", "perceptron"),
    )
    reduction: str = key("the loss of a batch is the mean or the sum over its images", choices=("mean", "sum"))
    evaluate_training: bool = key("evaluate the training images too after each epoch, besides as seen in training")
    dtype: str = key("number format of the weights and of all arithmetic", choices=("float32", "float64"))


@dataclass(frozen=True)
class ExecutorConfig:
    """Where the stacks of a sweep train."""

    name: Literal["local"] = key("where the runs are trained: local, the processes of this machine")
    workers: int | None = key(
        "processes; null: one a core or GPU where there is work for them, and 1 trains in the command's own",
        unit="processes",
        at_least=1,
    )
    cuda_graphs: bool = key("record the training step of a stack on a GPU once and play it again")


@dataclass(frozen=True)
class ReportConfig:
    """What the table and the plots of the sweep show."""

    title: str = key("heading of the table and its plots")
    measures: tuple[str, ...] = key(
        f"columns of the table: {', '.join(MEASURES)}; over the epochs mean_…, std_…, min_…, max_…; after epoch 3 …@3"
    )
    published: Mapping[str, Mapping[str, float | str]] = key(
        "published numbers: row (as typed, such as optimizer.lr=0.1) → measure → value"
    )
    curves: tuple[str, ...] = key("plots over the epochs: loss, accuracy, or columns of metrics.csv")
    bars: tuple[str, ...] = key("measures drawn as bars, a bar a row")
    gradients: tuple[str, ...] = key(
        "plots over the steps of gradients.csv: <layer>.<parameter>.<statistic>, such as all.all.mean"
    )
    figures: tuple[str, ...] = key(f"further plots: {', '.join(FIGURES)}")


@dataclass(frozen=True)
class RunConfig:
    """One run: one configuration with one seed."""

    task: str = key(
        "what is done: train, plan: show what would be trained, or samples: show the data set",
        choices=("train", "plan", "samples"),
    )
    name: str = key("name of the sweep; its folder is outputs/<name>/<time> unless output_dir says otherwise")
    seed: int = key("seed of the weights, the order and the split", at_least=0, at_most=2**32 - 1)
    device: str = key("auto, cpu, cuda or cuda:<number>; auto takes a GPU where there is one")
    data_dir: Path | None = key(
        "where data sets are looked for and downloaded to; null: $TRIPLICATE_DATA, else the user's cache"
    )
    output_dir: Path = key("folder of the sweep")
    dataset: DatasetConfig | FolderConfig = key("data set")
    model: ModelConfig = key("model")
    optimizer: OptimizerConfig = key("optimizer")
    schedule: Schedule = key("rate schedule")
    activation: ActivationConfig = key("activation")
    init: InitConfig | RandomInitConfig = key("initialisation")
    stopping: StoppingConfig = key("stopping")
    trace: TraceConfig = key("gradient traces")
    train: TrainConfig = key("training loop")
    executor: ExecutorConfig = key("executor")
    report: ReportConfig = key("table")
