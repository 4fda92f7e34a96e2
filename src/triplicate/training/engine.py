"""The engine: trains a stack of runs and yields what happens. It opens no file.

The runs of a stack have different numbers (seed, rate, momentum, weight decay, dropout rate, initialisation) in tensors
of the same shape. A run computes what it would compute by itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from triplicate.config import RunConfig, origins
from triplicate.datasets import Dataset
from triplicate.measures import ConfusionMeasure, ExampleMeasure
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.measures.shared.names import evaluated
from triplicate.stopping import best_epoch
from triplicate.training.batches import Preprocess, Selection, Splits, everything, seen_shape, spans
from triplicate.training.build import autocast, build, network_of
from triplicate.training.cuda_graphs import Recorder
from triplicate.training.evaluation import Evaluation, Evaluator
from triplicate.training.events import EpochEnd, Event, RunEnd, Status, StepsDone
from triplicate.training.network import StackNetwork
from triplicate.training.objective import Objective
from triplicate.training.optimizer import StackOptimizer
from triplicate.training.seeding import global_seed
from triplicate.training.state import Best, RunState, StackState
from triplicate.training.step import RecordedStep, Step
from triplicate.training.traces import GradientTrace

# Progress is told after so many steps, or where a step is slow after so many seconds.
_STEPS_BETWEEN_PROGRESS = 20
_SECONDS_BETWEEN_PROGRESS = 0.5


# The kinds of parts whose code a step or an evaluation calls.
_IN_A_STEP = {"model", "activation", "loss", "measure", "augmentation"}


def fit(
    configs: Sequence[RunConfig],
    dataset: Dataset,
    device: torch.device,
    stacked: bool = True,
    resumed: StackState | None = None,
) -> Iterator[Event]:
    """Train a stack: yields the end of every epoch and of every run, by its position in `configs`.

    A run that has diverged or whose stopping rule is met leaves the stack at the end of that epoch; the others go on.

    Args:
        stacked: whether the runs are one network of stacked layers; else there is one run, with its module as it is.
        resumed: where to go on; on a CPU what follows is the same to the last bit as if nothing had stopped.
    """
    with global_seed(configs[0].seed):  # layers that draw from torch's own generator give the same in any process
        state = _begin(configs, dataset.to(device), device, stacked, resumed)
        if resumed is not None:
            torch.set_rng_state(resumed.draws)
        yield from _fit(state, configs[0])


def _fit(state: _State, first: RunConfig) -> Iterator[Event]:
    for epoch in range(state.epoch, first.train.epochs + 1):
        state.begin_epoch(epoch)
        state.optimizer.scale_rates(first.schedule.scale(epoch, first.train.epochs))
        training = yield from _train_epoch(state)
        evaluations = state.evaluate()
        seconds = (time.perf_counter() - state.began) / len(state.runs)
        diverged = _diverged_steps(state, training, evaluations)
        ended: dict[int, str | None] = {}
        for place, run in enumerate(state.runs):
            lost = diverged[place] is not None
            metrics = _metrics(state, epoch, place, lost, training, evaluations, seconds)
            state.epochs[place].append(metrics)
            stop = first.stopping.reason(state.epochs[place])
            if first.stopping.keep == "best" and best_epoch(state.epochs[place], first.stopping.best_by) == epoch:
                state.best[run] = _best(state, place, epoch, evaluations.test)
            if lost or stop is not None or epoch == first.train.epochs:
                ended[place] = None if lost else stop
            losses, accuracies = training.losses[:, place], training.step_accuracies(place)
            if first.trace.steps:
                state.steps[place].append((losses, accuracies))
            yield EpochEnd(run, metrics, losses, accuracies, run == state.runs[-1])
        state.end_epoch()
        for place, stop in ended.items():
            yield _run_end(state, place, diverged[place], stop, epoch, evaluations.test)
        state.leave(list(ended))
        if not state.runs:
            return
        yield StepsDone(0, state.saved)


def _best(state: _State, place: int, epoch: int, test: Evaluation) -> Best:
    weights = {k: v.cpu() for k, v in state.network.state(place).items()}
    return Best(epoch, weights, test.confusion[place].cpu())


@dataclass(frozen=True)
class _Evaluations:
    """The networks of a stack after an epoch; training images only where they are asked for."""

    test: Evaluation
    validation: Evaluation | None
    training: Evaluation | None


@dataclass(frozen=True)
class _Evaluators:
    """What gives the same."""

    test: Evaluator
    validation: Evaluator | None
    training: Evaluator | None


@dataclass
class _State:
    """All that a stack needs to go on.

    Attributes:
        is_recorded: its steps and evaluations are CUDA graphs.
        epoch: that it is in, or will begin with.
        position: steps of this epoch that are done.
        losses: [steps, R] of this epoch; those behind `position` mean nothing. None between two epochs.
        correct: [steps, R], images of each batch that were right.
        orders: the states of the generators of the orders of images, at the beginning of the epoch.
        began: when the epoch did.
    """

    runs: list[int]
    network: StackNetwork
    optimizer: StackOptimizer
    objective: Objective
    splits: Splits
    test: Selection
    trace: GradientTrace
    epochs: list[list[EpochMetrics]]
    measures: Mapping[str, ExampleMeasure | ConfusionMeasure]
    batch_size: int
    classes: int
    is_recorded: bool
    autocast: torch.dtype | None
    evaluates_training: bool
    steps: list[list[tuple[Tensor, Tensor]]]
    step: int = 0
    epoch: int = 1
    position: int = 0
    losses: Tensor | None = None
    correct: Tensor | None = None
    orders: list[Tensor] = field(default_factory=list)
    began: float = 0.0
    best: dict[int, Best] = field(default_factory=dict)
    train: Step | RecordedStep = field(init=False)
    evaluators: _Evaluators = field(init=False)

    def __post_init__(self) -> None:
        self._make_steps()

    def _make_steps(self) -> None:
        """What is computed for the runs that are here now."""
        augmenting = self.splits.augmenting
        generators = [*self.network.generators, *(augmenting.generators if augmenting is not None else ())]
        recorder = Recorder(generators) if self.is_recorded else None
        step = Step(
            self.network,
            self.optimizer,
            self.objective,
            self.splits.training,
            self.trace,
            self.autocast,
            augmenting,
        )
        self.train = step if recorder is None else RecordedStep(step, recorder)
        means = {column: part for column, part in self.measures.items() if isinstance(part, ExampleMeasure)}

        def evaluator(selection: Selection, measures: Mapping[str, ExampleMeasure]) -> Evaluator:
            return Evaluator(self.network, selection, self.objective, self.classes, measures, self.autocast, recorder)

        splits = self.splits
        self.evaluators = _Evaluators(
            test=evaluator(self.test, means),
            validation=evaluator(splits.validation, {}) if splits.validation is not None else None,
            training=evaluator(splits.training, {}) if self.evaluates_training else None,
        )

    def evaluate(self) -> _Evaluations:
        """The networks as they are now."""
        test, validation, training = self.evaluators.test, self.evaluators.validation, self.evaluators.training
        return _Evaluations(
            test=test(),
            validation=validation() if validation is not None else None,
            training=training() if training is not None else None,
        )

    def begin_epoch(self, epoch: int) -> None:
        """Begin an epoch; one that was begun before goes on."""
        if self.losses is None:
            self.epoch, self.position, self.began = epoch, 0, time.perf_counter()
        self.orders = [generator.get_state() for generator in self.splits.generators]

    def end_epoch(self) -> None:
        self.epoch, self.position, self.losses, self.correct = self.epoch + 1, 0, None, None
        self.orders = [generator.get_state() for generator in self.splits.generators]

    def saved(self, places: Sequence[int] | None = None) -> StackState:
        """What can go on from here: a copy, of all runs or of those at some places."""
        chosen = range(len(self.runs)) if places is None else places
        return StackState(
            epoch=self.epoch,
            position=self.position,
            step=self.step,
            seconds=0.0 if self.losses is None else time.perf_counter() - self.began,
            traced=tuple(self.trace.steps),
            draws=torch.get_rng_state(),
            runs={self.runs[place]: self._run_saved(place) for place in chosen},
        )

    def _run_saved(self, place: int) -> RunState:
        order, augmenting = self.splits.training.order_of_run[place], self.splits.augmenting
        steps = self.steps[place]
        none = torch.zeros(0)
        return RunState(
            epochs=tuple(self.epochs[place]),
            weights={name: tensor.cpu() for name, tensor in self.network.state(place).items()},
            optimizer=tuple(tensor.detach().cpu().clone() for tensor in self.optimizer.state_of(place)),
            masks=self.network.generators[place].get_state(),
            order=self.orders[order].clone() if self.orders else None,
            augmentation=None if augmenting is None else augmenting.generators[order].get_state(),
            losses=none if self.losses is None else self.losses[: self.position, place].cpu().clone(),
            correct=none if self.correct is None else self.correct[: self.position, place].cpu().clone(),
            trace=self.trace.of_run(place).cpu(),
            step_losses=torch.cat([losses for losses, _ in steps]) if steps else none,
            step_accuracies=torch.cat([accuracies for _, accuracies in steps]) if steps else none,
            best=self.best.get(self.runs[place]),
        )

    def restore(self, saved: StackState) -> None:
        """Go on from there. The weights are those of `saved` already."""
        runs = [saved.runs[run] for run in self.runs]
        device = self.test.indices.device
        self.epoch, self.position, self.step = saved.epoch, saved.position, saved.step
        self.epochs = [list(run.epochs) for run in runs]
        self.best = {place: run.best for place, run in saved.runs.items() if run.best is not None}
        self.steps = [[(run.step_losses, run.step_accuracies)] if len(run.step_losses) else [] for run in runs]
        self.optimizer.restore(self.network, [run.optimizer for run in runs])
        self.trace.restore(saved.traced, [run.trace.to(device) for run in runs])
        for place, run in enumerate(runs):
            self.network.generators[place].set_state(run.masks)
            order = self.splits.training.order_of_run[place]
            if run.order is not None:
                self.splits.generators[order].set_state(run.order)
            if run.augmentation is not None and self.splits.augmenting is not None:
                self.splits.augmenting.generators[order].set_state(run.augmentation)
        if saved.position > 0:
            self.losses = self._columns([run.losses for run in runs])
            self.correct = self._columns([run.correct for run in runs])
            self.began = time.perf_counter() - saved.seconds

    def _columns(self, of_runs: Sequence[Tensor]) -> Tensor:
        """[steps so far] of each run → [steps of an epoch, R]."""
        steps = math.ceil(len(self.splits.training) / self.batch_size)
        columns = torch.stack(list(of_runs), 1)
        whole = columns.new_zeros((steps, len(of_runs)))
        whole[: self.position] = columns
        return whole.to(self.test.indices.device)

    def leave(self, places: Sequence[int]) -> None:
        """Take runs out of every tensor of the stack."""
        stay = [place for place in range(len(self.runs)) if place not in places]
        self.runs = [self.runs[place] for place in stay]
        if not places or not stay:
            return
        self.network = self.network.keep(stay)
        self.optimizer.keep(self.network, stay)
        self.splits = self.splits.keep(stay)
        self.test = self.test.keep(stay)
        self.trace.keep(stay)
        self.epochs = [self.epochs[place] for place in stay]
        self.steps = [self.steps[place] for place in stay]
        self.orders = [generator.get_state() for generator in self.splits.generators]
        self._make_steps()


@dataclass(frozen=True)
class _Training:
    """An epoch as seen in training: losses and correct images [steps, R], images in each step [steps]."""

    losses: Tensor
    correct: Tensor
    sizes: Tensor

    def loss(self, place: int) -> float:
        """The mean over images."""
        weights = self.sizes.double()
        return float((self.losses[:, place].double() * weights).sum() / weights.sum())

    def accuracy(self, place: int) -> float:
        return int(self.correct[:, place].sum()) / int(self.sizes.sum())

    def step_accuracies(self, place: int) -> Tensor:
        """The fraction of each batch [steps] that was right."""
        return self.correct[:, place] / self.sizes

    def first_not_finite(self, first_step: int) -> list[int | None]:
        """For every run the step whose loss was the first to be NaN or infinite, counted over epochs."""
        broken = ~self.losses.isfinite()
        steps = broken.int().argmax(0) + first_step
        return [int(s) if b else None for s, b in zip(steps, broken.any(0), strict=True)]


def _diverged_steps(state: _State, training: _Training, evaluations: _Evaluations) -> list[int | None]:
    """For every run the step at which a loss was not finite; the last of the epoch where it was one of evaluation."""
    steps = training.first_not_finite(state.step - len(training.losses) + 1)
    taken = (evaluations.test, evaluations.validation, evaluations.training)
    finite = torch.stack([evaluation.loss.isfinite() for evaluation in taken if evaluation is not None]).all(0).tolist()
    return [state.step if step is None and not good else step for step, good in zip(steps, finite, strict=True)]


def _begin(
    configs: Sequence[RunConfig],
    dataset: Dataset,
    device: torch.device,
    stacked: bool,
    resumed: StackState | None,
) -> _State:
    """The stack before its first step, or where it was; then without the runs that had left."""
    runs = list(range(len(configs))) if resumed is None else sorted(resumed.runs)
    # Side by side where they have the same seed, and so the same images in every step.
    seeds = [configs[run].seed for run in runs]
    runs.sort(key=lambda run: seeds.index(configs[run].seed))
    configs = [configs[run] for run in runs]
    first = configs[0]
    dtype = getattr(torch, first.train.dtype)
    classes = len(dataset.classes)
    shape = seen_shape(dataset.image_shape, first.dataset.upscale)
    models = [build(c, shape, classes).to(device, dtype) for c in configs]
    if resumed is not None:
        for run, model in zip(runs, models, strict=True):
            model.load_state_dict(resumed.runs[run].weights)
    network = network_of(models, configs, device, stacked)
    parameters = network.trainable()
    sizes = [p.numel() // len(configs) for p in parameters.values()]
    preprocess = Preprocess.of(first.dataset, dtype, device)
    recorded = is_recorded(first, device)
    state = _State(
        runs=runs,
        network=network,
        optimizer=StackOptimizer([c.optimizer for c in configs], network, recorded),
        objective=Objective.of(first),
        splits=Splits.of(configs, dataset.train, preprocess),
        test=everything(dataset.test, preprocess, len(configs)),
        trace=GradientTrace(first.trace, list(parameters), sizes),
        epochs=[[] for _ in configs],
        measures=evaluated(first.measured),
        batch_size=first.train.batch_size,
        classes=classes,
        is_recorded=recorded,
        autocast=autocast(first),
        evaluates_training=first.train.evaluate_training,
        steps=[[] for _ in configs],
    )
    if resumed is not None:
        state.restore(resumed)
    return state


def is_recorded(config: RunConfig, device: torch.device) -> bool:
    """Whether the steps of a run are CUDA graphs.

    Not where something in a step may wait for a result or be decided anew each time, as in a user's own code.
    """
    own_code = {what.partition(" ")[0] for what in origins(config)} & _IN_A_STEP
    can_be = config.optimizer.is_capturable and not own_code
    return device.type == "cuda" and config.executor.cuda_graphs and can_be


def _train_epoch(state: _State) -> Generator[StepsDone, None, _Training]:
    """One pass over the training images, or what is left of it."""
    images = state.splits.epoch()
    batches = list(spans(len(images), state.batch_size))
    if state.losses is None or state.correct is None:
        # Written into one tensor each: small ones that stay, between the large ones that go, would scatter the memory.
        dtype = state.network.rows()[0][0].dtype
        state.losses = images.indices.new_empty((len(batches), len(state.runs)), dtype=dtype)
        state.correct = torch.empty_like(state.losses, dtype=torch.long)
    losses, correct = state.losses.unbind(), state.correct.unbind()
    since, told = 0, time.perf_counter()
    for start, stop in batches[state.position :]:
        state.step += 1
        traced = state.trace.wants(state.step)
        seen = state.train(images.indices[:, start:stop], traced)
        if seen.gradients is not None:
            state.trace.add(state.step, seen.gradients)
        losses[state.position].copy_(seen.losses)
        correct[state.position].copy_(seen.correct)
        state.position += 1
        since += 1
        if since == _STEPS_BETWEEN_PROGRESS or time.perf_counter() - told > _SECONDS_BETWEEN_PROGRESS:
            yield StepsDone(since * len(state.runs), state.saved)
            since, told = 0, time.perf_counter()
    if since:
        yield StepsDone(since * len(state.runs), state.saved)
    sizes = torch.tensor([stop - start for start, stop in batches])
    return _Training(state.losses.cpu(), state.correct.cpu(), sizes)


def _metrics(
    state: _State,
    epoch: int,
    place: int,
    diverged: bool,
    training: _Training,
    evaluations: _Evaluations,
    seconds: float,
) -> EpochMetrics:
    """The measures of one run; a network that has diverged predicts nothing, so its evaluations are NaN."""

    def measured(evaluation: Evaluation | None) -> tuple[float | None, float | None]:
        if evaluation is None:
            return None, None
        return float(evaluation.loss[place]), float(evaluation.accuracy()[place])

    validation, evaluated_training = measured(evaluations.validation), measured(evaluations.training)
    test = evaluations.test
    metrics = EpochMetrics(
        epoch=epoch,
        train_loss=training.loss(place),
        train_accuracy=training.accuracy(place),
        test_loss=float(test.loss[place]),
        test_accuracy=float(test.accuracy()[place]),
        test=test.values(state.measures, place),
        validation_loss=validation[0],
        validation_accuracy=validation[1],
        evaluated_train_loss=evaluated_training[0],
        evaluated_train_accuracy=evaluated_training[1],
        seconds=seconds,
    )
    return _without_evaluations(metrics) if diverged else metrics


def _without_evaluations(metrics: EpochMetrics) -> EpochMetrics:
    """With NaN for all that was evaluated."""

    def lost(value: float | None) -> float | None:
        return None if value is None else math.nan

    return replace(
        metrics,
        test_loss=math.nan,
        test_accuracy=math.nan,
        test=dict.fromkeys(metrics.test, math.nan),
        validation_loss=lost(metrics.validation_loss),
        validation_accuracy=lost(metrics.validation_accuracy),
        evaluated_train_loss=lost(metrics.evaluated_train_loss),
        evaluated_train_accuracy=lost(metrics.evaluated_train_accuracy),
    )


def _run_end(
    state: _State, place: int, diverged_step: int | None, stopped: str | None, epoch: int, test: Evaluation
) -> RunEnd:
    last_step = state.step if diverged_step is None else diverged_step
    tested = state.best.get(state.runs[place]) or _best(state, place, epoch, test)
    had_all = diverged_step is None and stopped is None
    return RunEnd(
        run=state.runs[place],
        status=Status.FINISHED if diverged_step is None else Status.DIVERGED,
        diverged_step=diverged_step,
        stopped=stopped,
        tested_epoch=tested.epoch,
        confusion=tested.confusion,
        weights=tested.weights,
        parameters=sum(p.numel() for p in state.network.trainable().values()) // len(state.runs),
        gradients=list(state.trace.rows(place, last_step)),
        state=state.saved([place]) if had_all else None,
    )
