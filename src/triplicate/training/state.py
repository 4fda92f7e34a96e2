"""What a stack needs to go on as if it had never stopped: tensors and plain values, run by run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from triplicate.files.tensors import Content
from triplicate.measures.shared.epochs import EpochMetrics


@dataclass(frozen=True)
class Best:
    """The best epoch of a run so far: state dict of its model, and counts [classes, classes] over the test images."""

    epoch: int
    weights: Mapping[str, Tensor]
    confusion: Tensor


@dataclass(frozen=True)
class RunState:
    """One run.

    Attributes:
        epochs: those that it has finished.
        weights: the state dict of its model.
        optimizer: what its rule remembers.
        masks: the state of the generator of its dropout masks.
        order: that of the generator of its order of images, at the beginning of the epoch; None: the file's order.
        augmentation: that of the generator of its augmentation; None: images are left as they are.
        losses: [steps] of this epoch so far.
        correct: [steps], how many images of each batch it had right.
        trace: [traced steps, tensors, 3].
        step_losses: [steps] of the finished epochs, where they are asked for; else empty.
        step_accuracies: [steps], the same.
    """

    epochs: tuple[EpochMetrics, ...]
    weights: Mapping[str, Tensor]
    optimizer: tuple[Tensor, ...]
    masks: Tensor
    order: Tensor | None
    augmentation: Tensor | None
    losses: Tensor
    correct: Tensor
    trace: Tensor
    step_losses: Tensor
    step_accuracies: Tensor
    best: Best | None


@dataclass(frozen=True)
class StackState:
    """A stack between two steps.

    Attributes:
        epoch: that it is in; the first is 1.
        position: steps of this epoch that are done.
        step: steps that are done in all.
        seconds: that this epoch has taken so far.
        traced: the steps that were traced.
        draws: the state of torch's own generator.
        runs: those that have not left, by their place in the stack as it began.
    """

    epoch: int
    position: int
    step: int
    seconds: float
    traced: tuple[int, ...]
    draws: Tensor
    runs: Mapping[int, RunState]

    def moved(self, places: Mapping[int, int]) -> StackState:
        """The state of these runs alone, each at another place: old → new."""
        return replace(self, runs={new: self.runs[old] for old, new in places.items() if old in self.runs})

    def content(self) -> Content:
        """As a file holds it."""
        values = {
            "epoch": self.epoch,
            "position": self.position,
            "step": self.step,
            "seconds": self.seconds,
            "traced": list(self.traced),
            "runs": {str(place): _values(run) for place, run in self.runs.items()},
        }
        tensors = {"draws": self.draws}
        for place, run in self.runs.items():
            tensors |= {f"{place}/{name}": tensor for name, tensor in _tensors(run).items()}
        return Content(values, tensors)

    @staticmethod
    def of(content: Content) -> StackState:
        """The same from a file.

        Raises:
            KeyError, TypeError: it is of another version.
        """
        values, parts = content.values, _grouped(content.tensors)
        return StackState(
            epoch=values["epoch"],
            position=values["position"],
            step=values["step"],
            seconds=values["seconds"],
            traced=tuple(values["traced"]),
            draws=content.tensors["draws"],
            runs={int(place): _run(run, parts[place]) for place, run in values["runs"].items()},
        )


_PLAIN = ("masks", "losses", "correct", "trace", "step_losses", "step_accuracies")


def _values(run: RunState) -> dict[str, Any]:
    return {
        "epochs": [dataclasses.asdict(metrics) for metrics in run.epochs],
        "optimizer": len(run.optimizer),
        "best": None if run.best is None else run.best.epoch,
    }


def _tensors(run: RunState) -> dict[str, Tensor]:
    found = {name: getattr(run, name) for name in _PLAIN}
    found |= {f"weights/{name}": tensor for name, tensor in run.weights.items()}
    found |= {f"optimizer/{number}": tensor for number, tensor in enumerate(run.optimizer)}
    if run.order is not None:
        found["order"] = run.order
    if run.augmentation is not None:
        found["augmentation"] = run.augmentation
    if run.best is not None:
        found |= {f"best/{name}": tensor for name, tensor in run.best.weights.items()}
        found["confusion"] = run.best.confusion
    return found


def _run(values: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> RunState:
    parts = _grouped(tensors)
    optimizer = parts.get("optimizer", {})
    return RunState(
        epochs=tuple(EpochMetrics(**metrics) for metrics in values["epochs"]),
        weights=parts["weights"],
        optimizer=tuple(optimizer[str(number)] for number in range(values["optimizer"])),
        order=tensors.get("order"),
        augmentation=tensors.get("augmentation"),
        best=None if values["best"] is None else Best(values["best"], parts["best"], tensors["confusion"]),
        **{name: tensors[name] for name in _PLAIN},
    )


def _grouped(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """By the first word of their names: 'weights/output.bias' is 'output.bias' of 'weights'."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        first, _, rest = name.partition("/")
        found.setdefault(first, {})[rest] = tensor
    return found
