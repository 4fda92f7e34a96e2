"""How the rows of a table differ in a measure: paired over the seeds that both have, and said in plain words.

The pairs are tested by Student's t of their differences, with n - 1 degrees of freedom, and corrected by Holm's method
(Scandinavian Journal of Statistics 6, 1979) for all pairs of rows of the table, also where only those with the best row
are shown: which row is the best is known only after all were looked at. Corrected for the shown pairs alone, ten of a
hundred sweeps of eight equal rows would have a 'best' one.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np
from scipy import special  # scipy.stats has the same, and takes seconds to load

from triplicate.measures.shared.names import shown
from triplicate.reports.numbers import is_exact, is_fraction, number

if TYPE_CHECKING:
    from triplicate.reports.rows import Row

CONFIDENCE = 0.95
POWER = 0.8
_LEVEL = 1 - CONFIDENCE
# More seeds than anybody would train.
_MOST_SEEDS = 1000
# What remains of equal numbers after rounding.
_ROUNDING = 1e-9
# Below so many seeds a sentence says what they cannot show.
_FEW = 5


class Compare(Enum):
    """Which pairs of rows are shown: `report.compare`."""

    BEST = "best"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True)
class Interval:
    """A difference lies in it with a confidence of 95 %, or more where it is corrected."""

    low: float
    high: float


@dataclass(frozen=True)
class Tested:
    """What the differences of two rows over their seeds tell. Alone: as if no other pair had been looked at.

    Attributes:
        p: of a difference as great as this or greater, if there were none in truth; `corrected_p` by Holm.
        corrected: the interval at the level that Holm's method had for this pair. It holds 0 exactly where
            `corrected_p` is not below 0.05.
        effect: the mean of the differences in their standard deviations.
        pairs: that the correction counts.
    """

    p: float
    interval: Interval
    corrected_p: float
    corrected: Interval
    effect: float
    pairs: int

    @property
    def is_shown(self) -> bool:
        """Whether there is a difference, at 5 %, corrected."""
        return self.corrected_p < _LEVEL

    @property
    def needed(self) -> int | None:
        """With so many seeds a difference of this size is shown in 80 of 100 sweeps, if this and the deviation between
        seeds are what was measured, and as many pairs are compared; None: more than 1,000.
        """
        return needed_seeds(self.effect, _LEVEL / self.pairs)


@dataclass(frozen=True)
class Difference:
    """A measure of one row less that of another, over the seeds that both have. The better row is the first.

    Attributes:
        places: of the two rows in the table, from 0.
        names: of the two rows, in short.
        seeds: that both have.
        mean: of the differences; of a fraction a fraction. NaN without a seed that both have.
        tested: None where there is nothing to test, and then `untested` says why.
    """

    measure: str
    places: tuple[int, int]
    names: tuple[str, str]
    seeds: tuple[int, ...]
    mean: float
    tested: Tested | None
    untested: str = ""

    @property
    def words(self) -> str:
        """A sentence without its measure: '0.1 beats 0.01 by 4.48 points, 95 % interval 3.1 to 5.9, 3 seeds'."""
        first, second = self.names
        if self.tested is None:
            return f"{first} and {second}: {self.untested}"
        measured = f"{_amount(self.measure, self.mean)}, {_interval_in_words(self)}, {len(self.seeds)} seeds"
        if self.tested.is_shown:
            beats = "beats" if _has_better(self.measure) else "is greater than"
            return f"{first} {beats} {second} by {measured}"
        return f"no difference shown between {first} and {second}: {measured}; {_needed_in_words(self.tested)}"


@dataclass(frozen=True)
class Differences:
    """The pairs of the rows of a table in one measure, as `report.compare` asks for them.

    Attributes:
        pairs: that are shown, in the order of the table.
        tested: how many pairs the correction counts; 0: none was tested.
        seeds: the fewest seeds that a tested pair has.
    """

    measure: str
    pairs: tuple[Difference, ...]
    tested: int
    seeds: int

    def sentences(self, at_most: int | None = None) -> tuple[str, ...]:
        """A sentence for each pair; of more than `at_most` those with the smallest p, and how many others there are."""
        if at_most is None or len(self.pairs) <= at_most:
            return tuple(pair.words for pair in self.pairs)
        said = sorted(self.pairs, key=_by_p)[:at_most]
        others = [pair for pair in self.pairs if pair not in said]
        count = sum(pair.tested is not None and pair.tested.is_shown for pair in others)
        rest = f"{len(others)} more pairs: {count} with a difference shown, {len(others) - count} without"
        return (*(pair.words for pair in said), rest)

    @property
    def first(self) -> Difference | None:
        """The pair to tell if only one is told: the best row and the next; None where no pair was tested."""
        tested = [pair for pair in self.pairs if pair.tested is not None]
        best = [pair for pair in tested if pair.places[0] == self._best()]
        return min(best or tested, key=lambda pair: abs(pair.mean), default=None)

    @property
    def limits(self) -> str:
        """What these sentences rest on, to be said once; empty where nothing was tested."""
        if not self.tested:
            return ""
        pairs = "" if self.tested == 1 else f", corrected for all {self.tested} pairs of rows (Holm)"
        told = [
            f"each pair is over the seeds that both rows have; intervals are of Student's t for them{pairs}",
            "how many seeds a difference would take is for 80 % power, if its size and spread are as measured",
        ]
        if self.seeds < _FEW:
            told.append(
                f"{self.seeds} seeds are few: the intervals assume differences that are normally distributed, which so "
                "few cannot tell, and a difference that is not shown may be there none the less"
            )
        return "; ".join(told)

    def _best(self) -> int | None:
        """The row that is the better one in most pairs."""
        firsts = [pair.places[0] for pair in self.pairs]
        return max(firsts, key=firsts.count, default=None)


def of_rows(rows: Sequence[Row], measure: str, compare: Compare) -> Differences:
    """The differences between the rows of a table in a measure.

    Rows without a value, and runs that diverged or have no finite number, are left out; a pair is over the seeds that
    both rows have.
    """
    if compare is Compare.NONE:
        return Differences(measure, (), 0, 0)
    known = {place: _Values.of(row, measure) for place, row in enumerate(rows)}
    known = {place: values for place, values in known.items() if values.by_seed}
    with np.errstate(over="ignore", invalid="ignore"):  # runs that diverge slowly reach numbers beyond all arithmetic
        pairs = list(_corrected([_pair(measure, known, *places) for places in itertools.combinations(known, 2)]))
        best = _best_row(known, measure)
    tested = [pair for pair in pairs if pair.tested is not None]
    seeds = min((len(pair.seeds) for pair in tested), default=0)
    if compare is Compare.BEST:
        pairs = [pair for pair in pairs if best in pair.places]
    return Differences(measure, tuple(pairs), len(tested), seeds)


def main_measure(measures: Sequence[str]) -> str | None:
    """The measure that a table's rows are compared in: the first of which one can say what is better, and that is not
    the same for all seeds or a property of the machine; None where there is none.
    """
    return next((m for m in measures if _has_better(m) and not is_exact(m) and not shown(m).part.of_machine), None)


def holm(p: Sequence[float]) -> tuple[list[float], list[float]]:
    """Holm's step-down method.

    Returns:
        The corrected p, and for each the level that its interval has, so that this holds 0 exactly where the corrected
        p is not below 0.05: a test after the first that failed has the level of that one.
    """
    corrected, levels = [1.0] * len(p), [_LEVEL] * len(p)
    greatest, level, stopped = 0.0, _LEVEL, False
    for step, place in enumerate(sorted(range(len(p)), key=lambda place: p[place])):
        left = len(p) - step
        greatest = max(greatest, min(1.0, left * p[place]))
        level = level if stopped else _LEVEL / left
        stopped = stopped or greatest >= _LEVEL
        corrected[place], levels[place] = greatest, level
    return corrected, levels


def interval(differences: Sequence[float], level: float = _LEVEL) -> Interval:
    """Of the mean of some differences, by Student's t, at 1 - level."""
    mean, error = float(np.mean(differences)), _standard_error(differences)
    half = float(special.stdtrit(len(differences) - 1, 1 - level / 2)) * error
    return Interval(mean - half, mean + half)


