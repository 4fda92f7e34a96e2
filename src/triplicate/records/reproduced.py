"""reproduce.json: what `triplicate reproduce` has finished in its folder, so that it need not look there again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from triplicate.records.run_folder import Damaged, read_json, write_json

_FILE = "reproduce.json"


@dataclass(frozen=True)
class Reproduced:
    """One experiment that was finished.

    Attributes:
        stamp: a hash of all that its command was made of. With the same one nothing is composed again.
        cost: of what was trained, in multiply-adds; None where that is not known.
        seconds: that this took; None where that is not known.
    """

    stamp: str
    cost: float | None = None
    seconds: float | None = None


def read_reproduced(folder: Path) -> dict[str, Reproduced]:
    """Experiment → how it was finished; nothing where nothing is known."""
    try:
        values = read_json(folder / _FILE)
        return {name: Reproduced(**one) for name, one in values.items()}
    except (Damaged, TypeError):
        return {}


def write_reproduced(folder: Path, finished: Mapping[str, Reproduced]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _FILE, {name: dataclasses.asdict(one) for name, one in finished.items()})
