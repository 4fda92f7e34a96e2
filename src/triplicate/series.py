"""Several experiments, one after the other: each is a sweep of its own, and one that fails does not end the others."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.types import Override, QuotedString

from triplicate import presets, verbosity
from triplicate.errors import RunFailed, RunsFailed, UserError
from triplicate.jobs.rows import typed
from triplicate.overrides import names_of


@dataclass(frozen=True)
class Ended:
    """How the sweep of one experiment has ended."""

    experiment: str
    seconds: float
    error: UserError | RunFailed | RunsFailed | None

    @property
    def told(self) -> str | None:
        """What went wrong, if anything did."""
        return None if self.error is None else str(self.error)

    @property
    def exit_code(self) -> int:
        """As if it had been the only one."""
        if self.error is None:
            return 0
        return 2 if isinstance(self.error, UserError) else 1


def each(experiments: Sequence[str], stops: bool, sweep: Callable[[str], object]) -> Iterator[Ended]:
    """Sweep one after the other; what goes wrong in one is told, and Ctrl-C ends them all.

    Args:
        stops: after one that fails the others are left out.
    """
    for number, experiment in enumerate(experiments, start=1):
        verbosity.note(f"{experiment} ({number} of {len(experiments)})")
        ended = _ended(experiment, sweep)
        yield ended
        if stops and ended.error is not None and number < len(experiments):
            verbosity.note(f"note: on_error=stop leaves out {', '.join(experiments[number:])}")
            return


def _ended(experiment: str, sweep: Callable[[str], object]) -> Ended:
    began, failed = time.perf_counter(), None
    try:
        sweep(experiment)
    except (UserError, RunFailed, RunsFailed) as error:
        failed = error
        print(f"error: {error}", file=sys.stderr)
    return Ended(experiment, time.perf_counter() - began, failed)


def stops(overrides: Sequence[Override]) -> bool:
    """Whether on_error=stop is among them."""
    return any(override.key_or_group == "on_error" and override.value() == "stop" for override in overrides)


def named(overrides: Sequence[Override], beside: Path | None) -> list[str]:
    """The experiments that `experiment=a,b` or `experiment=glob(cv2025/*)` names; none where it is no list of them.

    Args:
        beside: a folder with more presets, as --config-dir names it.

    Raises:
        UserError: one is named twice.
    """
    lists = [o for o in overrides if o.key_or_group == "experiment" and o.is_sweep_override()]
    found = [name for override in lists for name in names_of(override, presets.choices("experiment", beside))]
    for place, name in enumerate(found):
        if name in found[:place]:
            raise UserError("experiment", f"{name} is given twice", "give each of them once")
    return found


def sweep_each(
    experiments: Sequence[str], overrides: Sequence[Override], sweep: Callable[[Sequence[str]], object]
) -> int:
    """Sweep each of the experiments with the same overrides, in DIR/<experiment> where output_dir=DIR is among them.

    Args:
        sweep: trains what such words say.

    Returns:
        The exit code, the greatest of theirs.
    """

    def one(experiment: str) -> object:
        return sweep([_word(override, experiment) for override in overrides])

    return max(ended.exit_code for ended in each(experiments, stops(overrides), one))


def _word(override: Override, experiment: str) -> str:
    """What is said to one experiment in the place of what is said to all."""
    key, value = override.key_or_group, override.value()
    if key == "experiment":
        return f"experiment={experiment}"
    if key != "output_dir" or not isinstance(value, str) or not value:
        return str(override.input_line)
    if isinstance(override._value, QuotedString):
        return f"output_dir={typed(f'{value}/{experiment}')}"
    return f"{str(override.input_line).rstrip('/')}/{experiment}"
