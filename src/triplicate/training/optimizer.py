"""The optimizers of a stack: each run is updated by its own rule, with its own numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import torch
from torch import Tensor

from triplicate.optimizers import Optimizer, Rule
from triplicate.training.clipping import Clipping
from triplicate.training.network import StackNetwork


@dataclass(frozen=True)
class _Group:
    """Runs of a stack that one rule updates: they have the same settings.

    Attributes:
        runs: their places in the stack.
        tensors: that each run has to be updated.
    """

    part: Optimizer
    runs: tuple[int, ...]
    rule: Rule
    tensors: int

    def state_of(self, run: int) -> list[Tensor]:
        """What the rule remembers of one of its runs."""
        state, size = self.rule.state(), self.tensors
        if len(self.runs) == 1:
            return state
        own = self.runs.index(run) * size
        return [t for start in range(own, len(state), size * len(self.runs)) for t in state[start : start + size]]

    def restore(self, rows: Sequence[Sequence[Tensor]], states: Sequence[Sequence[Tensor]]) -> None:
        """Let the rule remember what `state_of` gave for each of its runs.

        Raises:
            ValueError: it remembers something else.
        """
        saved = states[0] if len(states) == 1 else _woven(states, self.tensors)
        if len(self.rule.state()) < len(saved):
            # It makes its tensors at its first step: one that leads nowhere.
            copies = [tensor.clone() for tensor in _of(rows, self.runs)]
            self.rule.step(copies, [torch.zeros_like(copy) for copy in copies], self.part.lr)
        tensors = self.rule.state()
        if [t.shape for t in tensors] != [s.shape for s in saved]:
            raise ValueError("the optimizer remembers other tensors than when it was saved")
        for tensor, value in zip(tensors, saved, strict=True):
            tensor.copy_(value)


class StackOptimizer:
    """The rules of all runs of a stack, and their learning rates."""

    def __init__(self, parts: Sequence[Optimizer], network: StackNetwork, recorded: bool = False) -> None:
        """
        Args:
            parts: one for each run of the network.
            recorded: rules are given their rates in tensors, which a CUDA graph reads anew at each replay; but not in
                float64, since torch's fused functions read rates in float32.
        """
        self._parts = list(parts)
        rows = network.rows()
        self._in_tensors = recorded and rows[0][0].dtype == torch.float32
        together = _alike(self._parts) if parts[0].is_shared else [(run,) for run in range(len(parts))]
        self._groups = [_group(parts[runs[0]], runs, rows) for runs in together]
        self._numbers = [part.lr for part in parts]
        # One tensor, changed in place: a graph holds its address.
        self._rates = rows[0][0].new_tensor(self._numbers)
        self._clipping = Clipping.of(parts, self._rates)

    @torch.no_grad()
    def step(self, network: StackNetwork) -> None:
        """Update every parameter of the network in place by its gradient, which is clipped first where that is set."""
        if self._clipping is not None:
            self._clipping(network.gradients())
        rows, gradients = network.rows(), network.gradient_rows()
        for group in self._groups:
            first = group.runs[0]
            rate = self._rates[first] if self._in_tensors else self._numbers[first]
            group.rule.step(_of(rows, group.runs), _of(gradients, group.runs), rate)

    def fixed_rates(self) -> tuple[float, ...]:
        """The rates that rules are given as numbers, which a graph could not read anew."""
        return () if self._in_tensors else tuple(self._numbers)

    def plain_rates(self) -> Tensor | None:
        """The rates [R], if every run's update takes its rate times the gradient and nothing else; else None."""
        is_plain = self._clipping is None and all(part.is_plain_descent for part in self._parts)
        return self._rates if is_plain else None

    def scale_rates(self, factor: float) -> None:
        """From now on every rate is the configured one times `factor`."""
        self._numbers = [part.lr * factor for part in self._parts]
        self._rates.copy_(self._rates.new_tensor(self._numbers))

    @torch.no_grad()
    def keep(self, network: StackNetwork, runs: Sequence[int]) -> None:
        """Drop from the stack all runs but these.

        Args:
            network: what is left of the stack.
        """
        rows = network.rows()
        self._groups = list(self._left(rows, runs))
        self._parts = [self._parts[run] for run in runs]
        self._numbers = [self._numbers[run] for run in runs]
        self._rates = self._rates[list(runs)]
        self._clipping = Clipping.of(self._parts, self._rates)

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes and the next one needs."""
        return [tensor for group in self._groups for tensor in group.rule.state()]

    def state_of(self, run: int) -> list[Tensor]:
        """The same of one run."""
        return next(group.state_of(run) for group in self._groups if run in group.runs)

    @torch.no_grad()
    def restore(self, network: StackNetwork, states: Sequence[Sequence[Tensor]]) -> None:
        """Let every rule remember what it did when `state_of` was called.

        Raises:
            ValueError: a rule that remembers something else.
        """
        rows = network.rows()
        for group in self._groups:
            group.restore(rows, [states[run] for run in group.runs])

    def _left(self, rows: Sequence[Sequence[Tensor]], runs: Sequence[int]) -> Iterator[_Group]:
        """The groups over these runs, which are moved together."""
        place = {run: new for new, run in enumerate(runs)}
        for group in self._groups:
            stay = [run for run in group.runs if run in place]
            moved = tuple(place[run] for run in stay)
            if len(stay) == len(group.runs):
                yield replace(group, runs=moved)
            elif stay:
                smaller = _group(group.part, moved, rows)
                smaller.restore(rows, [group.state_of(run) for run in stay])
                yield smaller


def _alike(parts: Sequence[Optimizer]) -> list[tuple[int, ...]]:
    """The places of equal settings."""
    places: dict[Optimizer, list[int]] = {}
    for place, part in enumerate(parts):
        places.setdefault(part, []).append(place)
    return [tuple(alike) for alike in places.values()]


def _group(part: Optimizer, runs: tuple[int, ...], rows: Sequence[Sequence[Tensor]]) -> _Group:
    return _Group(part, runs, part.rule(_of(rows, runs)), len(rows[0]))


def _of(rows: Sequence[Sequence[Tensor]], runs: Sequence[int]) -> list[Tensor]:
    """The tensors of some runs, in one list."""
    return list(chain.from_iterable(rows[run] for run in runs))


def _woven(states: Sequence[Sequence[Tensor]], size: int) -> list[Tensor]:
    """The first `size` tensors of every state, then the next."""
    starts = range(0, len(states[0]), size)
    return [tensor for start in starts for state in states for tensor in state[start : start + size]]
