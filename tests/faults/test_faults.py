"""The short form of scripts/faults: a few faults of each kind, drawn by a seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.faults.checkpoints import BadCheckpoints
from tests.faults.commands import Forked, undrawn
from tests.faults.kills import Kills
from tests.faults.signals import CODES, Signals
from tests.faults.writes import Writes


@pytest.fixture(scope="module")
def forked() -> Iterator[Forked]:
    starter = Forked(drawing=False)
    yield starter
    starter.close()


@pytest.fixture
def draws() -> Random:
    return Random(1)


def test_a_killed_sweep_goes_on_as_if_nothing_had_been(forked: Forked, tmp_path: Path, draws: Random) -> None:
    kills = Kills(forked, "numpy", tmp_path, draws, most=1)
    for phase in ("training", "writing a checkpoint"):
        trial = kills.trial(phase, workers=2)
        assert not trial.wrong, trial.told


def test_a_write_that_fails_is_a_line_and_the_next_command_completes_the_sweep(
    forked: Forked, tmp_path: Path, draws: Random
) -> None:
    writes = Writes(forked, tmp_path, workers=2)
    trial = writes.trial(draws.randrange(2, writes.count()), "half broken")
    assert not trial.wrong, trial.told


def test_signals(forked: Forked, tmp_path: Path, draws: Random) -> None:
    signals = Signals(forked, tmp_path, workers=2)
    one, other = draws.sample(list(CODES), 2)
    for trial in (signals.trial(one, 0.1, twice=True), signals.at_the_start(other, 0.3), signals.ignored()):
        assert not trial.wrong, trial.told


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadCheckpoints]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("triplicate.reports.plots.canvas.png", undrawn)
        yield BadCheckpoints(tmp_path_factory.mktemp("checkpoints"), Random(1))


def test_every_damage_of_a_checkpoint_is_noticed(bad: BadCheckpoints) -> None:
    assert all(bad.is_noticed(content) for content in bad.cuts(37))
    assert all(bad.is_noticed(content) for content in bad.flips(100))


@pytest.mark.parametrize("what", ["flipped", "both cut", "a folder"])
def test_a_sweep_goes_on_from_the_checkpoint_that_is_whole_or_anew(bad: BadCheckpoints, what: str) -> None:
    content = bad.newest.read_bytes()
    trial = {
        "flipped": lambda: bad.trial(what, next(bad.flips(1))),
        "both cut": lambda: bad.trial(what, content[:-1], b""),
        "a folder": lambda: bad.trial(what, None),
    }[what]()
    assert not trial.wrong, trial.told


def test_nothing_of_a_checkpoint_is_executed(bad: BadCheckpoints) -> None:
    trial = bad.of_a_pickle()
    assert not trial.wrong, trial.told
