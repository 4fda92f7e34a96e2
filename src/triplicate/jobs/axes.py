"""What may be swept over: an axis is a key with its values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException

from triplicate.errors import UserError
from triplicate.jobs.words import value
from triplicate.parts import kinds

# All runs of a sweep share them. But for the experiment they have no effect on a result.
SHARED = (
    *("experiment", "task", "name", "data_dir", "output_dir"),
    *("resume", "rerun", "on_error", "objective", "executor", "report", "tracker"),
)
_MOST = 100_000


def is_shared(key: str) -> bool:
    """Whether a key is the same for all runs of a sweep."""
    top = key.lstrip("+~").partition(".")[0]
    return top in SHARED or top.partition("/")[0] == "hydra"


def check_axis(override: Override, names: Sequence[str]) -> None:
    """Refuse an axis that cannot be swept over; an override with one value is none.

    Args:
        names: the choices of the group that the key is; none: it is no group.

    Raises:
        UserError: the key is the same for all runs, or its values are none, too many, or cannot be counted.
    """
    if not override.is_sweep_override():
        return
    key = override.key_or_group
    if is_shared(key):
        together = key in kinds() and kinds()[key].several
        remedy = f"write {key}=[{value(override)}] for all of them together" if together else "give it one value"
        raise UserError(key, "all runs of a sweep share it", remedy)
    if override.is_interval_sweep():
        return  # what is made of it is the sweeper's
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        _check_glob(override, names)
    elif _count(override) == 0:
        raise UserError(key, f"{value(override)} holds no value", "give at least one")


def check_countable(override: Override) -> None:
    """Refuse what a sweep cannot try one by one.

    Raises:
        UserError: it is an interval.
    """
    if override.is_interval_sweep():
        problem = "an interval has no values that could be tried one by one"
        remedy = "write them, such as 0.1,0.2, or give range(…), or let hydra/sweeper=optuna search"
        raise UserError(override.key_or_group, problem, remedy)


def check_count(overrides: Sequence[Override], rows: int) -> None:
    """Refuse a sweep of more runs than anybody wants.

    Raises:
        UserError: there are too many.
    """
    runs = max(1, rows) * math.prod(_count(o) for o in overrides if o.is_discrete_sweep())
    if runs > _MOST:
        problem = f"a sweep has at most {_MOST:,} runs, and these are more"
        raise UserError(max(overrides, key=_count_of_any).key_or_group, problem, "give fewer values")


def _count_of_any(override: Override) -> int:
    return _count(override) if override.is_discrete_sweep() else 1


def _count(override: Override) -> int:
    """How many values an axis has, counted no further than a sweep could go."""
    key = override.key_or_group
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        return 1  # as many as a group has names
    try:
        return sum(1 for _ in islice(override.sweep_iterator(), _MOST + 1))
    except (HydraException, ArithmeticError, ValueError) as error:
        problem = f"{value(override)} cannot be counted"
        raise UserError(key, problem, "give a range as range(start,stop,step), with a step that is not 0") from error


def _check_glob(override: Override, names: Sequence[str]) -> None:
    key, glob = override.key_or_group, override.value()
    if not names:
        raise UserError(key, "glob(…) finds names, and this key has none", "write the values themselves")
    if not glob.filter(list(names)):  # type: ignore[union-attr]
        raise UserError(key, f"{value(override)} finds no name", f"choose from {', '.join(sorted(names))}")