def p_value(differences: Sequence[float]) -> float:
    """Two-sided, that the mean is 0, by Student's t."""
    t = abs(float(np.mean(differences))) / _standard_error(differences)
    return 2 * float(special.stdtr(len(differences) - 1, -t))


def power(effect: float, seeds: int, level: float) -> float:
    """How probable it is that a paired t test shows a difference.

    Args:
        effect: the true mean of the differences in their standard deviations.
    """
    freedom, shift = seeds - 1, abs(effect) * math.sqrt(seeds)
    bound = float(special.stdtrit(freedom, 1 - level / 2))
    return float(1 - special.nctdtr(freedom, shift, bound) + special.nctdtr(freedom, shift, -bound))


def needed_seeds(effect: float, level: float = _LEVEL) -> int | None:
    """The fewest seeds that show a difference with 80 % power; None: more than 1,000.

    Args:
        effect: the true mean of the differences in their standard deviations.
    """
    low, high = 1, 2
    while power(effect, high, level) < POWER:  # upwards: SciPy has no numbers far beyond
        if high >= _MOST_SEEDS:
            return None
        low, high = high, min(2 * high, _MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(effect, middle, level) >= POWER else (middle, high)
    return high


@dataclass(frozen=True)
class _Values:
    """What a row has of a measure.

    Attributes:
        is_least: the true mean is greater, since some runs were still getting better when they ended.
    """

    name: str
    by_seed: Mapping[int, float]
    is_least: bool

    @staticmethod
    def of(row: Row, measure: str) -> _Values:
        cell = row.cells.get(measure)
        name = next(iter(row.axes.values())) if len(row.axes) == 1 else row.label
        return _Values(name or "the row", row.values(measure), cell is not None and cell.is_least)

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.by_seed.values())))


