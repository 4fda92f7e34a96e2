"""AdamW."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from triplicate.optimizers.adam import Adam
from triplicate.parts import part


@part("adamw")
@dataclass(frozen=True)
class AdamW(Adam):
    """AdamW (arXiv 1711.05101) as torch.optim.AdamW defines it."""

    is_decoupled: ClassVar[bool] = True
