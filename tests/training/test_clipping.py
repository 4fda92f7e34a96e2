"""Gradient clipping against torch.nn.utils.clip_grad_norm_, with every optimizer, alone and in stacks."""

from __future__ import annotations

import math

import pytest
import torch

from tests.conftest import Configure
from tests.training.test_engine import BASE, SMALL_CNN, end, losses, train
from tests.training.tutorial import tutorial
from triplicate.datasets import Dataset
from triplicate.training.clipping import Clipping
from triplicate.training.engine import fit

LIMITS = ("0.05", "null", "0.5", "1000")


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
def test_each_run_is_clipped_by_its_own_norm(configure: Configure, small: Dataset, optimizer: str) -> None:
    """32 steps, float64, 1e-10: in a stack whose runs have other limits or none, alone, and in a tutorial's loop."""
    shared = (*BASE, f"optimizer={optimizer}", "optimizer.lr=0.01", "optimizer.weight_decay=0.01", "train.epochs=2")
    configs = [configure(*shared, f"optimizer.clip_norm={limit}", f"seed={n // 2}") for n, limit in enumerate(LIMITS)]
    stacked = train(configs, small)
    for run, config in enumerate(configs):
        plain = tutorial(config, small)
        assert (losses(stacked, run) - plain).abs().max() < 1e-10
        assert (losses(train([config], small), 0) - plain).abs().max() < 1e-10


def test_plain_descent_is_clipped_too(configure: Configure, small: Dataset) -> None:
    """Where a product would else add the gradient to the weights at once."""
    config = configure(*BASE, "optimizer.lr=0.5", "optimizer.clip_norm=0.05", "train.epochs=2")
    free = configure(*BASE, "optimizer.lr=0.5", "train.epochs=2")
    found = losses(train([config], small), 0)
    assert (found - tutorial(config, small)).abs().max() < 1e-10
    assert (found - losses(train([free], small), 0)).abs().max() > 0.01


def test_a_network_that_stands_alone_is_clipped(configure: Configure, small: Dataset) -> None:
    """Convolutions, whose weights lie channels last."""
    options = [option for option in SMALL_CNN if "dropout" not in option]
    config = configure(*options, "model.conv_dropout=0", "model.dropout=0", "optimizer.clip_norm=0.1", "train.epochs=1")
    alone = list(fit([config], small, torch.device("cpu"), stacked=False))
    plain = tutorial(config, small)
    assert (losses(alone, 0) - plain).abs().max() < 1e-10
    assert (losses(train([config], small), 0) - plain).abs().max() < 1e-10


def test_a_trace_shows_gradients_as_they_were(configure: Configure, small: Dataset) -> None:
    options = (*[option for option in BASE if "trace" not in option], "trace.first=1", "train.epochs=1")
    free, clipped = (
        end(train([configure(*options, f"optimizer.clip_norm={limit}")], small), 0).gradients
        for limit in ("null", "0.001")
    )
    assert clipped == free
    assert free[0].l2 > 0.001


def test_a_run_that_is_not_clipped_may_have_any_norm() -> None:
    """Its own sum of squares is more than float32 holds, and its numbers stay what they are."""
    gradients = torch.tensor([[1e30, 2e30], [3.0, 4.0]])
    Clipping(torch.tensor([math.inf, 1.0]))([gradients])
    assert gradients[0].tolist() == torch.tensor([1e30, 2e30]).tolist()
    torch.testing.assert_close(gradients[1], torch.tensor([0.6, 0.8]), rtol=1e-6, atol=0)
