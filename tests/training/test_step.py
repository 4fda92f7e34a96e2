"""What a step asks of a device, found without one: where it reads, what it waits for, how often it calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tests.conftest import Configure
from tests.training.test_engine import SMALL_CNN, losses, train
from triplicate.augmentations.none import NoAugmentation
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.training.augmenting import Augmenting
from triplicate.training.batches import Preprocess, Splits
from triplicate.training.build import build, stack_rules
from triplicate.training.cuda_graphs import Recorded, Recorder
from triplicate.training.events import EpochEnd, Event, RunEnd
from triplicate.training.network import Alone, Batched
from triplicate.training.objective import Objective
from triplicate.training.optimizer import StackOptimizer
from triplicate.training.seeding import generator
from triplicate.training.step import Seen, Step
from triplicate.training.traces import GradientTrace

# What a step may have besides.
EXTRAS = {
    "crops": ("augmentation=crop_flip", "optimizer.clip_norm=0.1", "loss.label_smoothing=0.1"),
    "rotations": ("augmentation=rotation",),
}
CPU, META = torch.device("cpu"), torch.device("meta")
SCHEDULES = ("constant", "cosine")
OPTIMIZERS = ("sgd", "momentum", "rmsprop", "adam", "adamw")
MLP = ("model=mlp", "model.hidden=[12,9]", "train.batch_size=16")
MODELS = {
    "plain": MLP,
    "norm and dropout": (*MLP, "model.norm=after", "model.dropout=0.2"),
    "layer norm": ("model=mlp", "model.hidden=[12]", "train.batch_size=16", "activation=gelu"),
    "convolutions": tuple(option for option in SMALL_CNN if "trace" not in option),
}
# What waits for the device: it gives Python a number, or a tensor whose size depends on what was computed.
WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "is_nonzero", "equal")
# What launches nothing: memory is set aside, or named anew.
FREE = ("empty", "new_empty", "empty_like", "empty_strided", "detach", "alias", "_unsafe_view")


def stack(configure: Configure, model: str, optimizer: str, *more: str) -> list[RunConfig]:
    """Six runs: three rates of two seeds."""
    shared = (*MODELS[model], f"optimizer={optimizer}", "trace.first=1", "trace.every=5", *more)
    return [configure(*shared, f"optimizer.lr={lr}", f"seed={seed}") for seed in (0, 1) for lr in (0.1, 0.01, 0.001)]


def step_of(configs: Sequence[RunConfig], dataset: Dataset, device: torch.device = CPU, alone: bool = False) -> Step:
    """The step of a stack, as the engine makes it. On the meta device nothing is computed, and no mask is drawn."""
    first, classes = configs[0], len(dataset.classes)
    dtype, images = getattr(torch, first.train.dtype), dataset.train.to(device)
    models = [build(config, dataset.image_shape, classes).to(device, dtype) for config in configs]
    masks = [generator(config.seed, "dropout") for config in configs]
    network = Alone.of_torch(models[0], masks[0], device) if alone else Batched(models, masks, stack_rules(first))
    trainable, plain = network.trainable(), [replace(config, augmentation=NoAugmentation()) for config in configs]
    seeds = list(dict.fromkeys(config.seed for config in configs))
    augmenting = Augmenting.of(first.augmentation, seeds, CPU)
    return Step(
        network,
        StackOptimizer([config.optimizer for config in configs], network, recorded=device == META),
        Objective.of(first),
        Splits.of(plain, images, Preprocess.of(first.dataset, dtype, device)).training,
        GradientTrace(first.trace, list(trainable), [t.numel() // len(configs) for t in trainable.values()]),
        augmenting=None if augmenting is None else replace(augmenting, device=device),
    )


class Watched(TorchDispatchMode):
    """Every operation that torch calls, backward passes too: by name, with what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.foreign: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name().removeprefix("aten::").partition(".")[0]
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(not tensor.is_meta for tensor in given):
            self.foreign.append(name)
        if not func.is_view:
            self.names.append(name)
        if name.startswith("_fused_") and given[0].is_meta:  # torch has no such kernel, and it gives nothing
            return None
        return func(*args, **(kwargs or {}))

    def launches(self) -> int:
        """Operations that a GPU would be given to do, as far as their names tell."""
        return sum(name not in FREE for name in self.names)


def chosen_of(step: Step, first: int, count: int) -> Tensor:
    return step.images.indices[:, first : first + count]


