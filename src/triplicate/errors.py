"""What a user got wrong, told in one line: `error: <key or file>: <what is wrong>; <what to do>`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(Exception):
    """A mistake that the user can mend: a wrong key, value, file or folder. The command ends with exit code 2."""

    def __init__(self, subject: str, problem: str, remedy: str) -> None:
        super().__init__(subject, problem, remedy)  # what it is made from anew in another process
        self.subject = subject
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}; {self.remedy}"


def unknown_name(subject: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among `known`; it tells the nearest name, or else all of them."""
    names = sorted(known)
    nearest = nearest_name(name, names)
    if nearest is not None:
        return UserError(subject, f"there is no {name!r}", f"did you mean {nearest}?")
    return UserError(subject, f"there is no {name!r}", f"choose one of {', '.join(names)}")


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """The name that is written most like this one; None where none is like it."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


class RunFailed(Exception):
    """A run ended with an exception. The sweep goes on without it and then ends with exit code 1."""

    def __init__(self, folder: str, cause: str) -> None:
        super().__init__(folder, cause)
        self.folder = folder
        self.cause = cause

    def __str__(self) -> str:
        return f"{self.folder}: the run failed ({self.cause}); its triplicate.log tells where"


class RunsFailed(Exception):
    """Some runs of a sweep failed."""

    def __init__(self, failures: Sequence[RunFailed]) -> None:
        super().__init__(failures)
        self.failures = failures

    def __str__(self) -> str:
        return "\n".join(f"error: {failure}" for failure in self.failures).removeprefix("error: ")


class JobLost(RunFailed):
    """Another launcher brought back neither the result of a job nor its error."""

    def __init__(self, cause: str) -> None:
        Exception.__init__(self, cause)
        self.cause = cause

    def __str__(self) -> str:
        remedy = "the same command with output_dir= its folder trains what is missing"
        return f"hydra/launcher: a job was lost ({self.cause}); {remedy}"
