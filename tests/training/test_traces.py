from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch.nn import functional

from tests.conftest import Configure
from triplicate.config import RunConfig, Trace
from triplicate.datasets import Dataset
from triplicate.records.gradients import GradientRow
from triplicate.training.engine import fit
from triplicate.training.events import RunEnd
from triplicate.training.traces import GradientTrace

BASE = ("model=mlp", "model.hidden=[7]", "train.batch_size=64", "train.shuffle=false", "train.epochs=2")


def rows_of(configs: Sequence[RunConfig], dataset: Dataset, run: int) -> list[GradientRow]:
    ends = [e for e in fit(configs, dataset, torch.device("cpu")) if isinstance(e, RunEnd)]
    return list(next(e for e in ends if e.run == run).gradients)


def test_the_first_step_is_the_gradient_of_the_plain_model(configure: Configure, small: Dataset) -> None:
    configs = [configure(*BASE, "trace.first=1", f"seed={seed}", "train.dtype=float64") for seed in (0, 6)]
    rows = {(r.layer, r.parameter): r for r in rows_of(configs, small, 1)}
    torch.manual_seed(6)
    model = configs[1].model.build(small.image_shape, 4, configs[1].activation).double()
    functional.cross_entropy(model(small.train.pixels[:64].double() / 255), small.train.labels[:64]).backward()
    gradients = {name: p.grad.flatten() for name, p in model.named_parameters() if p.grad is not None}
    gradients |= {
        "linear1.all": torch.cat([gradients["linear1.weight"], gradients["linear1.bias"]]),
        "output.all": torch.cat([gradients["output.weight"], gradients["output.bias"]]),
        "all.all": torch.cat(list(gradients.values())),
    }
    assert {f"{layer}.{parameter}" for layer, parameter in rows} == set(gradients)
    for (layer, parameter), row in rows.items():
        expected = gradients[f"{layer}.{parameter}"]
        assert row.mean == pytest.approx(float(expected.mean()), abs=1e-15)
        assert row.mean_absolute == pytest.approx(float(expected.abs().mean()))
        assert row.l2 == pytest.approx(float(expected.norm()))


@pytest.mark.parametrize(
    ("first", "every", "steps"),
    [(0, 0, []), (3, 0, [1, 2, 3]), (0, 4, [4, 8]), (2, 3, [1, 2, 3, 6]), (99, 0, list(range(1, 9)))],
)
def test_which_steps_are_traced(configure: Configure, small: Dataset, first: int, every: int, steps: list[int]) -> None:
    config = configure(*BASE, f"trace.first={first}", f"trace.every={every}")
    assert sorted({row.step for row in rows_of([config], small, 0)}) == steps


def test_a_trace_ends_where_its_run_has_diverged() -> None:
    trace = GradientTrace(Trace(first=9, every=0, only=None, steps=False), ["a.weight"], [2])
    for step in range(1, 6):
        trace.add(step, trace.measure([torch.full((3, 2), float(step))], 3))
    trace.keep([0, 2])
    assert [row.step for row in trace.rows(1, 3) if row.layer == "a" and row.parameter == "weight"] == [1, 2, 3]
    assert {row.mean for row in trace.rows(1, 2)} == {1.0, 2.0}


def test_a_trace_can_be_of_some_tensors_alone(configure: Configure, small: Dataset) -> None:
    config = configure(*BASE, "trace.only=[output.weight]", "trace.first=3")
    whole = rows_of([configure(*BASE, "trace.first=3")], small, 0)
    chosen = [row for row in whole if (row.layer, row.parameter) == ("output", "weight")]
    assert rows_of([config], small, 0) == chosen


def test_the_trace_of_a_convolution_is_that_of_the_plain_model(configure: Configure, small: Dataset) -> None:
    options = ("model=cnn", "model.filters=[3]", "train.dtype=float64", "train.shuffle=false", "train.epochs=1")
    config = configure(*options, "train.batch_size=64", "trace.first=1", "seed=2")
    rows = {(r.layer, r.parameter): r for r in rows_of([config], small, 0)}
    torch.manual_seed(2)
    convolution, output = torch.nn.Conv2d(1, 3, 3, padding=1).double(), torch.nn.Linear(3 * 3 * 2, 4).double()
    pixels = small.train.pixels[:64].double() / 255
    scores = output(torch.nn.functional.max_pool2d(convolution(pixels).relu(), 2).flatten(1))
    gradient = torch.autograd.grad(functional.cross_entropy(scores, small.train.labels[:64]), convolution.weight)[0]
    assert rows["conv1", "weight"].mean == pytest.approx(float(gradient.mean()), abs=1e-15)
    assert rows["conv1", "weight"].l2 == pytest.approx(float(gradient.norm()))
