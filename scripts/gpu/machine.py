"""Where the checks run."""

from __future__ import annotations

import platform

import torch
from outcome import Figures, Setting, expect


def machine(setting: Setting) -> Figures:
    """Names and versions; fails where there is no GPU and one is wanted."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    if setting.is_rehearsal:
        return Figures(f"CPU, {versions}")
    expect(torch.cuda.is_available(), f"torch {torch.__version__} sees no GPU; --device cpu rehearses without one")
    own = torch.cuda.get_device_properties(0)
    return Figures(f"{own.name}, {own.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}, {versions}")
