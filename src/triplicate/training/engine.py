"""The engine: trains a stack of runs and yields what happens. It opens no file.

The runs of a stack differ only in what a tensor can hold a row of (seed, rate, momentum, weight decay,
initialisation). None sees another: alone, a run gives the same losses.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from triplicate import models
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.training import stack
from triplicate.training.batches import Scaling, Selection, Splits, everything, spans
from triplicate.training.initializers import initialize
from triplicate.training.metrics import EpochMetrics, Evaluation, cross_entropy, evaluate
from triplicate.training.optimizers import OPTIMIZERS, Optimizer
from triplicate.training.seeding import global_seed
from triplicate.training.traces import GradientRow, GradientTrace

_STEPS_BETWEEN_PROGRESS = 20


class Status(enum.StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Progress:
    """So many steps more were trained, counted over all runs of the stack."""

    run_steps: int


@dataclass(frozen=True)
class EpochEnd:
    """One run has finished an epoch.

    Attributes:
        step_losses: [steps], its loss at each step of the epoch.
        is_last_of_stack: all runs of the stack have now finished this epoch.
    """

    run: int
    metrics: EpochMetrics
    step_losses: Tensor
    is_last_of_stack: bool


@dataclass(frozen=True)
class RunEnd:
    """One run has left the stack.

    Attributes:
        diverged_step: the step (the first is 1) whose loss was not finite, if any was.
        confusion: [classes, classes] counts over the test images: true class, predicted class.
        weights: the state dict of the run's own model.
        gradients: the gradient trace, up to the step of divergence.
    """

    run: int
    status: Status
    diverged_step: int | None
    confusion: Tensor
    weights: Mapping[str, Tensor]
    gradients: Sequence[GradientRow]


Event = Progress | EpochEnd | RunEnd


def fit(configs: Sequence[RunConfig], dataset: Dataset, device: torch.device) -> Iterator[Event]:
    """Train a stack: yields the end of every epoch and of every run, by its position in `configs`.

    A run whose loss is NaN or infinite leaves the stack at the end of that epoch; the others go on.
    """
    state = _begin(configs, dataset.to(device), device)
    for epoch in range(1, configs[0].train.epochs + 1):
        began = time.perf_counter()
        first_step = state.step + 1
        training = yield from _train_epoch(state)
        test = evaluate(state.network, state.test, state.classes)
        validation = _validate(state)
        seconds = (time.perf_counter() - began) / len(state.runs)
        diverged = training.first_not_finite(first_step)
        for row, run in enumerate(state.runs):
            lost = diverged[row] is not None
            metrics = _metrics(epoch, row, lost, training, test, validation, seconds)
            yield EpochEnd(run, metrics, training.losses[:, row], run == state.runs[-1])
        is_last = epoch == configs[0].train.epochs
        ended = [row for row in range(len(state.runs)) if is_last or diverged[row] is not None]
        for row in ended:
            yield _run_end(state, row, diverged[row], test)
        state.leave(ended)
        if not state.runs:
            return


@dataclass
class _State:
    """All that a stack needs to go on."""

    runs: list[int]
    network: nn.Sequential
    optimizer: Optimizer
    splits: Splits
    test: Selection
    trace: GradientTrace
    batch_size: int
    classes: int
    step: int = 0

    def leave(self, rows: Sequence[int]) -> None:
        """Take runs out of every tensor of the stack."""
        if not rows:
            return
        stay = [row for row in range(len(self.runs)) if row not in rows]
        kept = torch.tensor(stay, dtype=torch.long, device=self.test.order_of_run.device)
        stack.keep(self.network, kept)
        self.optimizer.keep(kept)
        self.splits = self.splits.keep(kept)
        self.test = self.test.keep(kept)
        self.trace.keep(kept)
        self.runs = [self.runs[row] for row in stay]


@dataclass(frozen=True)
class _Training:
    """An epoch as seen in training: losses [steps, R], images in each step [steps], hits [R]."""

    losses: Tensor
    sizes: Tensor
    hits: Tensor

    def loss(self, row: int) -> float:
        """The mean over images."""
        weights = self.sizes.double()
        return float((self.losses[:, row].double() * weights).sum() / weights.sum())

    def accuracy(self, row: int) -> float:
        return int(self.hits[row]) / int(self.sizes.sum())

    def first_not_finite(self, first_step: int) -> list[int | None]:
        """For every run the step whose loss was the first to be NaN or infinite, counted over epochs."""
        broken = ~self.losses.isfinite()
        steps = broken.int().argmax(0) + first_step
        return [int(s) if b else None for s, b in zip(steps, broken.any(0), strict=True)]


def _begin(configs: Sequence[RunConfig], dataset: Dataset, device: torch.device) -> _State:
    first = configs[0]
    dtype = getattr(torch, first.train.dtype)
    classes = len(dataset.classes)
    network = stack.stack([_build(c, dataset.image_shape, classes) for c in configs]).to(device, dtype)
    parameters = dict(network.named_parameters())
    scaling = Scaling.of(first.dataset, dtype, device)
    return _State(
        runs=list(range(len(configs))),
        network=network,
        optimizer=OPTIMIZERS[first.optimizer.name]([c.optimizer for c in configs], next(iter(parameters.values()))),
        splits=Splits.of(configs, dataset.train, scaling),
        test=everything(dataset.test, scaling, len(configs)),
        trace=GradientTrace(first.trace, list(parameters), [p[0].numel() for p in parameters.values()]),
        batch_size=first.train.batch_size,
        classes=classes,
    )


def _build(config: RunConfig, image_shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """A run's own model, its weights as `torch.manual_seed(seed)` before building it gives them."""
    with global_seed(config.seed):
        model = models.build(config, image_shape, classes)
        initialize(model, config.init.name)
    return model


