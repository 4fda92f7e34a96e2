"""The engine: trains a stack of runs and yields what happens. It opens no file.

The runs of a stack differ only in what a tensor can hold a row of (seed, rate, momentum, weight decay,
dropout rate, initialisation). None sees another: alone, a run gives the same losses.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from triplicate import models
from triplicate.config import CnnConfig, MlpConfig, RunConfig, by_hand
from triplicate.datasets import Dataset
from triplicate.errors import UserError
from triplicate.training.batches import Scaling, Selection, Splits, everything, seen_shape, spans, trained_on
from triplicate.training.initializers import initialize
from triplicate.training.losses import Loss
from triplicate.training.metrics import EpochMetrics, Evaluation, by_class, evaluate
from triplicate.training.optimizers import Optimizer
from triplicate.training.recorded import Recorded
from triplicate.training.schedules import rate_factor
from triplicate.training.seeding import generator, global_seed
from triplicate.training.stack import Alone, Batched, Network
from triplicate.training.step import Step
from triplicate.training.stopping import Stop, Watch
from triplicate.training.traces import GradientRow, GradientTrace
from triplicate.training.work import Work

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
        step_losses: [steps], its loss (mean over the batch) at each step of the epoch.
        step_accuracies: [steps], the fraction of each batch that it had right.
        is_last_of_stack: all runs of the stack have now finished this epoch.
    """

    run: int
    metrics: EpochMetrics
    step_losses: Tensor
    step_accuracies: Tensor
    is_last_of_stack: bool


@dataclass(frozen=True)
class RunEnd:
    """One run has left the stack.

    Attributes:
        diverged_step: the step (the first is 1) whose loss was not finite, if any was.
        stopped: the stopping rule that ended it, if one did.
        tested_epoch: the epoch that weights and confusion are of: the last one, or the best.
        confusion: [classes, classes] counts over the test images: true class, predicted class.
        weights: the state dict of the run's own model.
        parameters: how many numbers were trained.
        gradients: the gradient trace, up to the step of divergence.
    """

    run: int
    status: Status
    diverged_step: int | None
    stopped: Stop | None
    tested_epoch: int
    confusion: Tensor
    weights: Mapping[str, Tensor]
    parameters: int
    gradients: Sequence[GradientRow]


Event = Progress | EpochEnd | RunEnd


def fit(configs: Sequence[RunConfig], dataset: Dataset, device: torch.device) -> Iterator[Event]:
    """Train a stack: yields the end of every epoch and of every run, by its position in `configs`.

    A run that has diverged or whose stopping rule is met leaves the stack at the end of that epoch; the others go on.
    """
    first = configs[0]
    state = _begin(configs, dataset.to(device), device)
    for epoch in range(1, first.train.epochs + 1):
        began = time.perf_counter()
        first_step = state.step + 1
        state.optimizer.scale_rates(rate_factor(first.schedule, epoch, first.train.epochs))
        training = yield from _train_epoch(state)
        evaluations = _evaluate(state, first.train.evaluate_training)
        seconds = (time.perf_counter() - began) / len(state.runs)
        diverged = training.first_not_finite(first_step)
        ended: dict[int, Stop | None] = {}
        for row, run in enumerate(state.runs):
            lost = diverged[row] is not None
            metrics = _metrics(epoch, row, lost, training, evaluations, seconds)
            stop = state.watches[row].see(metrics)
            if first.stopping.keep == "best" and state.watches[row].best_epoch == epoch:
                state.best[run] = _Snapshot.of(state, row, epoch, evaluations.test)
            if lost or stop is not None or epoch == first.train.epochs:
                ended[row] = None if lost else stop
            losses, accuracies = training.losses[:, row], training.step_accuracies(row)
            yield EpochEnd(run, metrics, losses, accuracies, run == state.runs[-1])
        for row, stop in ended.items():
            yield _run_end(state, row, diverged[row], stop, epoch, evaluations.test)
        state.leave(list(ended))
        if not state.runs:
            return


def rehearse(config: RunConfig, dataset: Dataset) -> tuple[list[str], Work]:
    """Build a run's model by its shapes alone: no weight is drawn.

    Returns:
        The trainable tensors, as the gradient trace names them, and what the run asks of a machine.

    Raises:
        UserError: the model, the loss or the batch size does not fit the data.
    """
    shape = seen_shape(dataset.image_shape, config.dataset.upscale)
    with torch.device("meta"):
        model = models.build(config, shape, Loss.of(config.train).outputs(len(dataset.classes)))
    images = trained_on(len(dataset.train), config.dataset.validation)
    smallest = images % config.train.batch_size or config.train.batch_size
    if smallest == 1 and any(isinstance(module, nn.BatchNorm1d) for module in model.modules()):
        problem = "the last batch of an epoch has one image, and batch normalisation needs two"
        raise UserError("train.batch_size", problem, "choose another, or another dataset.limit")
    if by_hand(config.model):
        from triplicate.numpy_backend.bridge import check_layers

        check_layers(model)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    return names, Work.of(config, dataset, model, shape)


