"""The loop of PyTorch's tutorials on this device, as in scripts/bench: one network, a DataLoader, torch.optim."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from triplicate.datasets import Images

sys.path.append(str(Path(__file__).parents[1] / "bench"))
from sides.networks import network, optimizer_class
from workloads import BATCH_SIZE, WORKLOADS


class Pictures(Dataset[tuple[Tensor, int]]):
    """Grey images as torchvision's MNIST and FashionMNIST give them: one PIL image at a time, made a tensor."""

    def __init__(self, images: Images) -> None:
        self.pixels, self.labels, self.to_tensor = images.pixels[:, 0], images.labels, transforms.ToTensor()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.to_tensor(Image.fromarray(self.pixels[index].numpy())), int(self.labels[index])


def seconds_per_step(images: Images, device: torch.device, steps: int) -> float:
    """Of training the MLP 784-512-512-10 with SGD, after a warm-up."""
    workload = WORKLOADS["fashion_mlp"]
    batches = endless(DataLoader(Pictures(images), batch_size=BATCH_SIZE, shuffle=True))
    model = network(workload).to(device)
    optimizer = optimizer_class(workload)(model.parameters(), lr=workload.middle_rate)

    def train(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            inputs, labels = next(batches)
            loss = nn.functional.cross_entropy(model(inputs.to(device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()  # waits for the device
        return time.perf_counter() - began

    train(max(1, steps // 10))
    return train(steps) / steps


def endless(loader: DataLoader[tuple[Tensor, int]]) -> Iterator[list[Tensor]]:
    """Batches, epoch after epoch, each in another order."""
    while True:
        yield from loader
