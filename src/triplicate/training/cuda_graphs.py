"""A step as CUDA graphs: captured once on a GPU and replayed, one launch where it had hundreds.

Not run on a GPU so far. What a graph replays is the step itself, which the tests run on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from triplicate.training.step import Seen, Step

# What libraries allocate and choose at their first calls must not happen in the graph.
_WARM_UPS = 3


@dataclass(frozen=True)
class _Graph:
    """A graph, the indices that it reads and what it writes, each in memory of its own."""

    graph: torch.cuda.CUDAGraph
    chosen: Tensor
    seen: Seen


class GraphedStep:
    """A step as graphs: one for each size of batch, traced or not, at the rates of the moment."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._rates: list[float] = []
        self._graphs: dict[tuple[int, bool], _Graph] = {}

    def __call__(self, chosen: Tensor, traced: bool) -> Seen:
        """What the step does. The tensors are overwritten by the next call, but for the gradients."""
        if self._step.optimizer.rates != self._rates:
            self._rates = self._step.optimizer.rates
            self._graphs.clear()  # the rates are part of them
        kind = (chosen.shape[1], traced)
        if kind not in self._graphs:
            self._graphs[kind] = self._capture(chosen, traced)
        graph = self._graphs[kind]
        graph.chosen.copy_(chosen)
        graph.graph.replay()
        seen = graph.seen
        return Seen(seen.losses, seen.correct, None if seen.gradients is None else seen.gradients.clone())

    def _capture(self, chosen: Tensor, traced: bool) -> _Graph:
        still = chosen.clone()
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            warm_up(self._step, still, traced)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        for generator in self._step.network.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            seen = self._step(still, traced)
        return _Graph(graph, still, seen)


def warm_up(step: Step, chosen: Tensor, traced: bool) -> None:
    """Take the step a few times and put everything back as it was: tensors in place, and random numbers."""
    tensors, generators = step.tensors(), step.network.generators
    before = [tensor.clone() for tensor in tensors]
    states = [generator.get_state() for generator in generators]
    for _ in range(_WARM_UPS):
        step(chosen, traced)
    with torch.no_grad():
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
