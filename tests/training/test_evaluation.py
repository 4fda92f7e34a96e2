from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, log_loss, precision_recall_fscore_support
from torch import nn

from tests.conftest import Configure
from triplicate.datasets import Dataset
from triplicate.measures.shared.classes import by_class
from triplicate.training.batches import Preprocess, everything
from triplicate.training.evaluation import Evaluator
from triplicate.training.objective import Objective


class Logits(nn.Module):
    """A stacked network that gives each run its own logits, as a product with its pixels."""

    evaluation_batch = 40

    def __init__(self, runs: int, pixels: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(runs, pixels, classes, dtype=torch.float64))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.matmul(images.flatten(2), self.weight)


def test_evaluation_agrees_with_scikit_learn(configure: Configure, small: Dataset) -> None:
    torch.manual_seed(0)
    network = Logits(3, 30, 4)
    everyone = everything(small.test, Preprocess(torch.float64, None, None, None), 3)
    evaluation = Evaluator(network, everyone, Objective.of(configure()), 4, {})()
    labels = small.test.labels.numpy()
    for run in range(3):
        pixels = small.test.pixels.double().flatten(1) / 255
        logits = (pixels @ network.weight[run]).detach()
        predicted = logits.argmax(1).numpy()
        assert np.array_equal(evaluation.confusion[run].numpy(), confusion_matrix(labels, predicted, labels=range(4)))
        assert float(evaluation.accuracy()[run]) == accuracy_score(labels, predicted)
        expected = log_loss(labels, logits.softmax(1).numpy(), labels=range(4))
        assert float(evaluation.loss[run]) == pytest.approx(expected, abs=1e-12)


@given(counts=st.lists(st.lists(st.integers(0, 9), min_size=4, max_size=4), min_size=4, max_size=4))
@settings(max_examples=60, deadline=None)
def test_precision_recall_and_f1_are_scikit_learns(counts: list[list[int]]) -> None:
    """Also where a class has no image or is never predicted."""
    confusion = np.array(counts)
    true = np.repeat(np.repeat(np.arange(4), 4), confusion.ravel())
    predicted = np.repeat(np.tile(np.arange(4), 4), confusion.ravel())
    ours = by_class(torch.tensor(counts))
    if not len(true):
        return
    expected = precision_recall_fscore_support(true, predicted, labels=range(4), zero_division=0.0)
    for mine, theirs in zip((ours.precision, ours.recall, ours.f1), expected, strict=False):
        np.testing.assert_allclose(mine.numpy(), theirs, atol=1e-12)


def test_large_images_are_evaluated_fewer_at_a_time(configure: Configure, small: Dataset) -> None:
    seen: list[int] = []

    class Sizes(nn.Module):
        evaluation_batch = 500

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.shape[1])
            return images.flatten(2)[..., :4]

    preprocess = Preprocess.of(configure("dataset.upscale=400").dataset, torch.float32, torch.device("cpu"))
    Evaluator(Sizes(), everything(small.test, preprocess, 1), Objective.of(configure()), 4, {})()
    assert max(seen) * 400 * 400 <= 500 * 3 * 32 * 32
    assert sum(seen) == len(small.test)
