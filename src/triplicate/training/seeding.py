"""One seed, many independent streams: each purpose of a run has its own named generator.

So what one run draws depends on nothing that another run, or another purpose, has drawn before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

CPU = torch.device("cpu")


def generator(seed: int, purpose: str, device: torch.device = CPU) -> torch.Generator:
    """The generator of one purpose ('order', 'split', 'dropout', 'augmentation') of the run with this seed."""
    digest = hashlib.sha256(f"{purpose}:{seed}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big", signed=True))


@contextmanager
def global_seed(seed: int) -> Iterator[None]:
    """Inside, torch's global CPU generator stands where `torch.manual_seed(seed)` puts it; outside, as before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
