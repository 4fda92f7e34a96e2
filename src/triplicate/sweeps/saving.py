"""When a stack in training is saved, and where one goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from triplicate.files import tensors
from triplicate.records.checkpoints import Checkpoints
from triplicate.sweeps.interruption import Interruption
from triplicate.training.events import Event, StepsDone

if TYPE_CHECKING:
    from triplicate.training.state import StackState

# Saving takes no more than one part in so many of the time; within an epoch it is done after so many seconds.
_PART = 20
_WITHIN_EPOCH = 60.0


class Saver:
    """Saves a stack at the end of an epoch, and every minute within one, and where the command was asked to end."""

    def __init__(self, checkpoints: Checkpoints, places: Sequence[int], interruption: Interruption) -> None:
        """Args: `places` of the runs of the stack in it as it was cut, by which its checkpoints name them."""
        self._checkpoints = checkpoints
        self._interruption = interruption
        self._places = dict(enumerate(places))
        self._saved = time.monotonic()
        self._took = 0.0

    def take(self, event: Event) -> None:
        """
        Raises:
            OSError: a checkpoint cannot be written.
            Interrupted: the command was asked to end, and the stack is saved.
        """
        if not isinstance(event, StepsDone):
            return
        if self._interruption.number is not None:
            self.save(event.state())
            self._interruption.check()
        self.offer(event)

    def offer(self, event: StepsDone) -> None:
        """Save the stack, if it is time."""
        waited = time.monotonic() - self._saved
        if waited >= max(_PART * self._took, _WITHIN_EPOCH if event.run_steps else 0):
            self.save(event.state())

    def save(self, state: StackState) -> None:
        """Save the stack.

        Raises:
            OSError: it cannot be written.
        """
        began = time.monotonic()
        try:
            self._checkpoints.write(state.moved(self._places).content())
        except TypeError:
            return  # a user's network has numbers that no checkpoint holds: it starts again
        finally:
            self._saved = time.monotonic()
            self._took = self._saved - began


@dataclass(frozen=True)
class Start:
    """Where a stack goes on.

    Attributes:
        epoch: that it goes on in.
        larger: where it is a part of a stack that was begun, the checkpoints of that.
        places: of its runs in that.
        shorter: where its runs go on from shorter ones that have ended, the checkpoint of each.
    """

    epoch: int
    larger: Checkpoints | None = None
    places: tuple[int, ...] = ()
    shorter: tuple[Path, ...] = ()

    def read(self) -> StackState | None:
        """The state; None where it can no longer be read, and the stack starts from the beginning."""
        if self.larger is not None:
            state = read_state(self.larger)
            return None if state is None else state.moved({old: new for new, old in enumerate(self.places)})
        states = [_of_file(path) for path in self.shorter]
        return _together([state for state in states if state is not None]) if states and None not in states else None


def read_state(checkpoints: Checkpoints) -> StackState | None:
    """The newest state of a stack that is whole and of this version."""
    content = checkpoints.read()
    return None if content is None else _state(content)


def _of_file(path: Path) -> StackState | None:
    content = tensors.read_checked(path)
    return None if content is None else _state(content)


def _state(content: tensors.Content) -> StackState | None:
    from triplicate.training.state import StackState  # only here: it needs torch

    try:
        return StackState.of(content)
    except (KeyError, TypeError, ValueError):
        return None


def _together(states: Sequence[StackState]) -> StackState:
    """Stacks of one at the same step as one stack."""
    return replace(states[0], runs={place: state.runs[0] for place, state in enumerate(states)})
