"""Writes that fail: the command says so in a line, keeps what was finished, and the next one completes the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.faults.commands import Starter
from tests.faults.sweeps import Content, Trial, finished, problems

SWEEP = (
    "dataset.limit=64",
    "model=mlp",
    "model.hidden=[4]",
    "seed=0,1",
    "train.epochs=2",
    "report.curves=[loss]",
)
PARTS = Path(__file__).with_name("failing.py")


class Writes:
    """Trials of one sweep with so many workers."""

    def __init__(self, starter: Starter, folder: Path, workers: int) -> None:
        self._starter, self._folder, self._workers = starter, folder, workers
        self._peace: Content | None = None
        self.paths: list[str] = []

    def count(self) -> int:
        """How many writes a sweep has that nothing disturbs."""
        if self._peace is None:
            place = self._folder / f"peace-{self._workers}"
            code, errors = self._run(place, 0, "full")
            assert code == 0, errors
            self._peace = Content.of(place / "sweep")
            self.paths = (place / "count").read_text().splitlines()
        return len(self.paths)

    def trial(self, number: int, fault: str) -> Trial:
        """Let a write fail (the first is 1), and start the command again without."""
        self.count()
        assert self._peace is not None
        place = self._folder / f"{self._workers}-{number}-{fault.replace(' ', '-')}"
        code, errors = self._run(place, number, fault)
        writes = (place / "count").read_text().splitlines()
        failed = str(Path(writes[number - 1]).relative_to(place)) if number <= len(writes) else "none"
        wrong = []
        # A log that cannot be written stops nothing.
        if failed.endswith(".log") or failed == "none":
            wrong += problems(place / "sweep", self._peace) if code == 0 else [f"exit code {code}: {errors}"]
        else:
            wrong += _of_a_failure(code, errors)
        wrong += [f"{path} has stayed" for path in (place / "sweep").rglob("*") if _is_left_over(path)]
        kept = finished(place / "sweep")
        code, errors = self._run(place, 0, fault, again=True)
        if code:
            wrong.append(f"again: exit code {code}: {errors}")
        else:
            wrong += [f"again: {problem}" for problem in problems(place / "sweep", self._peace)]
        wrong += [f"{run} was trained twice" for run, was in kept.items() if finished(place / "sweep").get(run) != was]
        return Trial(f"{self._workers} workers, write {number} {fault}: {failed}, {len(kept)} finished", wrong)

    def _run(self, place: Path, number: int, fault: str, again: bool = False) -> tuple[int, str]:
        place.mkdir(parents=True, exist_ok=True)
        (place / "count").write_text("")
        arguments = [*SWEEP, f"output_dir={place / 'sweep'}", f"executor.workers={self._workers}"]
        variables: Mapping[str, str] = {}
        if not again:
            arguments += ["--parts", str(PARTS)]
            variables = {"FAULTS": f"{place / 'sweep'}|{place / 'count'}|{number}|{fault}"}
        command = self._starter.start(arguments, place / f"command-{int(again)}", variables)
        code = command.wait()
        left = command.rest_after()
        return code, command.errors() + "".join(f"process {pid} has stayed\n" for pid in left)


def _is_left_over(path: Path) -> bool:
    return path.name.endswith(".partial") or path.name.startswith(".data-")


def _of_a_failure(code: int, errors: str) -> list[str]:
    """What is wrong with how a command tells that it cannot write."""
    wrong = []
    if code != 2:
        wrong.append(f"exit code {code}")
    lines = errors.splitlines()
    told = [line for line in lines if line.startswith("error: ")]
    if len(told) != 1 or lines[-1] != told[0]:
        wrong.append(f"not one line of error: {errors}")
    if "Traceback" in errors or "has stayed" in errors:
        wrong.append(f"more than a line: {errors}")
    return wrong
