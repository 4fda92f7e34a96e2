"""PyTorch Lightning: a LightningModule and a Trainer, over the tutorial loop's DataLoader."""

from __future__ import annotations

import time
from pathlib import Path

import lightning
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader
from workloads import BATCH_SIZE, Workload

from sides.measurement import WARM_UP_STEPS, Measurement
from sides.networks import network, optimizer_class
from sides.pictures import pictures


class Classifier(lightning.LightningModule):
    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.workload = workload
        self.model = network(workload)

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        images, labels = batch
        return functional.cross_entropy(self.model(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return optimizer_class(self.workload)(self.parameters(), lr=self.workload.middle_rate)


class Clock(lightning.Callback):
    """When the warm-up ended, and when training."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: object) -> None:
        self.ended = time.perf_counter()
        if trainer.global_step == WARM_UP_STEPS:
            self.began = self.ended


def measure(workload: Workload, data: Path, steps: int) -> Measurement:
    """One run alone, of the middle rate; training steps, without validation, logs and checkpoints."""
    loader = DataLoader(pictures(workload, data), batch_size=BATCH_SIZE, shuffle=True)
    clock = Clock()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=-1,
        max_steps=WARM_UP_STEPS + steps,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[clock],
    )
    trainer.fit(Classifier(workload), loader)
    return Measurement.of(clock.ended - clock.began, steps)
