"""What becomes of a signal; whole commands that get signals are in tests/faults."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from triplicate.sweeps.interruption import SIGNALS, Interrupted, raised


def _break_in_the_middle(number: int) -> None:
    try:
        signal.raise_signal(number)
    finally:
        raise AttributeError


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interruption_that_others_make_an_error_of_is_one(
    number: signal.Signals, request: pytest.FixtureRequest
) -> None:
    """OmegaConf's own cleaning up fails where it is left in the middle."""
    before = signal.signal(number, signal.SIG_DFL)  # in the background of a shell it would be ignored
    request.addfinalizer(lambda: signal.signal(number, before))
    with pytest.raises(Interrupted) as ended, raised():
        _break_in_the_middle(number)
    assert ended.value.exit_code == 128 + number


def test_ctrl_c_while_the_command_is_imported_ends_it_silently(tmp_path: Path) -> None:
    """Instead of Hydra there is a module that gets it."""
    (tmp_path / "hydra.py").write_text(
        "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\nsignal.raise_signal(signal.SIGINT)\n"
    )
    paths = os.pathsep.join([str(tmp_path), *sys.path])
    command = [sys.executable, "-m", "triplicate", "--version"]
    ended = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