@pytest.mark.parametrize(("optimizer", "traced"), [("sgd", True), *((name, False) for name in OPTIMIZERS)])
@pytest.mark.parametrize("model", MODELS)
def test_a_step_waits_for_nothing(
    configure: Configure, small: Dataset, model: str, optimizer: str, traced: bool
) -> None:
    step = step_of(stack(configure, model, optimizer), small)
    step(chosen_of(step, 0, 16), traced)
    with Watched() as watched:
        step(chosen_of(step, 16, 16), traced)
    assert len(watched.names) > 20
    assert not [name for name in watched.names if name.startswith(WAITING)]


@pytest.mark.parametrize(("optimizer", "traced"), [("sgd", True), *((name, False) for name in OPTIMIZERS)])
@pytest.mark.parametrize("model", MODELS)
def test_a_step_touches_no_tensor_of_the_host(
    configure: Configure, small: Dataset, model: str, optimizer: str, traced: bool
) -> None:
    """On the meta device everything that is no meta tensor would be the host's beside a GPU."""
    step = step_of(stack(configure, model, optimizer), small, META)
    with Watched() as watched:
        step(chosen_of(step, 0, 16), traced)
    assert len(watched.names) > 20
    assert watched.foreign == []


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("device", [CPU, META], ids=str)
def test_neither_does_one_that_augments_and_clips(
    configure: Configure, small: Dataset, device: torch.device, extra: str
) -> None:
    step = step_of(stack(configure, "norm and dropout", "sgd", *EXTRAS[extra]), small, device)
    with Watched() as watched:
        step(chosen_of(step, 0, 16), True)
    assert len(watched.names) > 20
    assert not [name for name in watched.names if name.startswith(WAITING)]
    assert device == CPU or watched.foreign == []


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_step_of_a_network_alone_neither_waits_nor_touches_the_host(
    configure: Configure, small: Dataset, optimizer: str
) -> None:
    for device in (CPU, META):
        step = step_of(stack(configure, "convolutions", optimizer)[:1], small, device, alone=True)
        with Watched() as watched:
            step(chosen_of(step, 0, 16), True)
        assert not [name for name in watched.names if name.startswith(WAITING)]
    assert watched.foreign == []


def test_the_host_and_waiting_are_noticed(configure: Configure, small: Dataset) -> None:
    with Watched() as watched:
        torch.ones(2).sum().item()
        torch.empty(3, device=META).add_(torch.ones(3, device=META))
    assert "_local_scalar_dense" in watched.names
    assert set(watched.foreign) == {"sum", "_local_scalar_dense"}


@pytest.mark.parametrize(
    ("options", "ceiling"),
    [
        (("optimizer=sgd",), 40),
        (("optimizer=adam",), 45),
        (("optimizer=momentum", "model.norm=after", "model.dropout=0.2"), 70),
        (("optimizer=adam", "model.norm=after", "model.dropout=0.2"), 70),
    ],
)
def test_a_step_of_twelve_runs_launches_little(
    configure: Configure, small: Dataset, options: tuple[str, ...], ceiling: int
) -> None:
    shared = ("model=mlp", "model.hidden=[512,512]", "trace=none", *options)
    rows = [configure(*shared, f"optimizer.lr={lr}", f"seed={s}") for s in (0, 1, 2) for lr in (1, 0.1, 0.01, 0.001)]
    step = step_of(rows, small)
    step(chosen_of(step, 0, 64), False)
    with Watched() as watched:
        step(chosen_of(step, 64, 64), False)
    assert 20 < watched.launches() <= ceiling


class Reads(TorchDispatchMode):
    """The memory that was read and had been there before."""

    def __init__(self) -> None:
        super().__init__()
        self._made: dict[int, StorageWeakRef] = {}
        self.outside: dict[int, StorageWeakRef] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for storage in storages((args, kwargs)):
            if storage.cdata not in self._made:
                self.outside[storage.cdata] = storage
        outputs = func(*args, **(kwargs or {}))
        for storage in storages(outputs):
            if storage.cdata not in self.outside:
                self._made[storage.cdata] = storage
        return outputs


