"""`triplicate reproduce STUDY…`: experiments, one after the other, into one folder, and one table of them all.

What is finished in the folder is not looked at again: an experiment whose command is made of the same words,
configuration files and code as when it was finished, and whose runs are all there, is neither composed nor trained.
"""

from __future__ import annotations

import io
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

from triplicate import presets, series, verbosity
from triplicate.errors import UserError, unknown_name
from triplicate.jobs import words
from triplicate.jobs.names import folder_names
from triplicate.jobs.rows import typed
from triplicate.records.reproduced import Reproduced, read_reproduced, write_reproduced
from triplicate.reports import published
from triplicate.reports.page import index
from triplicate.reports.published import Attempt
from triplicate.reports.tables import Table
from triplicate.sweeps.interruption import Interrupted
from triplicate.sweeps.progress import duration
from triplicate.workload import Workload, stamp

# Overrides that change neither what a row of a table means nor which rows there are: with them the folder is the same.
_SAME_TABLES = ("seed", "device", "data_dir", "on_error", "rerun", "executor")
# Less training than this tells nothing of how fast it is.
_SECONDS_TO_A_SPEED = 30.0


@dataclass(frozen=True)
class Asked:
    """What is to be reproduced.

    Attributes:
        experiments: by name, each once.
        named: those of them that were named by themselves, and not as a part of a study.
        overrides: for all of them, as typed, but for output_dir.
        folder: of all of them.
        beside: a folder with more presets, as --config-dir names it.
    """

    experiments: Sequence[str]
    named: Sequence[str]
    overrides: Sequence[str]
    folder: Path
    beside: Path | None = None

    def given(self, key: str) -> object:
        """What an override gives to a key; None where there is none."""
        return next((o.value() for o in map(words.read, self.overrides) if o.key_or_group == key), None)


@dataclass(frozen=True)
class Waiting:
    """An experiment that is not finished.

    Attributes:
        cost: of what is left, in multiply-adds; NaN where it cannot be told.
        ends_early: it may cost less.
    """

    experiment: str
    cost: float = math.nan
    ends_early: bool = False


def reproduce(
    arguments: Sequence[str],
    sweep: Callable[[Sequence[str]], object],
    beside: Path | None = None,
    everything: bool = False,
) -> int:
    """Train experiments, those first that cost least, go on after a failure, and write the summary.

    Args:
        arguments: studies or experiments ('cv2025', 'cv2025/cnn'), and overrides for all of them.
        sweep: trains one command line.
        beside: a folder with more presets, as --config-dir names it.
        everything: every experiment of every study, in place of names.

    Returns:
        The exit code: 1 if an experiment failed.

    Raises:
        UserError: an unknown study, or an override that is none of its experiments.
        Interrupted: what was in training is saved.
    """
    asked = _asked(arguments, beside, everything)
    return _Reproduction(asked, sweep).run()


def _asked(arguments: Sequence[str], beside: Path | None, everything: bool) -> Asked:
    names = [a for a in arguments if "=" not in a]
    overrides = [a for a in arguments if "=" in a and words.read(a).key_or_group != "output_dir"]
    for override in map(words.read, overrides):
        if override.key_or_group == "experiment":
            raise UserError("experiment", "reproduce takes names", f"write {words.value(override)} alone")
        if override.key_or_group == "resume":
            raise UserError("resume", "reproduce goes on by itself where it was", "leave it out")
    if everything and names:
        raise UserError("--all", f"{names[0]} is among all of them", "leave one of the two out")
    studies = presets.studies(beside)
    experiments = _experiments(studies if everything else names, beside)
    return Asked(experiments, names, overrides, _folder(arguments, overrides), beside)


def _experiments(names: Sequence[str], beside: Path | None) -> list[str]:
    """Each once, in the order in which they are named."""
    known = presets.choices("experiment", beside)
    studies = presets.studies(beside)
    if not names:
        raise UserError("reproduce", "no study is named", f"name some of {', '.join(studies)}, or write --all")
    for name in names:
        if name not in known and name not in studies:
            raise unknown_name("reproduce", name, [*studies, *known])
    return list(dict.fromkeys(e for name in names for e in known if e == name or e.startswith(f"{name}/")))