@dataclass(frozen=True)
class _Snapshot:
    """What is kept of the best epoch of a run."""

    epoch: int
    weights: Mapping[str, Tensor]
    confusion: Tensor

    @staticmethod
    def of(state: _State, row: int, epoch: int, test: Evaluation) -> _Snapshot:
        weights = {k: v.cpu() for k, v in state.network.state(row).items()}
        return _Snapshot(epoch, weights, test.confusion[row].cpu())


@dataclass(frozen=True)
class _Evaluations:
    """The networks of a stack after an epoch; training images only where they are asked for."""

    test: Evaluation
    validation: Evaluation | None
    training: Evaluation | None


@dataclass
class _State:
    """All that a stack needs to go on. `records`: its steps are recorded on a GPU and played again."""

    runs: list[int]
    network: Network
    optimizer: Optimizer
    loss: Loss
    splits: Splits
    test: Selection
    trace: GradientTrace
    watches: list[Watch]
    batch_size: int
    classes: int
    records: bool
    step: int = 0
    best: dict[int, _Snapshot] = field(default_factory=dict)
    train: Step | Recorded = field(init=False)

    def __post_init__(self) -> None:
        self._make_step()

    def _make_step(self) -> None:
        step = Step(self.network, self.optimizer, self.loss, self.splits.training, self.trace)
        self.train = Recorded(step) if self.records else step

    def leave(self, rows: Sequence[int]) -> None:
        """Take runs out of every tensor of the stack."""
        stay = [row for row in range(len(self.runs)) if row not in rows]
        self.runs = [self.runs[row] for row in stay]
        if not rows or not stay:
            return
        kept = torch.tensor(stay, dtype=torch.long, device=self.test.order_of_run.device)
        self.network = self.network.keep(stay)
        self.optimizer.keep(stay)
        self.splits = self.splits.keep(kept)
        self.test = self.test.keep(kept)
        self.trace.keep(kept)
        self.watches = [self.watches[row] for row in stay]
        self._make_step()


@dataclass(frozen=True)
class _Training:
    """An epoch as seen in training: losses and hits [steps, R], images in each step [steps]."""

    losses: Tensor
    hits: Tensor
    sizes: Tensor

    def loss(self, row: int) -> float:
        """The mean over images."""
        weights = self.sizes.double()
        return float((self.losses[:, row].double() * weights).sum() / weights.sum())

    def accuracy(self, row: int) -> float:
        return int(self.hits[:, row].sum()) / int(self.sizes.sum())

    def step_accuracies(self, row: int) -> Tensor:
        """The fraction of each batch [steps] that was right."""
        return self.hits[:, row] / self.sizes

    def first_not_finite(self, first_step: int) -> list[int | None]:
        """For every run the step whose loss was the first to be NaN or infinite, counted over epochs."""
        broken = ~self.losses.isfinite()
        steps = broken.int().argmax(0) + first_step
        return [int(s) if b else None for s, b in zip(steps, broken.any(0), strict=True)]


