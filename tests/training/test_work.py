from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import Configure
from triplicate import models
from triplicate.datasets import Dataset
from triplicate.training.work import Work, _forward


@pytest.mark.parametrize("model", ["mlp_base", "cnn", "separable_residual_small", "inception_small"])
@pytest.mark.filterwarnings("ignore")  # torch's counter imports modules of torch that warn
def test_multiply_adds_are_those_that_torch_counts(configure: Configure, model: str) -> None:
    shape = (1, 28, 28)
    built = models.build(configure(f"model={model}"), shape, 10).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        built(torch.zeros(1, *shape))
    with torch.device("meta"):
        on_meta = models.build(configure(f"model={model}"), shape, 10)
    multiply_adds, activations = _forward(on_meta, shape)
    assert 2 * multiply_adds == counter.get_total_flops()
    assert activations > 0


def test_a_stack_of_more_runs_costs_more_but_shares_its_steps(configure: Configure, small: Dataset) -> None:
    config = configure("model=mlp", "train.epochs=3", "train.batch_size=100")
    work = Work.of(config, small, nn.Linear(30, 4, device="meta"), (30,))
    assert work.steps == 3 * 3
    assert work.cost(1) < work.cost(2) < 2 * work.cost(1)
    twice = Work.of(configure("model=mlp", "train.epochs=6", "train.batch_size=100"), small, nn.Linear(30, 4), (30,))
    assert twice.cost(5) == pytest.approx(2 * work.cost(5))
    assert twice.bytes == work.bytes > 4 * 124
