"""When the process that workers are forked from is started before the command line is read."""

import pytest

from triplicate.__main__ import start_early
from triplicate.sweeps import server


@pytest.mark.parametrize(
    ("words", "is_started"),
    [
        ("", True),
        ("dataset=mnist optimizer.lr=0.1,0.01", True),
        ("experiment=cv2025/cnn -q", True),
        ("plan", True),
        ("plan experiment=cv2025/cnn", True),
        ("--config-dir presets reproduce cv2025", True),
        ("-m seed=0", True),
        ("--help", False),
        ("plan -h", False),
        ("--version", False),
        ("--cfg job", False),
        ("--cfg=job dataset=mnist", False),
        ("-sc install=bash", False),
        ("--run seed=0", False),
        ("samples dataset=mnist", False),
        ("report outputs/sweep", False),
        ("list", False),
        ("help model=cnn", False),
    ],
)
def test_it_is_started_for_what_looks_as_if_it_trained(
    monkeypatch: pytest.MonkeyPatch, words: str, is_started: bool
) -> None:
    started = []
    monkeypatch.setattr(server, "start", lambda: started.append(True))
    start_early(words.split())
    assert bool(started) is is_started


def test_it_is_not_started_for_the_tab_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_LINE", "triplicate data")
    monkeypatch.setattr(server, "start", lambda: pytest.fail("it is started"))
    start_early(["dataset=mnist"])


def test_a_mistake_with_it_is_told_of_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("AF_UNIX path too long")

    monkeypatch.setattr(server, "start", fail)
    start_early([])
