"""`triplicate reproduce STUDY…`: every experiment of a study, one after the other, and one table of them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from triplicate import presets, series
from triplicate.errors import UserError, unknown_name
from triplicate.jobs import words
from triplicate.reports import published
from triplicate.reports.published import Attempt


def reproduce(arguments: Sequence[str], sweep: Callable[[Sequence[str]], object], beside: Path | None = None) -> int:
    """Run the experiments of the studies named, go on after a failure, and write the summary.

    Args:
        arguments: studies or experiments ('cv2025', 'cv2025/cnn'), and overrides for all of them.
        sweep: trains one command line.
        beside: a folder with more presets, as --config-dir names it.

    Returns:
        The exit code: 1 if an experiment failed.

    Raises:
        UserError: an unknown study, or an override that is none of its experiments.
    """
    experiments = _experiments([a for a in arguments if "=" not in a], beside)
    overrides = [a for a in arguments if "=" in a and not a.startswith("output_dir=")]
    for override in overrides:
        if override.startswith("experiment="):
            raise UserError("experiment", "reproduce takes names", f"write {override.partition('=')[2]} alone")
    folder = _folder(arguments)

    def one(experiment: str) -> object:
        return sweep([f"experiment={experiment}", f"output_dir={folder / experiment}", *overrides])

    attempts = [
        Attempt(ended.experiment, folder / ended.experiment, ended.seconds, ended.told)
        for ended in series.each(experiments, series.stops([words.read(word) for word in overrides]), one)
    ]
    print(published.write(attempts, folder))
    return 1 if any(attempt.error for attempt in attempts) else 0


def _experiments(names: Sequence[str], beside: Path | None) -> list[str]:
    known = presets.choices("experiment", beside)
    studies = presets.studies(beside)
    if not names:
        raise UserError("reproduce", "no study is named", f"name some of {', '.join(studies)}")
    for name in names:
        if name not in known and name not in studies:
            raise unknown_name("reproduce", name, [*studies, *known])
    return [e for name in names for e in known if e == name or e.startswith(f"{name}/")]


def _folder(arguments: Sequence[str]) -> Path:
    given = [a.partition("=")[2] for a in arguments if a.startswith("output_dir=")]
    if given == [""]:
        raise UserError("output_dir", "nothing is not a folder", "give a folder, or leave it out")
    return Path(given[-1]) if given else Path("outputs", "reproduce", f"{datetime.now():%Y-%m-%d_%H-%M-%S}")
