"""Models: each is an ordinary torch.nn module from examples to logits. Every file here is one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from triplicate.activations import Activation, StackRules
from triplicate.parts import Part

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Model(Part, kind="model"):
    """What a configuration names as `model`.

    Runs whose modules are of layers that can be stacked train together, as long as their keys differ only in those
    with `per_run=True` and their modules have the same layers and shapes.

    Attributes:
        alone: why a run trains by itself, though its layers could be stacked; empty where it does not.
    """

    alone: ClassVar[str] = ""

    @abstractmethod
    def build(self, shape: tuple[int, ...], outputs: int, activation: Activation) -> nn.Module:
        """A new module, with weights as torch's global generator draws them.

        Args:
            shape: of one example: channels, height and width of an image, or the number of a point's features.
            outputs: how many logits each example gets.
            activation: called, it gives a new module of the configured activation.

        Returns:
            A module from examples [B, *shape] to logits [B, outputs].

        Raises:
            UserError: the model does not fit the data.
        """

    def stack_rules(self) -> StackRules:
        """How layers that triplicate has no rule for are stacked: type → a rule, as in `training/stacked_layers.py`."""
        return {}

    def activations(self) -> tuple[str, ...]:
        """Activations that the keys name besides the configured one."""
        return ()

    def uses_activation(self, name: str) -> bool:
        """Whether the configured activation, which has this name, is anywhere in the module."""
        return True

    @property
    def uses_numpy(self) -> bool:
        """Whether NumPy computes the passes, layer by layer, instead of torch."""
        return False

    @property
    def loads_weights(self) -> bool:
        """Whether it begins with weights from a file, which an initialisation would overwrite."""
        return False

    @property
    def content(self) -> str | None:
        """A hash of the file that its keys name, 16 hex digits; None where they name none.

        Raises:
            UserError: the file is missing or cannot be read.
        """
        return None

    @property
    def restorable(self) -> Model:
        """The same model for weights that are at hand: it loads none of its own."""
        return self
