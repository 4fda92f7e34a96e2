from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss
from torch import nn

from triplicate.datasets import Dataset
from triplicate.training.batches import Scaling, everything
from triplicate.training.metrics import cross_entropy, evaluate


class Scores(nn.Module):
    """A stacked network that gives each run its own scores, as a product with its pixels."""

    def __init__(self, runs: int, pixels: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(runs, pixels, classes, dtype=torch.float64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.bmm(images.flatten(2), self.weight)


def test_evaluation_agrees_with_scikit_learn(small: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("triplicate.training.metrics._EVALUATION_BATCH", 40)
    torch.manual_seed(0)
    network = Scores(3, 30, 4)
    evaluation = evaluate(network, everything(small.test, Scaling(torch.float64, None, None), 3), 4)
    labels = small.test.labels.numpy()
    for run in range(3):
        pixels = small.test.pixels.double().flatten(1) / 255
        scores = (pixels @ network.weight[run]).detach()
        predicted = scores.argmax(1).numpy()
        assert np.array_equal(evaluation.confusion[run].numpy(), confusion_matrix(labels, predicted, labels=range(4)))
        assert float(evaluation.accuracy()[run]) == accuracy_score(labels, predicted)
        expected = log_loss(labels, scores.softmax(1).numpy(), labels=range(4))
        assert float(evaluation.loss[run]) == pytest.approx(expected, abs=1e-12)


@given(runs=st.integers(1, 4), batch=st.integers(1, 6), classes=st.integers(2, 5))
@settings(max_examples=30, deadline=None)
def test_cross_entropy_of_a_stack_is_that_of_each_run(runs: int, batch: int, classes: int) -> None:
    scores = torch.randn(runs, batch, classes, dtype=torch.float64)
    labels = torch.randint(0, classes, (runs, batch))
    expected = [nn.functional.cross_entropy(scores[r], labels[r]) for r in range(runs)]
    torch.testing.assert_close(cross_entropy(scores, labels), torch.stack(expected))
