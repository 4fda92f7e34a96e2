"""A data set at a glance: its shapes, its classes, and a picture of three of its images."""

from __future__ import annotations

import torch

from triplicate.config import RunConfig
from triplicate.datasets import Images


def show(config: RunConfig) -> str:
    """Write samples.png into the output folder.

    Returns:
        Shapes and classes as text for a terminal.

    Raises:
        UserError: the data set is not there or not as it must be.
    """
    from triplicate.reports.figures.samples import samples  # only here: matplotlib takes a second
    from triplicate.reports.plots import canvas, style

    dataset = config.dataset.load(config.data_dir)
    shown = dataset.train.samples()
    config.output_dir.mkdir(parents=True, exist_ok=True)
    with style.applied():
        figure = samples(shown.pixels, shown.labels, dataset.classes)
        path = canvas.save(figure, config.output_dir / "samples.png")
    counts = torch.bincount(dataset.train.labels, minlength=len(dataset.classes)).tolist()
    classes = "\n".join(f"  {name}: {count:,}" for name, count in zip(dataset.classes, counts, strict=True))
    return (
        f"{config.dataset.name}\n"
        f"training {_described(dataset.train)}\n"
        f"test {_described(dataset.test)}\n"
        f"{len(dataset.classes)} classes, with this many training examples each\n{classes}\n\n  {path}"
    )


def _described(images: Images) -> str:
    kind = "points" if images.pixels.ndim == 2 else "images"
    form = str(images.pixels.dtype).removeprefix("torch.")
    return f"{kind} {list(images.pixels.shape)} ({form}), labels {list(images.labels.shape)}"
