"""A step recorded on a GPU and played again (CUDA graphs): one launch, where it had hundreds.

Not run on a GPU so far. What a recording does is the step itself, which runs unrecorded on a CPU under test.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from triplicate.training.step import Seen, Step

# What libraries allocate and choose at their first calls must not happen in the recording.
_REHEARSALS = 3


@dataclass(frozen=True)
class _Recording:
    """A graph, the indices that it reads and what it writes, each in memory of its own."""

    graph: torch.cuda.CUDAGraph
    chosen: Tensor
    seen: Seen


class Recorded:
    """A step as recordings: one for each size of batch, traced or not, at the rates of the moment."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._rates_factor = 1.0
        self._recordings: dict[tuple[int, bool], _Recording] = {}

    def __call__(self, chosen: Tensor, traced: bool) -> Seen:
        """What the step does. The tensors are overwritten by the next call, but for the gradients."""
        if self._step.optimizer.factor != self._rates_factor:
            self._rates_factor = self._step.optimizer.factor
            self._recordings.clear()  # the rates are part of them
        kind = (chosen.shape[1], traced)
        if kind not in self._recordings:
            self._recordings[kind] = self._record(chosen, traced)
        recording = self._recordings[kind]
        recording.chosen.copy_(chosen)
        recording.graph.replay()
        seen = recording.seen
        return Seen(seen.losses, seen.hits, None if seen.gradients is None else seen.gradients.clone())

    def _record(self, chosen: Tensor, traced: bool) -> _Recording:
        still = chosen.clone()
        beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            rehearse(self._step, still, traced)
        torch.cuda.current_stream().wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        for generator in self._step.network.generators:
            graph.register_generator_state(generator)
        with torch.cuda.graph(graph):
            seen = self._step(still, traced)
        return _Recording(graph, still, seen)


def rehearse(step: Step, chosen: Tensor, traced: bool) -> None:
    """Take the step a few times and put everything back as it was: tensors in place, and random numbers."""
    tensors, generators = step.tensors(), step.network.generators
    before = [tensor.clone() for tensor in tensors]
    states = [generator.get_state() for generator in generators]
    for _ in range(_REHEARSALS):
        step(chosen, traced)
    with torch.no_grad():
        for tensor, value in zip(tensors, before, strict=True):
            tensor.copy_(value)
    for generator, state in zip(generators, states, strict=True):
        generator.set_state(state)