def _train_epoch(state: _State) -> Generator[Progress, None, _Training]:
    """One pass over the training images."""
    parameters = list(state.network.parameters())
    images = state.splits.epoch()
    losses, sizes = [], []
    hits = torch.zeros(len(state.runs), dtype=torch.long, device=images.indices.device)
    since_progress = 0
    for start, stop in spans(len(images), state.batch_size):
        pixels, labels = images.batch(start, stop)
        scores = state.network(pixels)
        loss = cross_entropy(scores, labels)
        gradients = torch.autograd.grad(loss.sum(), parameters)
        state.step += 1
        if state.trace.wants(state.step):
            state.trace.record(state.step, gradients)
        state.optimizer.step(parameters, gradients)
        losses.append(loss.detach())
        sizes.append(stop - start)
        hits += (scores.detach().argmax(-1) == labels).sum(1)
        since_progress += 1
        if since_progress == _STEPS_BETWEEN_PROGRESS:
            yield Progress(since_progress * len(state.runs))
            since_progress = 0
    yield Progress(since_progress * len(state.runs))
    return _Training(torch.stack(losses).cpu(), torch.tensor(sizes), hits.cpu())


def _validate(state: _State) -> Evaluation | None:
    if state.splits.validation is None:
        return None
    return evaluate(state.network, state.splits.validation, state.classes)


def _metrics(
    epoch: int,
    row: int,
    diverged: bool,
    training: _Training,
    test: Evaluation,
    validation: Evaluation | None,
    seconds: float,
) -> EpochMetrics:
    """The measures of one run; a network that has diverged predicts nothing, so its evaluations are NaN."""

    def measured(evaluation: Evaluation) -> tuple[float, float]:
        if diverged:
            return float("nan"), float("nan")
        return float(evaluation.loss[row]), float(evaluation.accuracy()[row])

    test_loss, test_accuracy = measured(test)
    validation_loss, validation_accuracy = measured(validation) if validation else (None, None)
    return EpochMetrics(
        epoch=epoch,
        train_loss=training.loss(row),
        train_accuracy=training.accuracy(row),
        test_loss=test_loss,
        test_accuracy=test_accuracy,
        seconds=seconds,
        validation_loss=validation_loss,
        validation_accuracy=validation_accuracy,
    )


def _run_end(state: _State, row: int, diverged_step: int | None, test: Evaluation) -> RunEnd:
    last_step = state.step if diverged_step is None else diverged_step
    return RunEnd(
        run=state.runs[row],
        status=Status.FINISHED if diverged_step is None else Status.DIVERGED,
        diverged_step=diverged_step,
        confusion=test.confusion[row].cpu(),
        weights={k: v.cpu() for k, v in stack.unstack(state.network, row).items()},
        gradients=list(state.trace.rows(row, last_step)),
    )