def _begin(configs: Sequence[RunConfig], dataset: Dataset, device: torch.device) -> _State:
    first = configs[0]
    dtype = getattr(torch, first.train.dtype)
    classes = len(dataset.classes)
    loss = Loss.of(first.train, by_hand(first.model))
    shape = seen_shape(dataset.image_shape, first.dataset.upscale)
    network = _network([_build(c, shape, loss.outputs(classes)) for c in configs], configs, device, dtype)
    parameters = network.trainable()
    sizes = [p.numel() // len(configs) for p in parameters.values()]
    scaling = Scaling.of(first.dataset, dtype, device)
    return _State(
        runs=list(range(len(configs))),
        network=network,
        optimizer=Optimizer([c.optimizer for c in configs], network.blocks()),
        loss=loss,
        splits=Splits.of(configs, dataset.train, scaling),
        test=everything(dataset.test, scaling, len(configs)),
        trace=GradientTrace(first.trace, list(parameters), sizes),
        watches=[Watch(c.stopping) for c in configs],
        batch_size=first.train.batch_size,
        classes=classes,
        records=first.executor.cuda_graphs and device.type == "cuda" and isinstance(network, Batched),
    )


def _network(
    built: Sequence[nn.Module], configs: Sequence[RunConfig], device: torch.device, dtype: torch.dtype
) -> Network:
    moved = [model.to(device, dtype) for model in built]
    generators = [generator(c.seed, "dropout", device) for c in configs]
    if by_hand(configs[0].model):
        from triplicate.numpy_backend.bridge import NumpyNetwork  # only here: scipy takes half a second

        return Alone(NumpyNetwork(moved[0], generators[0]), generators[0])
    if stands_alone(configs[0], device.type) is not None:
        return Alone.of_torch(moved[0], generators[0], device)
    return Batched(moved, generators)


def stands_alone(config: RunConfig, device: str) -> str | None:
    """Why a run cannot train in a stack with others on a device of this type; None if it can."""
    if by_hand(config.model):
        return "NumPy computes it"
    if isinstance(config.model, MlpConfig):
        return None
    if not isinstance(config.model, CnnConfig):
        return f"{config.model.name} has layers that no rule stacks"
    return None if device == "cuda" else "on a CPU convolutions are faster one after the other"


def _build(config: RunConfig, shape: tuple[int, ...], outputs: int) -> nn.Module:
    """A run's own model, its weights as `torch.manual_seed(seed)` before building it gives them."""
    with global_seed(config.seed):
        model = models.build(config, shape, outputs)
        initialize(model, config.init)
    return model


def _train_epoch(state: _State) -> Generator[Progress, None, _Training]:
    """One pass over the training images."""
    images = state.splits.epoch()
    batches = list(spans(len(images), state.batch_size))
    # Written into one tensor each: small ones that stay, between the large ones that go, would scatter the memory.
    losses = images.indices.new_empty((len(batches), len(state.runs)), dtype=state.network.blocks()[0].dtype)
    hits = torch.empty_like(losses, dtype=torch.long)
    since_progress = 0
    for number, (start, stop) in enumerate(batches):
        state.step += 1
        traced = state.trace.wants(state.step)
        seen = state.train(images.indices[:, start:stop], traced)
        if seen.gradients is not None:
            state.trace.record(state.step, seen.gradients)
        losses[number], hits[number] = seen.losses, seen.hits
        since_progress += 1
        if since_progress == _STEPS_BETWEEN_PROGRESS:
            yield Progress(since_progress * len(state.runs))
            since_progress = 0
    yield Progress(since_progress * len(state.runs))
    return _Training(losses.cpu(), hits.cpu(), torch.tensor([stop - start for start, stop in batches]))


def _evaluate(state: _State, with_training: bool) -> _Evaluations:
    def measured(selection: Selection) -> Evaluation:
        return evaluate(state.network, selection, state.loss, state.classes)

    splits = state.splits
    return _Evaluations(
        test=measured(state.test),
        validation=measured(splits.validation) if splits.validation is not None else None,
        training=measured(splits.training) if with_training else None,
    )


def _metrics(
    epoch: int,
    row: int,
    diverged: bool,
    training: _Training,
    evaluations: _Evaluations,
    seconds: float,
) -> EpochMetrics:
    """The measures of one run; a network that has diverged predicts nothing, so its evaluations are NaN."""

    def measured(evaluation: Evaluation | None) -> tuple[float | None, float | None]:
        if evaluation is None:
            return None, None
        if diverged:
            return math.nan, math.nan
        return float(evaluation.loss[row]), float(evaluation.accuracy()[row])

    validation_loss, validation_accuracy = measured(evaluations.validation)
    evaluated_loss, evaluated_accuracy = measured(evaluations.training)
    test, scores = evaluations.test, by_class(evaluations.test.confusion[row])
    return EpochMetrics(
        epoch=epoch,
        train_loss=training.loss(row),
        train_accuracy=training.accuracy(row),
        test_loss=math.nan if diverged else float(test.loss[row]),
        test_accuracy=math.nan if diverged else float(test.accuracy()[row]),
        test_precision=math.nan if diverged else float(scores.precision.mean()),
        test_recall=math.nan if diverged else float(scores.recall.mean()),
        test_f1=math.nan if diverged else float(scores.f1.mean()),
        validation_loss=validation_loss,
        validation_accuracy=validation_accuracy,
        evaluated_train_loss=evaluated_loss,
        evaluated_train_accuracy=evaluated_accuracy,
        seconds=seconds,
    )


def _run_end(
    state: _State, row: int, diverged_step: int | None, stopped: Stop | None, epoch: int, test: Evaluation
) -> RunEnd:
    last_step = state.step if diverged_step is None else diverged_step
    tested = state.best.get(state.runs[row]) or _Snapshot.of(state, row, epoch, test)
    return RunEnd(
        run=state.runs[row],
        status=Status.FINISHED if diverged_step is None else Status.DIVERGED,
        diverged_step=diverged_step,
        stopped=stopped,
        tested_epoch=tested.epoch,
        confusion=tested.confusion,
        weights=tested.weights,
        parameters=sum(p.numel() for p in state.network.trainable().values()) // len(state.runs),
        gradients=list(state.trace.rows(row, last_step)),
    )
