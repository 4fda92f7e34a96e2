"""A stack that goes on from what was saved is the stack that never stopped, to the last bit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tests.conftest import Configure
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.files import tensors
from triplicate.training.engine import fit
from triplicate.training.events import EpochEnd, Event, RunEnd, StepsDone
from triplicate.training.state import StackState

CPU = torch.device("cpu")
BASE = ("model=mlp", "model.hidden=[12,9]", "train.batch_size=48", "train.epochs=3", "trace.every=5", "device=cpu")
CONV = ("model=cnn", "model.filters=[3,4]", "model.kernel=3", "model.hidden=[5]", "model.norm=before")

# Every optimizer, batch normalisation, dropout, early stopping with the best weights, schedules, NumPy, float64,
# augmentation, clipped gradients, smoothed labels.
SETTINGS = {
    "sgd": (),
    "momentum": ("optimizer.momentum=0.9", "schedule=cosine"),
    "adam": ("optimizer=adam", "model.norm=after", "model.dropout=0.3"),
    "adamw": ("optimizer=adamw", "train.shuffle=false"),
    "rmsprop": ("optimizer=rmsprop", "train.dtype=float64"),
    "best": ("dataset.validation=0.25", "stopping=patience", "stopping.keep=best", "stopping.patience=1"),
    "steps": ("trace.steps=true", "train.evaluate_training=true"),
    "numpy": ("model.backend=numpy", "model.dropout=0.3", "model.norm=before"),
    "cnn": (*CONV, "model.conv_dropout=0.2", "optimizer=adam"),
    "augmented": ("augmentation=crop_flip", "optimizer.clip_norm=0.5", "schedule.warmup=2", "loss.label_smoothing=0.1"),
    "rotated": ("augmentation=rotation", "train.shuffle=false", "model.backend=numpy"),
}


def saved(state: StackState, folder: Path) -> StackState:
    """Through a file and back."""
    tensors.write_checked(folder / "state.safetensors", state.content())
    content = tensors.read_checked(folder / "state.safetensors")
    assert content is not None
    return StackState.of(content)


def ends(events: Sequence[Event]) -> dict[int, RunEnd]:
    return {event.run: event for event in events if isinstance(event, RunEnd)}


def assert_same(one: RunEnd, other: RunEnd) -> None:
    assert (one.status, one.stopped, one.tested_epoch) == (other.status, other.stopped, other.tested_epoch)
    assert one.gradients == other.gradients
    assert one.confusion.equal(other.confusion)
    for name, weights in one.weights.items():
        assert weights.equal(other.weights[name]), name


def metrics(events: Sequence[Event]) -> list[object]:
    """What an epoch measured, without its seconds."""
    return [
        (e.run, str({**e.metrics.columns(), "seconds": 0}), e.step_losses.tolist(), e.step_accuracies.tolist())
        for e in events
        if isinstance(e, EpochEnd)
    ]


@pytest.mark.parametrize("name", SETTINGS)
def test_it_goes_on_from_any_step(
    configure: Configure, small: Dataset, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("triplicate.training.engine._STEPS_BETWEEN_PROGRESS", 1)
    stacked = name not in ("numpy", "cnn", "rotated")
    configs: list[RunConfig] = [configure(*BASE, *SETTINGS[name], f"seed={seed}") for seed in (0, 1)[: 1 + stacked]]
    whole = list(fit(configs, small, CPU, stacked))
    states = [number for number, event in enumerate(whole) if isinstance(event, StepsDone)]
    for wanted in states[:: 5 if stacked else 7]:
        before: list[Event] = []
        for event in fit(configs, small, CPU, stacked):
            if isinstance(event, StepsDone) and len(before) == wanted:
                state = saved(event.state(), tmp_path)
                break
            before.append(event)
        after = list(fit(configs, small, CPU, stacked, state))
        assert metrics([*before, *after]) == metrics(whole)
        for run, end in (ends(before) | ends(after)).items():
            assert_same(end, ends(whole)[run])


def test_a_longer_run_goes_on_from_the_end_of_a_shorter_one(
    configure: Configure, small: Dataset, tmp_path: Path
) -> None:
    longer, shorter = (
        [configure(*BASE, "optimizer=adam", "model.dropout=0.2", f"seed={seed}", f"train.epochs={epochs}")]
        for seed, epochs in ((4, 5), (4, 2))
    )
    end = ends(list(fit(shorter, small, CPU)))[0]
    assert end.state is not None
    assert_same(
        ends(list(fit(longer, small, CPU, True, saved(end.state, tmp_path))))[0], ends(list(fit(longer, small, CPU)))[0]
    )


def test_a_run_that_has_not_had_all_its_epochs_leaves_no_state(configure: Configure, small: Dataset) -> None:
    lost = configure(*BASE, "optimizer.lr=1e30", "seed=0")
    assert ends(list(fit([lost], small, CPU)))[0].state is None


def test_a_loss_that_is_not_finite_in_evaluation_alone_is_divergence(configure: Configure, small: Dataset) -> None:
    """One step: the loss of training is that of the first weights, and finite."""
    one_step = configure(*BASE, "optimizer.lr=1e38", "train.batch_size=256", "train.epochs=1")
    end = ends(list(fit([one_step], small, CPU)))[0]
    assert (str(end.status), end.diverged_step) == ("diverged", 1)
