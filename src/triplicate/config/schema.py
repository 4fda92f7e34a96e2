"""A run: the parts that it is made of, and the keys that no part has. Every default stands in `conf/`, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from triplicate.activations import Activation
from triplicate.augmentations import Augmentation
from triplicate.datasets import DataSource
from triplicate.initializers import Initializer
from triplicate.losses import Loss
from triplicate.models import Model
from triplicate.optimizers import Optimizer
from triplicate.parts import key
from triplicate.parts.keys import group
from triplicate.schedules import Schedule
from triplicate.stopping import StoppingRule
from triplicate.trackers import Tracker


@dataclass(frozen=True)
class Trace:
    """At which steps the gradients are measured."""

    first: int = key("trace the first steps", unit="steps", at_least=0)
    every: int = key("trace every k-th step of the training; 0 for none", unit="steps", at_least=0)
    only: tuple[str, ...] | None = key("trace these tensors alone, such as [conv1.weight]; null: all")
    steps: bool = key("write the loss and accuracy of every training step to steps.csv")


@dataclass(frozen=True)
class Train:
    """The training loop."""

    epochs: int = key("passes over the training images", unit="epochs", at_least=1, at_most=1_000_000)
    batch_size: int = key("images in a step", unit="images", at_least=1)
    shuffle: bool = key("a new order each epoch, drawn by the seed; false keeps the file's order")
    reduction: str = key("the loss of a batch is the mean or the sum over its images", choices=("mean", "sum"))
    evaluate_training: bool = key("evaluate the training images too after each epoch, besides as seen in training")
    dtype: str = key("dtype of the weights and of all arithmetic", choices=("float32", "float64"))
    autocast: str = key(
        "dtype of products and convolutions, by torch.autocast; none: train.dtype", choices=("none", "bfloat16")
    )
    tf32: bool = key("on a GPU, float32 products and convolutions by TensorFloat-32: faster, 10 bits of precision")
    deterministic: bool = key("on a GPU, use only cuDNN algorithms that repeat a result exactly; on a CPU all do")


@dataclass(frozen=True)
class Executor:
    """Where the stacks of a sweep train."""

    name: str = key("where the runs are trained: local, the processes of this machine", choices=("local",))
    workers: int | None = key(
        "processes; null: one for each core or GPU where there is work; on a CPU 1 trains in the command's own process",
        unit="processes",
        at_least=1,
    )
    cuda_graphs: bool = key(
        "on a GPU, record training steps and evaluations as CUDA graphs; code of your own parts is not recorded"
    )


@dataclass(frozen=True)
class Report:
    """What the table and the plots of the sweep show."""

    title: str = key("heading of the table and its plots")
    measures: tuple[str, ...] = key(
        "columns of the table; mean_, std_, min_ or max_ before a name: over all epochs; @3 behind it: after epoch 3",
        parts="measure",
    )
    published: Mapping[str, Mapping[str, float | str]] = key(
        "published numbers: row (as typed, such as optimizer.lr=0.1) → measure → value"
    )
    published_runs: int = key("runs that a published number is the mean of", unit="runs", at_least=1, formerly=1)
    explained: Mapping[str, Mapping[str, str]] = key(
        "why a measured number differs from the published one: row → measure → reason", formerly={}
    )
    not_comparable: Mapping[str, str] = key(
        "published numbers without a verdict: row or measure → reason, such as a recipe that is not stated", formerly={}
    )
    compare: str = key(
        "pairs of rows whose difference is told: best, each row and the best one; all; or none",
        choices=("best", "all", "none"),
        formerly="best",
    )
    needs: str = key("gpu: too much for a CPU, where reproduce leaves it out", choices=("cpu", "gpu"), formerly="cpu")
    curves: tuple[str, ...] = key("plots over the epochs: loss, accuracy, or columns of metrics.csv")
    bars: tuple[str, ...] = key("measures drawn as bars, one bar per row", parts="measure")
    gradients: tuple[str, ...] = key(
        "plots over the steps of gradients.csv: <layer>.<parameter>.<statistic>, such as all.all.mean; with @150 "
        "behind it of the first 150 steps"
    )
    figures: tuple[str, ...] = key("further plots", parts="figure")

    @property
    def measured(self) -> tuple[str, ...]:
        """All names that may be measures."""
        return (*self.measures, *self.bars, *self.curves)


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
    resume: str | None = key("last: go on in the newest folder of this name, instead of a new one", choices=("last",))
    rerun: str | None = key(
        "train again from the start: failed, the runs that failed or diverged, or all; null: only what is not finished",
        choices=("failed", "all"),
    )
    on_error: str = key("after a run has failed: continue with the others, or stop", choices=("continue", "stop"))
    objective: str | tuple[str, ...] | None = key(
        "the measure, or a list of them, that each run gives back to a sweeper that searches, such as "
        "hydra/sweeper=optuna; null: validation_accuracy where images are set apart for it, else test_accuracy"
    )
    dataset: DataSource = group()
    model: Model = group()
    optimizer: Optimizer = group()
    schedule: Schedule = group()
    activation: Activation = group()
    init: Initializer = group()
    loss: Loss = group()
    augmentation: Augmentation = group(formerly={"name": "none"})
    stopping: StoppingRule = group()
    trace: Trace = group()
    train: Train = group()
    executor: Executor = group()
    report: Report = group()
    tracker: Mapping[str, Tracker] = group(formerly={})

    @property
    def objectives(self) -> tuple[str, ...]:
        """The measures that the run gives back."""
        return objectives(self.objective, self.dataset.validation)

    @property
    def measured(self) -> tuple[str, ...]:
        """All names that may be measures."""
        given = self.objective or ()
        return (*self.report.measured, *([given] if isinstance(given, str) else given))


def objectives(given: str | Sequence[str] | None, validation: float) -> tuple[str, ...]:
    """The measures that runs give back.

    Args:
        given: `objective`.
        validation: the fraction of the images that is set apart.
    """
    if not given:
        return ("validation_accuracy",) if validation > 0 else ("test_accuracy",)
    return (given,) if isinstance(given, str) else tuple(given)
