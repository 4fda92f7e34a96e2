"""Libraries that are loaded when something of them is first used.

torch takes seconds to load. `--help`, the tab key and the answer to a mistake read the keys of parts and compute
nothing, so the files of parts take `nn`, `torch` and `functional` from here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch as torch
    from torch import nn as nn
    from torch.nn import functional as functional
else:

    class _Lazy:
        """A module that is imported at the first look at one of its names."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self._name), name)

    torch, nn, functional = _Lazy("torch"), _Lazy("torch.nn"), _Lazy("torch.nn.functional")

__all__ = ["functional", "nn", "torch"]
