"""What a loss is."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from triplicate.numpy_backend.layer import Array

Labels: TypeAlias = NDArray[np.int64]


class NumpyLoss(Protocol):
    """A loss; it remembers of its last forward pass what its backward pass needs."""

    def forward(self, logits: Array, labels: Labels) -> Array:
        """Logits [B, outputs] and labels [B] → losses [B]."""

    def backward(self, gradient: Array) -> Array:
        """∂L/∂losses [B] → ∂L/∂logits [B, outputs]."""
