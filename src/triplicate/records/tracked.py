"""What trackers were told: trackers.json in the folder of a run, and in that of a sweep."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from triplicate.files import atomic

TRACKED = "trackers.json"
# Below the folder of a sweep, for trackers that write files.
TRACKERS = "trackers"


@dataclass(frozen=True)
class Told:
    """What a tracker was told of a run, or of a sweep.

    Attributes:
        id: by which it finds that again.
        place: a hash of where it writes.
        ending: how the run has ended; empty while it trains.
        finished_at: of its summary, where it has left one: a run may be trained again.
    """

    id: str
    place: str
    ending: str = ""
    finished_at: str = ""


def read_told(folder: Path, tracker: str, place: str) -> Told | None:
    """What a tracker was told; None: nothing, or in another place, or nobody can read it any more."""
    told = _read(folder).get(tracker)
    return told if told is not None and told.place == place else None


def write_told(folder: Path, tracker: str, told: Told) -> None:
    """Write down what a tracker was told.

    Raises:
        OSError: the folder cannot be written.
    """
    all_told = _read(folder) | {tracker: told}
    values = {name: dataclasses.asdict(each) for name, each in all_told.items()}
    atomic.write_text(folder / TRACKED, json.dumps(values, indent=2) + "\n")


def _read(folder: Path) -> dict[str, Told]:
    try:
        values = json.loads((folder / TRACKED).read_bytes())
        return {str(name): Told(**each) for name, each in values.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
