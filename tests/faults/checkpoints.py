"""Checkpoints that are not what was written: they are told of, never executed, and the results are the same.

In this process: a sweep is stopped where two checkpoints of its stack are there, and goes on from copies of its folder.
"""

from __future__ import annotations

import pickle
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults.sweeps import Content, Trial, problems
from triplicate.cli import main
from triplicate.files import tensors
from triplicate.records.checkpoints import FOLDER
from triplicate.sweeps import train
from triplicate.training.events import StepsDone

SWEEP = (
    "dataset=xor",
    "model=xor",
    "loss=binary_cross_entropy",
    "optimizer=adam",
    "optimizer.lr=0.1",
    "seed=0,1",
    "train.epochs=4",
    "train.batch_size=2",
    "report.curves=[loss]",
    "executor.workers=1",
)
_EPOCHS_UNTIL_STOPPED = 3


class Dangerous:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self._file,)


class BadCheckpoints:
    """Trials with copies of one sweep that was stopped."""

    def __init__(self, folder: Path, draws: Random) -> None:
        self._folder, self._draws = folder, draws
        self._stopped, self._count = folder / "stopped", 0
        assert main([*SWEEP, f"output_dir={folder / 'peace'}"]) == 0
        self._peace = Content.of(folder / "peace")
        with _stopped_after(_EPOCHS_UNTIL_STOPPED):
            assert main([*SWEEP, f"output_dir={self._stopped}"]) == 128 + signal.SIGTERM
        self.newest, self.earlier = _both(self._stopped)

    def cuts(self, step: int) -> Iterator[bytes]:
        """The newest checkpoint, cut at every so many bytes."""
        content = self.newest.read_bytes()
        return (content[:length] for length in range(0, len(content), step))

    def flips(self, count: int) -> Iterator[bytes]:
        """The newest checkpoint, with a bit flipped."""
        content = self.newest.read_bytes()
        for _ in range(count):
            place = self._draws.randrange(len(content))
            yield content[:place] + bytes([content[place] ^ 1 << self._draws.randrange(8)]) + content[place + 1 :]

    def is_noticed(self, content: bytes) -> bool:
        """Whether such a file is taken for no checkpoint, or for one with the same numbers in it."""
        path = self._folder / "checkpoint.safetensors"
        path.write_bytes(content)
        read, good = tensors.read_checked(path), tensors.read_checked(self.newest)
        assert good is not None
        return read is None or (
            read.values == good.values
            and read.tensors.keys() == good.tensors.keys()
            and all(read.tensors[name].equal(tensor) for name, tensor in good.tensors.items())
        )

    def trial(self, what: str, newest: bytes | None, earlier: bytes | None = None) -> Trial:
        """Let a copy of the sweep go on with other checkpoints.

        Args:
            newest: in place of the newest; None: a folder.
            earlier: in place of the earlier; None: it stays.
        """
        sweep = self._copy()
        path, before = _both(sweep)
        path.unlink()
        if newest is None:
            path.mkdir()
        else:
            path.write_bytes(newest)
        if earlier is not None:
            before.write_bytes(earlier)
        return self._goes_on(what, sweep, path, None if earlier is not None else before)

    def of_a_pickle(self) -> Trial:
        """With a pickle that makes a file when it is read."""
        touched = self._folder / "touched"
        content = pickle.dumps(Dangerous(touched))
        found = self.trial("a pickle with a side effect", content, content)
        return Trial(found.told, [*found.wrong, *["it was executed"] * touched.exists()])

    def _goes_on(self, what: str, sweep: Path, damaged: Path, sound: Path | None) -> Trial:
        with pytest.MonkeyPatch.context() as patch:
            told = list[str]()
            patch.setattr("sys.stderr", _Kept(told))
            patch.setattr("sys.stdout", _Kept([]))
            code = main([*SWEEP, f"output_dir={sweep}"])
        said = "".join(told)
        wrong = problems(sweep, self._peace) if code == 0 else [f"exit code {code}: {said}"]
        if str(damaged) not in said:
            wrong.append(f"it is not told of: {said}")
        if ("go on in epoch" in said) != (sound is not None):
            wrong.append(f"it does not say where it goes on: {said}")
        return Trial(f"{what}: goes on from {'the earlier one' if sound else 'the start'}", wrong)

    def _copy(self) -> Path:
        self._count += 1
        return Path(shutil.copytree(self._stopped, self._folder / f"copy-{self._count}"))


def _both(sweep: Path) -> tuple[Path, Path]:
    """The newest checkpoint, and the earlier."""
    earlier, newest = sorted((sweep / FOLDER).iterdir())
    assert earlier.name.endswith(".earlier.safetensors")
    return newest, earlier


class _Kept:
    """A stream that keeps what is written."""

    encoding = "utf-8"

    def __init__(self, texts: list[str]) -> None:
        self._texts = texts

    def write(self, text: str) -> int:
        self._texts.append(text)
        return len(text)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False


def _stopped_after(epochs: int) -> Any:
    """Inside, a sweep gets SIGTERM at the end of an epoch, and has a checkpoint of each one before."""
    fit = train.fit

    def stopping(*arguments: Any) -> Iterator[Any]:
        for event in fit(*arguments):
            if isinstance(event, StepsDone) and not event.run_steps and event.state().epoch > epochs:
                signal.raise_signal(signal.SIGTERM)
            yield event

    return _Patched(stopping)


class _Patched:
    def __init__(self, stopping: Callable[..., Iterator[Any]]) -> None:
        self._stopping, self._patch = stopping, pytest.MonkeyPatch()

    def __enter__(self) -> None:
        self._patch.setattr(train, "fit", self._stopping)
        self._patch.setattr("triplicate.sweeps.saving._PART", 0)

    def __exit__(self, *_: object) -> None:
        self._patch.undo()
