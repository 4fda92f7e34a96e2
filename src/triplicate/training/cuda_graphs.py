"""Functions as CUDA graphs: recorded once on a GPU and replayed, one launch where they had hundreds.

Not run on a GPU so far. What a graph replays is the function itself, which the tests run on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

import torch
from torch import Tensor

# What libraries allocate and choose at their first calls must not happen in the graph.
_WARM_UPS = 3

T = TypeVar("T")
Changed: TypeAlias = Callable[[], Sequence[Tensor]]


@dataclass(frozen=True)
class Recorded(Generic[T]):
    """A graph, the indices that it reads and what it writes, each in memory of its own."""

    graph: torch.cuda.CUDAGraph
    chosen: Tensor
    written: T


class Recorder:
    """Runs functions of indices of images as graphs: one for each function and size of batch.

    What they read besides stays where it is for as long as the recorder lives. All graphs share one pool of memory.
    """

    def __init__(self, generators: Sequence[torch.Generator]) -> None:
        """Args: `generators`, all that the functions draw from."""
        self._generators = generators
        self._pool: Any = None
        self._graphs: dict[Hashable, Recorded[object]] = {}

    def run(self, name: Hashable, function: Callable[[Tensor], T], changed: Changed, chosen: Tensor) -> T:
        """What the function gives for these indices. Its tensors are overwritten by the next call.

        Args:
            name: of the function.
            changed: gives every tensor that it changes and its next call needs.
        """
        kind = (name, tuple(chosen.shape))
        if kind not in self._graphs:
            self._graphs[kind] = self.record(function, changed(), chosen)
        recorded = self._graphs[kind]
        recorded.chosen.copy_(chosen)
        recorded.graph.replay()
        written: T = recorded.written  # type: ignore[assignment]
        return written

    def record(self, function: Callable[[Tensor], T], changed: Sequence[Tensor], chosen: Tensor) -> Recorded[T]:
        """Record a function without a trace of it: tensors and random numbers are as they were."""
        still = chosen.clone()
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            self.warm_up(function, changed, still)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._pool):
            written = function(still)
        return Recorded(graph, still, written)

    def warm_up(self, function: Callable[[Tensor], T], changed: Sequence[Tensor], chosen: Tensor) -> None:
        """Call the function a few times and put everything back: tensors in place, and random numbers."""
        before = [tensor.clone() for tensor in changed]
        states = [generator.get_state() for generator in self._generators]
        for _ in range(_WARM_UPS):
            function(chosen)
        with torch.no_grad():
            for tensor, value in zip(changed, before, strict=True):
                tensor.copy_(value)
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)
