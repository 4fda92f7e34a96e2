"""A command says what it can; a closed pipe, a full disk or a plain terminal never stops it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from triplicate.cli import main
from triplicate.streams import Closed, Steady, steady

QUICK = "-m triplicate --version"
PLAN = "-m triplicate --cfg job"
SRC = Path(__file__).parents[1] / "src"


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of a shell, in which `$python` is this one."""
    environment = {**os.environ, "python": sys.executable, "PYTHONPATH": str(SRC), **variables}
    command = ["bash", "-c", f"set -o pipefail; {line}"]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.parametrize(("reader", "read"), [("| head -1", "task: train\n"), ("2>&1 | true", "")])
def test_a_reader_that_goes_away_is_no_mistake(reader: str, read: str) -> None:
    done = shell(f'"$python" {PLAN} {reader}')
    assert (done.returncode, done.stdout, done.stderr) == (0, read, "")


@pytest.mark.parametrize("where", ["> /dev/full", ">&-"])
def test_output_that_cannot_be_written_is_told_of_at_the_end(where: str) -> None:
    done = shell(f'"$python" {QUICK} {where}')
    assert done.returncode == 1
    assert done.stderr.startswith("error: standard output: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("where", ["2> /dev/full", "2>&-", "<&- 2>&-"])
def test_without_standard_error_it_works_as_ever(where: str) -> None:
    done = shell(f'"$python" {QUICK} {where}')
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("triplicate ")


def test_a_mistake_without_any_stream_has_its_exit_code() -> None:
    assert shell(f'"$python" {QUICK.replace("--version", "--nothing")} <&- >&- 2>&-').returncode == 2


def test_a_terminal_that_knows_few_letters_gets_their_codes() -> None:
    done = shell(f'"$python" {PLAN} "report.title=\'ä±\'"', PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "title: \\xe4\\xb1" in done.stdout


def test_a_sweep_is_trained_whole_where_nothing_can_be_printed(tmp_path: Path) -> None:
    options = f"train.epochs=1 dataset.limit=64 model=mlp model.hidden=[4] seed=0 output_dir={tmp_path / 'out'}"
    done = shell(f'"$python" -m triplicate {options} > /dev/full 2> /dev/full')
    assert done.returncode == 1
    assert (tmp_path / "out" / "table.csv").is_file()
    assert list((tmp_path / "out").rglob("summary.json"))


class Broken:
    """A stream that raises."""

    encoding = "utf-8"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, _: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "full"), ValueError("closed file")])
def test_writing_never_raises(error: Exception) -> None:
    stream = Steady(Broken(error))
    assert stream.write("text") == 4
    stream.writelines(["a", "b"])
    stream.flush()
    assert isinstance(stream.error, OSError)
    assert not Steady(Closed()).isatty()


def test_the_streams_are_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout, sys.stderr
    with steady() as streams:
        print("heard")
        assert sys.stdout is streams.out
        assert streams.lost() is None
    assert (sys.stdout, sys.stderr) == before
    assert main(["--version"]) == 0
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr().out.startswith("heard\ntriplicate ")
