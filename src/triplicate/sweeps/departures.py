"""What a command has changed of the experiment that it names: such runs are not compared with published numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from triplicate.config import as_plain, flatten, run_config, setting
from triplicate.reports.rows import named_row, same_value
from triplicate.sweeps.plan import Run

# They say where and how a run trains and what is noted of it; its numbers are the same, or differ by rounding.
_WITHOUT_EFFECT = ("experiment", "device", "model.backend", "train.deterministic", "trace")
# Between two values of an axis, and not inside the brackets of a list.
_COMMA = re.compile(r",(?![^\[]*\])")
# Named in a title; more are counted.
_NAMED = 3


@dataclass(frozen=True)
class Composed:
    """What the words of a command give.

    Attributes:
        values: of the run, without Hydra's own.
        choices: what each config group stands at.
        sweeper: `hydra.sweeper`.
    """

    values: Mapping[str, Any]
    choices: Mapping[str, str]
    sweeper: Mapping[str, Any]


def departures(runs: Sequence[Run], compose: Callable[[Sequence[str]], Composed]) -> dict[str, tuple[str, ...]]:
    """Fingerprint → what was set otherwise than the experiment of the runs has it, as typed: 'train.epochs=3'.

    The rows that an experiment itself has, and the keys that its published rows are named by, are no departures. Nor is
    what changes no result.

    Args:
        compose: gives what words such as 'experiment=cv2025/cnn' compose to.
    """
    experiment = runs[0].choices.get("experiment")
    if experiment is None:
        return {}
    named = {key for name in runs[0].config.report.published for key, _ in named_row(name)}
    candidates = {run.fingerprint: [key for key in run.overrides if _counts(key) and key not in named] for run in runs}
    if not any(candidates.values()):
        return {}
    experiments = _Experiments(compose, f"experiment={experiment}")
    found = {}
    for run in runs:
        changed = [key for key in candidates[run.fingerprint] if not experiments.has(key, run)]
        departed = tuple(f"{key}={run.overrides[key]}" for key in changed if experiments.differs(key, changed, run))
        if departed:
            found[run.fingerprint] = departed
    return found


def title(experiment: str, departed: Mapping[str, tuple[str, ...]]) -> str:
    """Of a table that is no longer what the title of its experiment says: 'cv2025/cnn with train.epochs=3'."""
    words = list(dict.fromkeys(word for words in departed.values() for word in words))
    more = f" and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
    return f"{experiment} with {', '.join(words[:_NAMED])}{more}"


class _Experiments:
    """An experiment as it is without what a command changes of it; composed once for each choice of its groups."""

    def __init__(self, compose: Callable[[Sequence[str]], Composed], experiment: str) -> None:
        self._compose = compose
        self._experiment = experiment
        self._own = compose([experiment])
        self._composed: dict[tuple[str, ...], Composed] = {}

    def has(self, key: str, run: Run) -> bool:
        """Whether the experiment's own axes or rows set the key to what the run has."""
        params, rows = self._own.sweeper.get("params") or {}, self._own.sweeper.get("rows") or []
        if key in params and any(same_value(value, run.overrides[key]) for value in _axis(params[key])):
            return True
        return any(key in row and all(_holds(name, value, run) for name, value in row.items()) for row in rows)

    def differs(self, key: str, changed: Sequence[str], run: Run) -> bool:
        """Whether a key is other than without all that was changed."""
        kept = [f"{k}={v}" for k, v in run.overrides.items() if _counts(k) and k not in changed]
        groups = tuple(word for word in kept if word.partition("=")[0] in run.choices)
        if groups not in self._composed:
            self._composed[groups] = self._compose([self._experiment, *kept])
        own = self._composed[groups]
        if key in run.choices:
            return run.choices[key] != own.choices.get(key)
        return dict(_at(key, as_plain(run.config))) != dict(_at(key, as_plain(run_config(own.values))))


def _counts(key: str) -> bool:
    """Whether a key may bear on a result."""
    is_setting = bool(setting({key.partition(".")[0]: None}))
    return is_setting and not any(key == other or key.startswith(f"{other}.") for other in _WITHOUT_EFFECT)


def _axis(values: Any) -> list[str]:
    """The values of an axis of a configuration: 'relu,tanh', or one alone."""
    return [value.strip() for value in _COMMA.split(values)] if isinstance(values, str) else [_typed(values)]


def _typed(value: Any) -> str:
    """A value of a configuration as a command has it, but for spaces and quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _holds(key: str, value: Any, run: Run) -> bool:
    return key in run.overrides and same_value(_typed(value), run.overrides[key])


def _at(key: str, plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a configuration has at a key and below."""
    yield from ((name, value) for name, value in flatten(plain) if name == key or name.startswith(f"{key}."))
