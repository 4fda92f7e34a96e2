"""What a key is: its meaning, its unit, and the range of its values."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """What a key means, its unit, and the range that its numbers must lie in.

    Attributes:
        choices: the words that it can have; empty: any.
        parts: the kind of part that it names, such as 'activation'; empty: none.
        per_run: runs of one stack may have different values.
    """

    help: str
    unit: str = ""
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    parts: str = ""
    per_run: bool = False

    def range(self) -> str:
        """The range in words, such as 'at least 0 and below 1'; empty where there is none."""
        bounds = {
            "at least": self.at_least,
            "above": self.above,
            "at most": self.at_most,
            "below": self.below,
        }
        numbers = " and ".join(f"{word} {_plain(x)}" for word, x in bounds.items() if x is not None)
        names = f"one of {', '.join(self.choices)}" if len(self.choices) > 1 else ", ".join(self.choices)
        return ", or ".join(filter(None, [numbers, names]))

    def admits(self, number: float) -> bool:
        """Whether a number is finite and inside the range."""
        return (
            math.isfinite(number)
            and (self.at_least is None or number >= self.at_least)
            and (self.above is None or number > self.above)
            and (self.at_most is None or number <= self.at_most)
            and (self.below is None or number < self.below)
        )


def _plain(number: float) -> str:
    return f"{number:,}" if float(number).is_integer() else f"{number:g}"


def key(help: str, *, default: Any = dataclasses.MISSING, formerly: Any = dataclasses.MISSING, **limits: Any) -> Any:
    """A dataclass field that is a key.

    Args:
        help: what it means, in a line.
        default: for parts from outside that bring no YAML file. The defaults of triplicate's own parts stand in
            `conf/`, once.
        formerly: for a key that came later, the value that runs had before: with it a run is the same as one of then.
        limits: `unit`, `at_least`, `above`, `at_most`, `below`, `choices`, `parts` and `per_run`, as in `Key`.
    """
    return dataclasses.field(default=default, metadata={"key": Key(help, **limits)} | _former(formerly))


def group(formerly: Any = dataclasses.MISSING) -> Any:
    """A dataclass field that is a group of keys: a part, or another dataclass.

    Args:
        formerly: as for a key, the name and the keys of the part that stands for what runs did before.
    """
    return dataclasses.field(metadata=_former(formerly))


def _former(value: Any) -> dict[str, Any]:
    return {} if value is dataclasses.MISSING else {"formerly": value}


def keys_of(cls: type[Any]) -> dict[str, Key]:
    """The keys of a dataclass, in its order. A field that is no key (a part, a group of keys) is left out."""
    fields = dataclasses.fields(cls)
    return {field.name: field.metadata["key"] for field in fields if "key" in field.metadata}


def former(cls: type[Any]) -> dict[str, Any]:
    """What stood for those keys and groups of a dataclass that came later, by name."""
    fields = dataclasses.fields(cls)
    return {field.name: field.metadata["formerly"] for field in fields if "formerly" in field.metadata}
