"""A step as graphs on a CPU, where a graph is replayed by hand, and on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.conftest import Configure
from tests.training.test_engine import BASE, SMALL_CNN, losses, train
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.training.cuda_graphs import GraphedStep, _Graph, warm_up
from triplicate.training.engine import RunEnd, fit
from triplicate.training.step import Seen, Step

MODELS = {
    "plain": BASE,
    "norm and dropout": (*BASE, "model.norm=after", "model.dropout=0.2"),
    "cnn": tuple(option for option in SMALL_CNN if "trace" not in option),
}


class ReplayedByHand(GraphedStep):
    """What a GPU does, without one: nothing but what was recorded is read, and only what it wrote is given."""

    def _capture(self, chosen: torch.Tensor, traced: bool) -> _Graph:
        still = chosen.clone()
        warm_up(self._step, still, traced)
        runs, tensors = len(self._step.network.blocks()[0]), len(self._step.network.trainable())
        losses = torch.empty(runs, dtype=torch.float64)
        gradients = torch.empty(runs, tensors, 3, dtype=torch.float64) if traced else None
        written = Seen(losses, torch.empty(runs, dtype=torch.long), gradients)
        graph = SimpleNamespace(replay=lambda: self._replay(still, traced, written))
        return _Graph(graph, still, written)  # type: ignore[arg-type]

    def _replay(self, still: torch.Tensor, traced: bool, written: Seen) -> None:
        fresh = self._step(still, traced)
        written.losses.copy_(fresh.losses)
        written.correct.copy_(fresh.correct)
        if written.gradients is not None and fresh.gradients is not None:
            written.gradients.copy_(fresh.gradients)


def configs(configure: Configure, model: str, optimizer: str, *more: str) -> list[RunConfig]:
    """Batches of 100, 100 and 56 images, some steps traced, and a rate that changes."""
    shared = (*MODELS[model], f"optimizer={optimizer}", "train.batch_size=100", "train.epochs=4", "schedule=cosine")
    traced = ("trace.first=2", "trace.every=5")
    return [configure(*shared, *traced, *more, f"optimizer.lr={lr}", f"seed={s}") for lr, s in ((0.01, 0), (0.003, 1))]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("model", MODELS)
def test_a_step_that_is_replayed_is_the_step(
    configure: Configure, small: Dataset, monkeypatch: pytest.MonkeyPatch, model: str, optimizer: str
) -> None:
    rows = configs(configure, model, optimizer)
    plain = train(rows, small)

    def played(*parts: Any) -> ReplayedByHand:
        return ReplayedByHand(Step(*parts))

    monkeypatch.setattr("triplicate.training.engine.Step", played)
    recorded = train(rows, small)
    for run in range(len(rows)):
        assert torch.equal(losses(recorded, run), losses(plain, run))
        assert gradients(recorded, run) == gradients(plain, run)
        assert len(gradients(plain, run)) > 0


def gradients(events: Sequence[object], run: int) -> list[object]:
    return [row for e in events if isinstance(e, RunEnd) and e.run == run for row in e.gradients]


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
def test_stacked_convolutions_equal_convolutions_alone(configure: Configure, small: Dataset, optimizer: str) -> None:
    """As on a GPU: 112 steps with batch normalisation and dropout, float64, 1e-10."""
    rows = [
        configure(*SMALL_CNN, f"optimizer={optimizer}", f"optimizer.lr={lr}", f"seed={seed}", "train.epochs=7")
        for lr, seed in ((0.01, 0), (0.003, 1), (0.001, 0))
    ]
    alone = [losses(train([row], small, stacked=False), 0) for row in rows]
    stacked = train(rows, small)
    for run in range(len(rows)):
        assert len(alone[run]) == 112
        assert (losses(stacked, run) - alone[run]).abs().max() < 1e-10


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
@pytest.mark.parametrize("model", MODELS)
def test_on_a_gpu_replayed_is_eager(configure: Configure, small: Dataset, model: str, optimizer: str) -> None:
    """Each with its own masks; a GPU draws others than a CPU, so that they are compared on the GPU."""
    gpu = torch.device("cuda")
    recorded = list(fit(configs(configure, model, optimizer), small, gpu))
    plain = list(fit(configs(configure, model, optimizer, "executor.cuda_graphs=false"), small, gpu))
    for run in range(2):
        assert (losses(recorded, run) - losses(plain, run)).abs().max() < 1e-10
