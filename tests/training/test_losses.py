"""Losses against torch.nn, their gradients, and the perceptron rule against the rule written by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.conftest import Configure
from triplicate.errors import UserError
from triplicate.training.objective import Objective


def loss(configure: Configure, name: str, reduction: str = "mean") -> Objective:
    return Objective.of(configure(f"loss={name}", f"train.reduction={reduction}"))


def check_objective(ours: Objective, logits: torch.Tensor, labels: torch.Tensor, expected: torch.Tensor) -> None:
    """Value and gradient of the batches of all runs together, and what is found without a graph."""
    weight = ours.weight(logits.shape[1])
    objective = (ours.per_example(logits, labels) * weight).sum()
    torch.testing.assert_close(objective, expected)
    by_torch, by_ours = (torch.autograd.grad(value, logits)[0] for value in (expected, objective))
    torch.testing.assert_close(by_ours, by_torch)
    for weights in (weight, torch.full((len(logits), 1), weight, dtype=logits.dtype)):
        losses, gradient = ours.differentiated(logits.detach(), labels, weights)
        assert torch.equal(losses, ours.per_example(logits, labels))
        torch.testing.assert_close(gradient, by_torch)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_cross_entropy_is_torchs(configure: Configure, reduction: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 7, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 4, (3, 7))
    ours = loss(configure, "cross_entropy", reduction)
    expected = sum(nn.CrossEntropyLoss(reduction=reduction)(logits[run], labels[run]) for run in range(3))
    check_objective(ours, logits, labels, expected)
    assert torch.equal(ours.predictions(logits), logits.argmax(-1))


@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_smoothed_labels_are_torchs(configure: Configure, reduction: str, backend: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(1, 7, 4, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 4, (1, 7))
    options = ("model=mlp", f"model.backend={backend}", f"train.reduction={reduction}", "loss.label_smoothing=0.3")
    expected = nn.CrossEntropyLoss(reduction=reduction, label_smoothing=0.3)(logits[0], labels[0])
    check_objective(Objective.of(configure(*options)), logits, labels, expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_binary_cross_entropy_is_torchs_on_a_sigmoid(configure: Configure, reduction: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 5, 1, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 2, (2, 5))
    ours = loss(configure, "binary_cross_entropy", reduction)
    probabilities = logits[..., 0].sigmoid()
    expected = sum(nn.BCELoss(reduction=reduction)(probabilities[run], labels[run].double()) for run in range(2))
    check_objective(ours, logits, labels, expected)
    assert torch.equal(ours.predictions(logits), (probabilities > 0.5).long())


def test_the_perceptron_loss_has_the_gradient_of_the_rule(configure: Configure) -> None:
    torch.manual_seed(1)
    weights = torch.randn(2, dtype=torch.float64, requires_grad=True)
    ours = loss(configure, "perceptron", "sum")
    for point, label in ((torch.tensor([0.3, -1.0]), 0), (torch.tensor([2.0, 0.5]), 1), (torch.zeros(2), 1)):
        logit = (weights * point.double()).sum()
        objective = ours.per_example(logit.view(1, 1, 1), torch.tensor([[label]])).sum()
        sign = 2 * label - 1
        rule = -sign * point.double() if sign * logit.item() <= 0 else torch.zeros(2).double()
        torch.testing.assert_close(torch.autograd.grad(objective, weights)[0], rule)


def test_two_classes_need_one_logit(configure: Configure) -> None:
    assert loss(configure, "cross_entropy").loss.outputs(2) == 2
    assert loss(configure, "binary_cross_entropy").loss.outputs(2) == 1
    with pytest.raises(UserError, match=r"loss: perceptron is for two classes, and there are 10"):
        loss(configure, "perceptron").loss.outputs(10)
