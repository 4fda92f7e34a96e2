"""What a layer is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
"""float32 or float64; the format of the inputs is that of all results."""


class Layer(Protocol):
    """One step of a network. It remembers of its last forward pass what its backward pass needs."""

    def forward(self, inputs: Array, training: bool) -> Array:
        """Inputs [B, …] → outputs [B, …]."""

    def parameter_gradients(self, gradient: Array) -> Sequence[Array]:
        """The gradient of the loss with respect to each parameter, given that with respect to the outputs."""

    def input_gradient(self, gradient: Array) -> Array:
        """The gradient of the loss with respect to the inputs, given that with respect to the outputs."""


class WithoutParameters:
    """What layers have in common that learn nothing."""

    def parameter_gradients(self, gradient: Array) -> Sequence[Array]:
        return ()