def storages(tree: object) -> list[StorageWeakRef]:
    return [StorageWeakRef(leaf.untyped_storage()) for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class Followed(Recorder):
    """Records as a GPU does, without one: what was read must be there at each replay, and is where it was."""

    replays = 0
    recordings = 0

    def record(self, function: Callable[[Tensor], Any], changed: Sequence[Tensor], chosen: Tensor) -> Recorded[Any]:
        Followed.recordings += 1
        still = chosen.clone()
        self.warm_up(function, changed, still)
        before = [tensor.clone() for tensor in changed]
        states = [draws.get_state() for draws in self._generators]
        with Reads() as reads:
            written = function(still)
        for tensor, value in zip(changed, before, strict=True):
            tensor.data.copy_(value)
        for draws, state in zip(self._generators, states, strict=True):
            draws.set_state(state)
        return Recorded(Replay(function, still, written, list(reads.outside.values())), still, written)  # type: ignore[arg-type]


class Replay:
    """A graph that is played by calling its function again. What it gives lies where it lay when it was recorded."""

    def __init__(self, function: Callable[[Tensor], Any], still: Tensor, written: Any, read: list[StorageWeakRef]):
        self._function, self._still, self._written, self._read = function, still, written, read

    def replay(self) -> None:
        Followed.replays += 1
        assert not any(storage.expired() for storage in self._read), "memory that the step reads has been freed"
        fresh = self._function(self._still)
        for old, new in zip(tensors_of(self._written), tensors_of(fresh), strict=True):
            old.copy_(new)


def tensors_of(seen: Seen | None) -> list[Tensor]:
    return [] if seen is None else [t for t in (seen.losses, seen.correct, seen.gradients) if t is not None]


@pytest.fixture
def followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside, the engine records on a CPU."""
    monkeypatch.setattr("triplicate.training.engine.is_recorded", lambda config, device: True)
    monkeypatch.setattr("triplicate.training.engine.Recorder", Followed)
    monkeypatch.setattr(Followed, "replays", 0)
    monkeypatch.setattr(Followed, "recordings", 0)


@pytest.mark.parametrize(
    ("model", "optimizer", "schedule"),
    [("plain", "sgd", "constant"), *((model, optimizer, "cosine") for model in MODELS for optimizer in OPTIMIZERS)],
)
def test_what_was_recorded_stays_where_it_is_and_gives_the_same(
    configure: Configure,
    small: Dataset,
    request: pytest.FixtureRequest,
    model: str,
    optimizer: str,
    schedule: str,
) -> None:
    """Over epochs, with evaluation, a rate that changes and a run that diverges and leaves, to the last bit."""
    more = ("train.epochs=5", f"schedule={schedule}", "dataset.validation=0.25")
    others = ("train.batch_size=100", "train.evaluate_training=true", "train.dtype=float64")
    rows = stack(configure, model, optimizer, *others, *more)
    rows[4] = replace(rows[4], optimizer=replace(rows[4].optimizer, lr=1e300))  # type: ignore[call-arg]
    plain = train(rows, small)
    request.getfixturevalue("followed")
    recorded = train(rows, small)
    assert Followed.replays > 12
    assert [e.run for e in plain if isinstance(e, RunEnd) and e.diverged_step is not None] == [4]
    assert told(recorded) == told(plain)


@pytest.mark.parametrize("extra", EXTRAS)
def test_so_it_is_with_what_a_step_may_have_besides(
    configure: Configure, small: Dataset, request: pytest.FixtureRequest, extra: str
) -> None:
    more = ("train.epochs=3", "train.batch_size=100", "schedule.warmup=1", "train.dtype=float64", *EXTRAS[extra])
    rows = stack(configure, "norm and dropout", "sgd", *more)
    rows[4] = replace(rows[4], optimizer=replace(rows[4].optimizer, lr=1e300))  # type: ignore[call-arg]
    plain = train(rows, small)
    request.getfixturevalue("followed")
    recorded = train(rows, small)
    assert Followed.replays == 3 * (3 + 1)  # the steps of each epoch and its evaluation
    assert told(recorded) == told(plain)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_rate_that_changes_needs_no_new_recording(
    configure: Configure, small: Dataset, followed: None, optimizer: str
) -> None:
    """In float32, where rules read their rates from a tensor."""
    shared = ("train.batch_size=128", "train.dtype=float32", "train.epochs=6")
    plain = [train(stack(configure, "plain", optimizer, *shared, f"schedule={name}"), small) for name in SCHEDULES]
    assert Followed.recordings == len(SCHEDULES) * 3  # two steps, of which one is traced, and an evaluation
    assert losses(plain[0], 0)[:2].tolist() == losses(plain[1], 0)[:2].tolist()
    assert losses(plain[0], 0)[4:].tolist() != losses(plain[1], 0)[4:].tolist()


def told(events: Sequence[Event]) -> list[str]:
    """What was measured, with the gradients; written out, since a NaN is not equal to itself."""
    ends = [e for e in events if isinstance(e, EpochEnd)]
    metrics = [repr((replace(e.metrics, seconds=0.0), e.step_losses.tolist())) for e in ends]
    return [*metrics, *(repr((e.run, e.gradients, e.confusion.tolist())) for e in events if isinstance(e, RunEnd))]