def _folder(arguments: Sequence[str], overrides: Sequence[str]) -> Path:
    """The folder that output_dir gives, or the one of these overrides: so that the same command goes on in the same."""
    given = [a for a in arguments if "=" in a and words.read(a).key_or_group == "output_dir"]
    if given:
        value = words.read(given[-1]).value()
        if not isinstance(value, str | int | float) or str(value) == "":
            raise UserError("output_dir", "nothing is not a folder", "give a folder, or leave it out")
        if "${" in str(value):
            raise UserError("output_dir", "all experiments have one folder", "name it without ${…}")
        return Path(str(value))
    shared = [o for o in overrides if re.split(r"[./=]", o.lstrip("+~"))[0] not in _SAME_TABLES]
    if not shared:
        return Path("outputs", "reproduce")
    # Two jobs, so that each override tells them apart and is in the name.
    return Path("outputs", "reproduce", folder_names([sorted(shared), []])[0])


class _Reproduction:
    """One command: what is finished, what is trained, and the table of both."""

    def __init__(self, asked: Asked, sweep: Callable[[Sequence[str]], object]) -> None:
        self._asked = asked
        self._sweep = sweep
        data_dir = asked.given("data_dir")
        known = stamp(asked.overrides, asked.beside, Path(str(data_dir)) if data_dir is not None else None)
        self._stamp = None if asked.given("rerun") else known
        self._finished = read_reproduced(asked.folder)
        ended = [(one.cost, one.seconds) for one in self._finished.values()]
        self._speeds = [(cost, seconds) for cost, seconds in ended if cost is not None and seconds is not None]
        self._attempts: dict[str, Attempt] = {}

    def run(self) -> int:
        left_out = list(self._left_out())
        trained = [name for name in self._asked.experiments if name not in left_out]
        for name in left_out:
            self._attempts[name] = Attempt(name, self._folder(name), note="waits for a GPU")
        waiting = self._in_order([name for name in trained if not self._is_finished(name)])
        done = len(trained) - len(waiting)
        if done:
            verbosity.note(f"{done} of {len(trained)} experiments are finished already")
        if left_out:
            verbosity.note(
                f"note: a CPU is too slow for {', '.join(left_out)}; the same command trains them where there is a GPU"
            )
        with _told_when_interrupted(self._asked.folder):
            self._train(waiting, len(trained))
        print(f"{self._write()}\n  {index.write(self._asked.folder)}")
        return 1 if any(attempt.error for attempt in self._attempts.values()) else 0

    def _train(self, waiting: Sequence[Waiting], count: int) -> None:
        by_name = {one.experiment: one for one in waiting}
        left = list(waiting)
        ends = series.each(list(by_name), series.stops(list(map(words.read, self._asked.overrides))), self._one)
        for ended in ends:
            left.remove(by_name[ended.experiment])
            folder = self._folder(ended.experiment)
            self._attempts[ended.experiment] = Attempt(ended.experiment, folder, ended.seconds, ended.told)
            self._note_end(ended, by_name[ended.experiment])
            told = "; ".join(filter(None, [f"{count - len(left)} of {count} done", said_left(self._speeds, left)]))
            failed = " with an error" if ended.error else ""
            verbosity.note(f"{ended.experiment}: ended{failed} after {duration(ended.seconds)}; {told}")
            self._write()

    def _one(self, experiment: str) -> object:
        folder = f"output_dir={typed(str(self._folder(experiment)))}"
        with redirect_stdout(io.StringIO()):  # its table, which is in its folder, and in short in ours
            return self._sweep([f"experiment={experiment}", folder, *self._asked.overrides])

    def _note_end(self, ended: series.Ended, work: Waiting) -> None:
        """Remember what was finished, and how fast."""
        if ended.error is not None:
            return
        finished = Reproduced("", None, ended.seconds)
        if work.cost == 0:  # it was only shown again
            finished = self._finished.get(ended.experiment, Reproduced(""))
        elif not work.ends_early and not math.isnan(work.cost):
            finished = Reproduced("", work.cost, ended.seconds)
            self._speeds.append((work.cost, ended.seconds))
        if self._stamp is not None:
            self._remember(replace(finished, stamp=self._stamp), ended.experiment)

    def _take(self, experiment: str) -> None:
        """What was found to be finished need not be composed the next time."""
        known = self._finished.get(experiment, Reproduced(""))
        self._attempts[experiment] = Attempt(experiment, self._folder(experiment), known.seconds)
        if self._stamp is not None:
            self._remember(replace(known, stamp=self._stamp), experiment)

    def _remember(self, finished: Reproduced, experiment: str) -> None:
        self._finished[experiment] = finished
        write_reproduced(self._asked.folder, self._finished)

    def _folder(self, experiment: str) -> Path:
        return self._asked.folder / experiment

    def _left_out(self) -> Iterator[str]:
        """What only a GPU trains in time, where there is none and nobody has named it by itself."""
        for name in self._asked.experiments:
            is_started = (self._folder(name) / "runs").is_dir()
            if name not in self._asked.named and _needs_gpu(name, self._asked.beside) and not is_started:
                if self._has_gpu():
                    return
                yield name

    def _has_gpu(self) -> bool:
        device = self._asked.given("device")
        if device is not None and device != "auto":
            return str(device).startswith("cuda")
        import torch  # only here: it takes seconds

        return torch.cuda.is_available()

    def _is_finished(self, experiment: str) -> bool:
        """Whether nothing has changed since it was finished, and nothing of it is gone."""
        known, folder = self._finished.get(experiment), self._folder(experiment)
        if known is None or self._stamp is None or known.stamp != self._stamp:
            return False
        if not (folder / "runs").is_dir():
            is_shown = (folder / "samples.png").is_file()
            if is_shown:
                self._attempts[experiment] = Attempt(experiment, folder, known.seconds)
            return is_shown
        try:
            table = Table.read(folder)
        except UserError:
            return False
        is_whole = not any(row.absent for row in table.rows) and (folder / "table.csv").is_file()
        if is_whole:
            self._attempts[experiment] = Attempt(experiment, folder, known.seconds, table=table)
        return is_whole

    def _in_order(self, experiments: Sequence[str]) -> list[Waiting]:
        """Those that are not finished, the cheapest first; what cannot be told comes last, and its sweep tells why."""
        if len(experiments) < 2:
            return [Waiting(name) for name in experiments]
        verbosity.note(f"looking at what {len(experiments)} experiments cost")
        waiting, workload = [], Workload(self._asked.beside)
        for name in experiments:
            try:
                left = workload.left([f"experiment={name}", *self._asked.overrides], self._folder(name))
            except UserError:
                waiting.append(Waiting(name))
                continue
            if left.is_nothing and self._asked.given("rerun") is None:
                self._take(name)
            else:
                waiting.append(Waiting(name, left.cost, left.ends_early))
        return sorted(waiting, key=lambda one: math.inf if math.isnan(one.cost) else one.cost)

    def _write(self) -> str:
        """The table so far, in the order in which the experiments were asked for."""
        order = {name: place for place, name in enumerate(self._asked.experiments)}
        attempts = sorted(self._attempts.values(), key=lambda attempt: order[attempt.experiment])
        return published.write(attempts, self._asked.folder)


