"""Libraries that are loaded when something of them is first used.

torch takes seconds to load. `--help`, the tab key and the answer to a mistake read the keys of parts and compute
nothing, so the files of parts take `nn`, `torch` and `functional` from here. The process that composes a sweep hands
its runs to workers, and needs no tables: what reads and writes run folders takes `pandas` from here.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pandas
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
    pandas = _Lazy("pandas")

__all__ = ["functional", "importing", "nn", "pandas", "torch"]


@contextmanager
def importing() -> Iterator[None]:
    """Inside, nothing is searched for what is no longer needed: what an import makes stays, and that takes time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
