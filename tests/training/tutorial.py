"""A run as a tutorial of torch writes it, with all that training may have besides: one image after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import lr_scheduler
from torchvision.transforms.v2 import functional as vision

from tests.training.test_optimizers import oracle
from triplicate.augmentations.crop_flip import CropFlip
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.losses.cross_entropy import CrossEntropy
from triplicate.training.build import build
from triplicate.training.seeding import generator


def cropped(image: Tensor, padding: int, drawn: Tensor) -> Tensor:
    """RandomCrop and RandomHorizontalFlip of torchvision, where these three numbers were drawn."""
    top, left = (int(number * (2 * padding + 1)) for number in drawn[:2])
    padded = vision.pad(image, [padding])
    crop = vision.crop(padded, top, left, *image.shape[1:])
    return vision.horizontal_flip(crop) if drawn[2] < 0.5 else crop


def scheduler(config: RunConfig, optimizer: torch.optim.Optimizer) -> lr_scheduler.LRScheduler:
    """torch's own schedule, behind its own warm-up."""
    schedule, left = config.schedule, config.train.epochs - config.schedule.warmup
    made: dict[str, lr_scheduler.LRScheduler] = {
        "constant": lr_scheduler.LambdaLR(optimizer, lambda _: 1.0),
        "cosine": lr_scheduler.CosineAnnealingLR(optimizer, T_max=left),
    }
    if schedule.warmup == 0:
        return made[schedule.name]
    first = lr_scheduler.LinearLR(optimizer, start_factor=schedule.warmup_from, total_iters=schedule.warmup)
    return lr_scheduler.SequentialLR(optimizer, [first, made[schedule.name]], milestones=[schedule.warmup])


def tutorial(config: RunConfig, dataset: Dataset) -> Tensor:
    """The loss of every step of a run in float64 without dropout."""
    assert isinstance(config.loss, CrossEntropy)
    torch.manual_seed(config.seed)
    model = build(config, dataset.image_shape, len(dataset.classes)).double()
    criterion = nn.CrossEntropyLoss(label_smoothing=config.loss.label_smoothing)
    optimizer = oracle(model.parameters(), config.optimizer)
    rates = scheduler(config, optimizer)
    order, draws = generator(config.seed, "order"), generator(config.seed, "augmentation")
    pixels, labels = dataset.train.pixels.double() / 255, dataset.train.labels
    seen = []
    for _ in range(config.train.epochs):
        indices = torch.randperm(len(labels), generator=order) if config.train.shuffle else torch.arange(len(labels))
        for batch in indices.split(config.train.batch_size):
            images = pixels[batch]
            if isinstance(config.augmentation, CropFlip):
                numbers = torch.rand(len(batch), 3, generator=draws)
                pairs = zip(images, numbers, strict=True)
                images = torch.stack([cropped(image, config.augmentation.padding, drawn) for image, drawn in pairs])
            loss = criterion(model(images), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            if config.optimizer.clip_norm is not None:
                nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.clip_norm)
            optimizer.step()
            seen.append(loss.detach())
        rates.step()
    return torch.stack(seen)
