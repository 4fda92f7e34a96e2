"""A workload's training images as torchvision gives them: one PIL image at a time, made a tensor by ToTensor."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image
from torchvision import datasets, transforms
from torchvision.datasets import VisionDataset
from workloads import Workload


class Pictures(VisionDataset):
    """What torchvision.datasets.CIFAR10 is to its user, over images that lie in folders of PNG files.

    Like it, it holds all pixels as uint8 [N, height, width, channels] and makes a picture of them when asked for one.
    """

    def __init__(self, pixels: torch.Tensor, labels: torch.Tensor, transform: transforms.ToTensor) -> None:
        super().__init__(transform=transform)
        self.pixels = pixels.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = labels.tolist()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def pictures(workload: Workload, data: Path) -> VisionDataset:
    """The training images, each a float32 tensor [channels, height, width] from 0 to 1, and its label."""
    to_tensor = transforms.ToTensor()
    match workload.dataset:
        case "fashion_mnist":
            return datasets.FashionMNIST(data, train=True, transform=to_tensor)
        case "mnist":
            return datasets.MNIST(data, train=True, transform=to_tensor)
        case _:
            images = workload.training_images(data)
            return Pictures(images.pixels, images.labels, to_tensor)
