from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import Configure
from triplicate.datasets import Dataset
from triplicate.sweeps.cost import Cost, Forward, of_a_pass, of_products


@pytest.mark.parametrize("model", ["mlp_base", "cnn", "separable_residual_small", "inception_small"])
@pytest.mark.filterwarnings("ignore")  # torch's counter imports modules of torch that warn
def test_multiply_adds_are_those_that_torch_counts(configure: Configure, model: str) -> None:
    shape = (1, 28, 28)
    config = configure(f"model={model}")
    built = config.model.build(shape, 10, config.activation).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        built(torch.zeros(1, *shape))
    forward, logits = of_a_pass(built, shape)
    assert 2 * forward.multiply_adds == counter.get_total_flops()
    assert forward.activations > 0
    assert logits.shape == (1, 10)
    if model == "mlp_base":
        assert of_products(built).multiply_adds == forward.multiply_adds


def test_a_stack_of_more_runs_costs_more_but_shares_its_steps(configure: Configure, small: Dataset) -> None:
    config = configure("model=mlp", "train.epochs=3", "train.batch_size=100")
    model = nn.Linear(30, 4, device="meta")
    cost = Cost.of(config, small, model, of_products(model))
    assert cost.steps == 3 * 3
    assert cost.of_stack(1) < cost.of_stack(2) < 2 * cost.of_stack(1)
    longer = configure("model=mlp", "train.epochs=6", "train.batch_size=100")
    twice = Cost.of(longer, small, model, Forward(120, 12))
    assert twice.of_stack(5) == pytest.approx(2 * cost.of_stack(5))
    assert twice.bytes == cost.bytes > 4 * 124