def _needs_gpu(experiment: str, beside: Path | None) -> bool:
    path = presets.file("experiment", experiment, beside)
    report = presets.content(path).get("report") if path is not None else None
    return isinstance(report, dict) and report.get("needs") == "gpu"


def said_left(speeds: Sequence[tuple[float, float]], waiting: Sequence[Waiting]) -> str:
    """'about 3 h left', 'about 3 h left, and at most 14 h for 2 that may end early'; nothing before a speed is known.

    Args:
        speeds: cost in multiply-adds and seconds of each experiment that was trained. The least seconds are taken for
            what any takes besides its training.
    """
    start = min((seconds for _, seconds in speeds), default=0.0)
    training = sum(seconds - start for _, seconds in speeds)
    known = [one for one in waiting if not math.isnan(one.cost)]
    if training < _SECONDS_TO_A_SPEED or not known:
        return ""
    speed = sum(cost for cost, _ in speeds) / training
    sure, most = ([one for one in known if one.ends_early is early] for early in (False, True))
    seconds, longest = (sum(start + one.cost / speed for one in part) for part in (sure, most))
    parts = [f"about {duration(seconds)} left"] if sure else []
    if most:
        parts.append(f"at most {duration(longest)} {f'for {len(most)} that may end early' if sure else 'left'}")
    return ", and ".join(parts)


@contextmanager
def _told_when_interrupted(folder: Path) -> Iterator[None]:
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        print(f"the same reproduce command goes on in {folder}", file=sys.stderr)
        raise