def _pair(measure: str, known: Mapping[int, _Values], one: int, other: int) -> tuple[Difference, tuple[float, ...]]:
    """Two rows, not yet corrected, and their differences seed by seed; none where they are not tested."""
    seeds = tuple(sorted(known[one].by_seed.keys() & known[other].by_seed.keys()))
    values = [known[one].by_seed[seed] - known[other].by_seed[seed] for seed in seeds]
    mean = float(np.mean(values)) if values else math.nan
    if mean < 0 if not shown(measure).less_is_better else mean > 0:
        one, other, values, mean = other, one, [-value for value in values], -mean
    names = known[one].name, known[other].name
    untested = _why_untested(measure, known[one], known[other], values, mean)
    pair = Difference(measure, (one, other), names, seeds, mean, None, untested)
    return pair, () if untested else tuple(values)


def _why_untested(measure: str, one: _Values, other: _Values, values: Sequence[float], mean: float) -> str:
    if one.is_least or other.is_least:
        return "not compared, since some runs were still getting better when they ended"
    if not values:
        return "not compared, since no seed has a number in both"
    if is_exact(measure):
        return f"{number(measure, abs(mean))} apart, the same for every seed" if mean else "the same"
    if len(values) < 2:
        return f"{_amount(measure, mean)} apart in the one seed that both have: not tested"
    spread = float(np.std(values))
    if not math.isfinite(spread):
        return "not compared, since their numbers are too great"
    if spread <= _ROUNDING * max(map(abs, [*one.by_seed.values(), *other.by_seed.values()])):
        apart = f"{_amount(measure, mean)} apart" if abs(mean) > spread else "the same"
        return f"{apart} in each of {len(values)} seeds: not tested"
    return ""


def _corrected(pairs: Sequence[tuple[Difference, tuple[float, ...]]]) -> Iterator[Difference]:
    """The pairs with their tests, corrected for all of them that are tested."""
    tested = [values for _, values in pairs if values]
    p = [p_value(values) for values in tested]
    corrections = zip(p, *holm(p), strict=True)
    for pair, values in pairs:
        if not values:
            yield pair
            continue
        alone, corrected, level = next(corrections)
        effect = pair.mean / float(np.std(values, ddof=1))
        found = Tested(alone, interval(values), corrected, interval(values, level), effect, len(tested))
        yield dataclasses.replace(pair, tested=found)


def _best_row(known: Mapping[int, _Values], measure: str) -> int | None:
    """By its mean over all its seeds; of equals the first."""
    sign = -1 if shown(measure).less_is_better else 1
    return max(known, key=lambda place: sign * known[place].mean, default=None)


def _standard_error(differences: Sequence[float]) -> float:
    return float(np.std(differences, ddof=1)) / math.sqrt(len(differences))


def _by_p(pair: Difference) -> float:
    return 2.0 if pair.tested is None else pair.tested.p


def _has_better(measure: str) -> bool:
    named = shown(measure)
    return named.part.better is not None or named.less_is_better


def _amount(measure: str, value: float) -> str:
    """'4.48 points', '0.0123'."""
    return f"{number(measure, abs(value))} points" if is_fraction(measure) else number(measure, abs(value))


def _interval_in_words(pair: Difference) -> str:
    """Of the better row's lead, so that it grows with the difference."""
    assert pair.tested is not None
    found, sign = pair.tested.corrected, -1 if pair.mean < 0 else 1
    ends = sorted((sign * found.low, sign * found.high))
    return f"95 % interval {' to '.join(number(pair.measure, end) for end in ends)}"


def _needed_in_words(tested: Tested) -> str:
    if tested.needed is None:
        return f"a difference of that size would take more than {_MOST_SEEDS:,} seeds to show"
    return f"a difference of that size would take about {tested.needed} seeds to show"
