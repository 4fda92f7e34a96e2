"""The network and the optimizer of a workload in plain PyTorch, for the sides that use it."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from workloads import Workload


def network(workload: Workload) -> nn.Sequential:
    """From images [B, channels, height, width] to scores [B, classes]."""
    layers: list[nn.Module] = []
    for channels, filters in pairwise((workload.image_shape[0], *workload.filters)):
        layers += [nn.Conv2d(channels, filters, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)]
    layers.append(nn.Flatten())
    for inputs, outputs in pairwise(workload.widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])  # no ReLU behind the scores


def optimizer_class(workload: Workload) -> type[torch.optim.Optimizer]:
    return {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[workload.optimizer]
