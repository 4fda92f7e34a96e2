"""Planning in another process gives what planning here gives, and the process of the command loads no torch."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Configure
from tests.sweeps.test_sweep import small
from triplicate.datasets.files import mapped
from triplicate.errors import UserError
from triplicate.sweeps import workers
from triplicate.sweeps.elsewhere import Elsewhere
from triplicate.sweeps.plan import Kept, Run, load
from triplicate.sweeps.planner import Here

WITHOUT_TORCH = """
import sys
from triplicate.cli import main
code = main(sys.argv[1:])
assert "torch" not in sys.modules and "pandas" not in sys.modules
raise SystemExit(code)
"""


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    worker = workers.start(0, 1)
    try:
        yield Elsewhere(worker)
    finally:
        workers.end([worker])


def asked(configure: Configure, folder: Path, *options: str) -> list[Run]:
    names = [f"seed={seed}" for seed in range(3)]
    configs = [configure(name, *options, f"output_dir={folder}") for name in names]
    return [Run(job, config, folder / "runs" / names[job], {}, {}) for job, config in enumerate(configs)]


def test_it_plans_what_is_planned_here(configure: Configure, tmp_path: Path, elsewhere: Elsewhere) -> None:
    runs, here = asked(configure, tmp_path), Here()
    assert elsewhere.survey(runs, is_new=True) == here.survey(runs, is_new=True)
    kept = Kept.in_folder(tmp_path)
    elsewhere.check(kept)
    planned = elsewhere.plan(kept)
    assert planned == here.plan(kept)
    assert sum(len(stack.runs) for stack in planned.stacks) == 3
    files = elsewhere.share(tmp_path, [run.data_key for run in runs])
    assert {key: mapped.read(file).content for key, file in files.items()} == {
        key: dataset.content for key, dataset in load(runs).items()
    }


def test_its_mistakes_are_those_of_here(configure: Configure, tmp_path: Path, elsewhere: Elsewhere) -> None:
    runs = asked(configure, tmp_path, "dataset=mnist", f"data_dir={tmp_path}", "dataset.limit=null")
    with pytest.raises(UserError) as there:
        elsewhere.survey([*runs, runs[0]])
    with pytest.raises(UserError) as here:
        Here().survey([*runs, runs[0]])
    assert str(there.value) == str(here.value)


def test_an_error_of_the_program_says_where_it_was(tmp_path: Path, elsewhere: Elsewhere) -> None:
    with pytest.raises(IndexError) as caught:
        elsewhere.plan(Kept.in_folder(tmp_path))  # nothing was surveyed
    assert "surveyed.runs[0]" in "".join(caught.value.__notes__)


def test_a_process_that_is_gone_is_told_of(configure: Configure, tmp_path: Path, elsewhere: Elsewhere) -> None:
    pid = elsewhere._worker.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(UserError, match="ended with code -9, as it does where memory is short"):
        elsewhere.survey(asked(configure, tmp_path))


def test_a_command_loads_no_torch(tmp_path: Path) -> None:
    """And draws, and writes its tables."""
    words = small("seed=0,1,2", "optimizer.lr=0.1,0.01", "train.epochs=1", f"output_dir={tmp_path}")
    command = [sys.executable, "-c", WITHOUT_TORCH, *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "table.csv").is_file()
    assert len(list(tmp_path.glob("runs/*/plots/loss.png"))) == 6
