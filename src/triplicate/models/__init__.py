"""Models by name: each is an ordinary torch.nn module that takes images and returns class scores."""

from triplicate.models.build import build

__all__ = ["build"]
