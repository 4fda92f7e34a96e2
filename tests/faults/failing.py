"""Parts for `--parts`, and with them faults: the n-th write below a folder fails, in whichever process it is.

FAULTS says which, and how: `<folder>|<file that counts>|<n>|<fault>`.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from triplicate import Loss, part

# What fails of a write, and how. A write is a file that is opened to be written, or a folder that is made.
FAULTS = {
    "full": errno.ENOSPC,
    "half": errno.ENOSPC,
    "broken": errno.EIO,
    "half broken": errno.EIO,
    "not flushed": errno.EIO,
    "not renamed": errno.EIO,
}


@part("loss_of_no_run")
@dataclass(frozen=True)
class LossOfNoRun(Loss):
    """A file of parts must have one."""

    def outputs(self, classes: int) -> int:
        return classes

    def per_example(self, logits: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, labels, reduction="none")


def _error(fault: str) -> OSError:
    """As the system tells it of a file that is open: without a name."""
    return OSError(FAULTS[fault], os.strerror(FAULTS[fault]))


class _Writing:
    """A file whose writing fails."""

    def __init__(self, file: Any, fault: str) -> None:
        self._file, self._fault = file, fault

    def write(self, content: Any) -> int:
        if self._fault.startswith("half"):
            self._file.write(content[: len(content) // 2])
            self._file.flush()
        raise _error(self._fault)

    def __enter__(self) -> _Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class Faults:
    """Counts the writes below a folder, and lets one fail."""

    def __init__(self, said: str) -> None:
        folder, counter, wanted, self._fault = said.split("|")
        self._folder, self._counter, self._wanted = folder, Path(counter), int(wanted)
        self._failing: set[str] = set()

    def count(self, path: str) -> bool:
        """Count a write, and tell whether it is the one that fails."""
        with self._counter.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            lines = file.read().splitlines()
            file.write(f"{path}\n")
        return len(lines) + 1 == self._wanted

    def patched(self) -> dict[tuple[Any, str], Callable[..., Any]]:
        """What stands in place of what writes: module and name → function."""
        opened, replaced, flushed, made = io.open, os.replace, os.fsync, os.mkdir

        def open_(file: Any, mode: str = "r", *others: Any, **options: Any) -> Any:
            if not set(mode) & set("wax") or not self._is_here(file) or not self.count(str(file)):
                return opened(file, mode, *others, **options)
            if self._fault in ("full", "broken", "half", "half broken"):
                return _Writing(opened(file, mode, *others, **options), self._fault)
            self._failing.add(str(Path(file).resolve()))
            return opened(file, mode, *others, **options)

        def fsync(descriptor: int) -> None:
            if self._fault == "not flushed" and str(Path(f"/proc/self/fd/{descriptor}").readlink()) in self._failing:
                raise _error(self._fault)
            flushed(descriptor)

        def replace(source: Any, target: Any, **options: Any) -> None:
            if self._fault == "not renamed" and str(Path(source).resolve()) in self._failing:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(source), None, str(target))
            replaced(source, target, **options)

        def mkdir(path: Any, *others: Any, **options: Any) -> None:
            if self._is_here(path) and not Path(path).is_dir() and self.count(str(path)):
                raise OSError(FAULTS[self._fault], os.strerror(FAULTS[self._fault]), str(path))
            made(path, *others, **options)

        return {(io, "open"): open_, (os, "fsync"): fsync, (os, "replace"): replace, (os, "mkdir"): mkdir}

    def _is_here(self, path: Any) -> bool:
        return isinstance(path, str | Path) and Path(path).absolute().is_relative_to(self._folder)


@contextmanager
def failing(said: str) -> Iterator[None]:
    """Inside, the faults are there in this process."""
    patched = Faults(said).patched()
    before = {(module, name): getattr(module, name) for module, name in patched}
    for (module, name), function in patched.items():
        setattr(module, name, function)
    try:
        yield
    finally:
        for (module, name), function in before.items():
            setattr(module, name, function)


if __name__.startswith("triplicate_parts_") and os.environ.get("FAULTS"):
    for (_module, _name), _function in Faults(os.environ["FAULTS"]).patched().items():
        setattr(_module, _name, _function)
