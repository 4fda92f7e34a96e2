"""Whether measured numbers are those that were published, in words.

reproduced: the published number lies where 95 of 100 runs of the measured kind would lie, by Student's t with n - 1
degrees of freedom: |mean - published| ≤ t · s · sqrt(1/k + 1/n), for n seeds here and k runs there. Half a unit of the
last digit that was published counts as equal. Bounds such as '>100' and texts such as 'N/A' are taken as what they say.

close: within 1.5 points where people read percent, else within 3 % of the published number.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum

import numpy as np
from scipy import special  # scipy.stats has the same, and takes seconds to load

from triplicate.measures.shared.names import shown
from triplicate.reports.numbers import is_exact, is_fraction, number

CLOSE_POINTS = 0.015
CLOSE_RELATIVE = 0.03
# Nobody publishes percents in fewer digits than whole ones.
_COARSEST_FRACTION = 0.005
# What remains of equal numbers after rounding.
_ROUNDING = 1e-9

_NOTHING = ("n/a", "nan", "none", "never", "-", "diverged")
# 'about 90.5 %', '>100', '669,706', '-1e-3'
_STATED = re.compile(
    r"(?:about|~|≈)?\s*(?P<bound>>=|<=|[<>≥≤])?\s*(?P<digits>[+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?)\s*(?P<percent>%)?"
)


class Kind(Enum):
    """What became of a published number."""

    REPRODUCED = "reproduced"
    CLOSE = "close"
    DIFFERS = "differs"
    NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Verdict:
    """
    Attributes:
        words: the verdict in full: 'reproduced', 'close (one seed)', 'differs, not explained'.
        reason: the numbers that it rests on.
        difference: the mean less what was published; NaN where no number can be compared with a number.
    """

    kind: Kind
    words: str
    reason: str
    difference: float = math.nan


@dataclass(frozen=True)
class Stated:
    """A published number, as it was written.

    Attributes:
        number: of a fraction the fraction.
        rounding: half a unit of its last digit.
        bound: '>' or '<' where only a bound was published, else empty.
    """

    number: float
    rounding: float
    bound: str = ""


def stated(measure: str, published: float | str) -> Stated | None:
    """What a published entry says; None where it is no number: 'N/A'.

    A text keeps the digits that were published: '0.620', 'about 90 %', '>100'. A number has lost its zeros: of 0.62
    half a unit is 0.005; of a fraction it is half a percent at most.
    """
    text = published.strip().lower() if isinstance(published, str) else repr(float(published)).removesuffix(".0")
    found = _STATED.fullmatch(text)
    if found is None:
        return None
    digits = Decimal(found["digits"].replace(",", ""))
    exponent = digits.as_tuple().exponent
    scale = 100 if found["percent"] and is_fraction(measure) else 1
    rounding = 0.5 * 10.0 ** (exponent if isinstance(exponent, int) else 0) / scale
    if is_fraction(measure):
        rounding = min(rounding, _COARSEST_FRACTION)
    return Stated(float(digits) / scale, rounding, (found["bound"] or "").translate({ord("≥"): ">", ord("≤"): "<"})[:1])


def verdict(
    measure: str,
    values: Sequence[float],
    published: float | str,
    *,
    published_runs: int = 1,
    without: int = 0,
    is_least: bool = False,
    explained: str = "",
    not_comparable: str = "",
) -> Verdict | None:
    """Compare what the seeds gave with what was published.

    Args:
        values: of the runs that have the measure; fractions as fractions.
        published: a number, or a text in its place; NaN: nothing.
        published_runs: that the published number is the mean of.
        without: runs that ended without the measure, or diverged.
        is_least: the true mean is greater, since some runs were still getting better when they ended.
        explained: why it differs, where that was found.
        not_comparable: why there is no verdict whatever was measured; empty: there is one.

    Returns:
        None where nothing was published, or no run has ended.
    """
    if (not isinstance(published, str) and math.isnan(published)) or not (values or without):
        return None
    if not_comparable:
        return _not_comparable(not_comparable)
    if shown(measure).part.of_machine:
        return _not_comparable("it depends on the machine")
    found = stated(measure, published)
    if found is None:
        return _beside_nothing(str(published), len(values), without, explained)
    if not values:
        return _differs("no run here has a number", explained)
    with np.errstate(over="ignore"):
        measured = _Measured(measure, float(np.mean(values)), tuple(values), published_runs, is_least)
    if found.bound:
        return _beside_bound(measured, found, explained)
    if is_least:
        return _beside_least(measured, found, explained)
    return dataclasses.replace(_beside_number(measured, found, explained), difference=measured.mean - found.number)


@dataclass(frozen=True)
class _Measured:
    measure: str
    mean: float
    values: tuple[float, ...]
    published_runs: int
    is_least: bool

    @property
    def half(self) -> float:
        """Of the interval in which what was published would lie; NaN for one seed."""
        n = len(self.values)
        if n < 2:
            return math.nan
        with np.errstate(over="ignore", invalid="ignore"):
            spread = float(np.std(self.values, ddof=1)) * math.sqrt(1 / self.published_runs + 1 / n)
        return float(special.stdtrit(n - 1, 0.975)) * spread

    @property
    def has_spread(self) -> bool:
        return bool(np.ptp(self.values) > _ROUNDING * max(map(abs, self.values)))

    def is_close(self, published: Stated) -> bool:
        margin = CLOSE_POINTS if is_fraction(self.measure) else CLOSE_RELATIVE * abs(published.number)
        return abs(self.mean - published.number) <= margin + _ROUNDING

    def difference(self, published: Stated) -> str:
        """'0.43 points above', '1,024 below'."""
        apart = self.mean - published.number
        unit = " points" if is_fraction(self.measure) else ""
        return f"{number(self.measure, abs(apart))}{unit} {'above' if apart > 0 else 'below'} the published number"


def _beside_number(measured: _Measured, published: Stated, explained: str) -> Verdict:
    apart = abs(measured.mean - published.number)
    is_equal = apart <= published.rounding + _ROUNDING * abs(published.number)
    if is_equal and is_exact(measured.measure):
        return _reproduced("it is the published number")
    if len(measured.values) == 1:
        told = f"{measured.difference(published)}; one seed has no interval"
        return _close(told, " (one seed)") if measured.is_close(published) else _differs(told, explained)
    if not measured.has_spread:
        told = f"every seed gives {number(measured.measure, measured.mean)}"
        if is_equal:
            return _reproduced(f"{told}, as published")
        told = f"{measured.difference(published)}; {told}"
        return _close(told) if measured.is_close(published) else _differs(told, explained)
    low, high = (number(measured.measure, measured.mean + sign * measured.half) for sign in (-1, 1))
    there = "a single run" if measured.published_runs == 1 else f"the mean of {measured.published_runs} runs"
    told = f"by {len(measured.values)} seeds {there} would lie in {low} to {high} (95 %)"
    if apart <= measured.half + published.rounding:
        return _reproduced(told)
    told = f"{measured.difference(published)}; {told}"
    return _close(told) if measured.is_close(published) else _differs(told, explained)


def _beside_least(measured: _Measured, published: Stated, explained: str) -> Verdict:
    """A number beside what is at least so much."""
    told = f"at least {number(measured.measure, measured.mean)} here, since runs were still getting better at their end"
    noise = 0.0 if math.isnan(measured.half) else measured.half
    if measured.mean - noise - published.rounding > published.number and not measured.is_close(published):
        return _differs(told, explained)
    return _not_comparable(told)


def _beside_bound(measured: _Measured, published: Stated, explained: str) -> Verdict:
    """A bound beside a number, or beside what is at least so much."""
    is_beyond = measured.mean >= published.number if published.bound == ">" else measured.mean <= published.number
    at_least = ">" * measured.is_least
    told = f"{at_least}{number(measured.measure, measured.mean)} beside a bound"
    if is_beyond and not (measured.is_least and published.bound == "<"):
        return _reproduced(told)
    if measured.is_close(published):
        return _close(told)
    return _not_comparable(f"{told}: both are bounds") if measured.is_least else _differs(told, explained)


def _beside_nothing(published: str, having: int, without: int, explained: str) -> Verdict:
    """A text in the place of a number: that there was none."""
    if published.strip().lower() not in _NOTHING:
        return _not_comparable(f"'{published}' is no number")
    if not having:
        return _reproduced("no run here has a number, as published")
    if without:
        return _close(f"{without} of {having + without} runs have no number, as published")
    return _differs("every run here has a number, the published one had none", explained)


def _reproduced(reason: str) -> Verdict:
    return Verdict(Kind.REPRODUCED, Kind.REPRODUCED.value, reason)


def _close(reason: str, behind: str = "") -> Verdict:
    return Verdict(Kind.CLOSE, Kind.CLOSE.value + behind, reason)


def _differs(reason: str, explained: str) -> Verdict:
    why = f": {explained}" if explained else ", not explained"
    return Verdict(Kind.DIFFERS, Kind.DIFFERS.value + why, reason)


def _not_comparable(reason: str) -> Verdict:
    return Verdict(Kind.NOT_COMPARABLE, f"{Kind.NOT_COMPARABLE.value}: {reason}", reason)
