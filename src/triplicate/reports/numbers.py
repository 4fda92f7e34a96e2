"""Measures as people read them: their headings, and their numbers."""

from __future__ import annotations

import math

from triplicate.measures import RunMeasure, Shown
from triplicate.measures.shared.names import shown

# What is greater, or so small that nothing of it would be seen, is shown as 1.6e29; counts are written out for longer.
_LARGEST, _LARGEST_COUNT, _SMALLEST = 1e6, 1e12, 5e-5


def heading(name: str) -> str:
    """A measure as a table for people names it."""
    return shown(name).heading()


def is_fraction(name: str) -> bool:
    """Whether people read a measure in percent."""
    return shown(name).part.shown is Shown.PERCENT


def is_exact(name: str) -> bool:
    """Whether a measure is the same for all seeds."""
    part = shown(name).part
    return isinstance(part, RunMeasure) and part.is_exact


def number(measure: str, value: float, sign: str = "") -> str:
    """A number as people read it: fractions in percent; empty where there is none."""
    if math.isnan(value):
        return ""
    people_read = _as_read(measure, value)
    return _in_powers(people_read, sign) if _needs_powers(measure, people_read) else _written_out(measure, value, sign)


def as_published(measure: str, published: float | str) -> str:
    """A published number as people read it, or the text in its place; empty where nothing was published."""
    return published if isinstance(published, str) else number(measure, published)


def mean_with_std(measure: str, mean: float, std: float) -> str:
    """'87.83 ± 0.43', '1.6e29 ± 2.1e28': both in the same form; the mean alone where there is no deviation."""
    values = _as_read(measure, mean), _as_read(measure, std)
    greatest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if _needs_powers(measure, greatest):
        return " ± ".join(filter(None, map(_in_powers, values)))
    return " ± ".join(filter(None, (_written_out(measure, mean), _written_out(measure, std))))


def _as_read(measure: str, value: float) -> float:
    return 100 * value if is_fraction(measure) else value


def _needs_powers(measure: str, value: float) -> bool:
    """Whether a number would be too long, or nothing of it be seen. Small differences of percent are none."""
    form = shown(measure).part.shown
    if form is Shown.NUMBER and 0 < abs(value) < _SMALLEST:
        return True
    return (_LARGEST_COUNT if form is Shown.WHOLE else _LARGEST) <= abs(value) < math.inf


def _written_out(measure: str, value: float, sign: str = "") -> str:
    """As its measure is shown; empty where there is none. Nothing is minus zero."""
    return "" if math.isnan(value) else f"{_as_read(measure, value):{sign}z{shown(measure).part.shown.value}}"


def _in_powers(value: float, sign: str = "") -> str:
    """'1.6e29', '-3e-7', '0': three digits at most; empty where there is none."""
    if math.isnan(value):
        return ""
    digits, _, power = f"{value:{sign}.2e}".partition("e")
    shortest = digits.rstrip("0").rstrip(".")
    return shortest if not power or not int(power) else f"{shortest}e{int(power)}"
