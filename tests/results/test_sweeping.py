"""`triplicate.sweep`: as the command line, in a process that goes on; in scripts, threads and notebooks."""

from __future__ import annotations

import doctest
import io
import logging
import os
import random
import re
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from nbclient import NotebookClient
from omegaconf.basecontainer import BaseContainer

import triplicate
from tests.datasets.pictures import noise
from triplicate import SweepFailed, UserError
from triplicate.cli import main
from triplicate.reports import draw
from triplicate.sweeps import train

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "python.ipynb"
POINTS = ("dataset=points", "model=mlp", "optimizer.lr=0.1,0.01", "seed=0", "train.epochs=1", "trace=none")
QUIET = ("report.curves=[]",)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every sweep runs in an empty folder, and what this process draws is left out: plots are tested elsewhere."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(draw, "write_run", lambda run: None)


@pytest.fixture(scope="module")
def commanded(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the command line makes of POINTS: its table.csv."""
    folder = tmp_path_factory.mktemp("commanded")
    assert main([*POINTS, *QUIET, "executor.workers=1", f"output_dir={folder / 'out'}"]) == 0
    return (folder / "out" / "table.csv").read_text()


def state() -> dict[str, Any]:
    """All that a sweep might leave behind in a process."""
    return {
        "hydra": {cls.__name__: id(one) for cls, one in Singleton._instances.items()},
        "initialized": GlobalHydra.instance().is_initialized(),
        "resolvers": dict(BaseContainer._resolvers),
        "arguments": list(sys.argv),
        "environment": dict(os.environ),
        "folder": Path.cwd(),
        "signals": {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)},
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "draws": torch.get_rng_state().tolist(),
        "numpy": repr(np.random.get_state()),
        "random": random.getstate(),
        "level": logging.root.level,
        "handlers": list(logging.root.handlers),
        "filters": list(warnings.filters),
        "streams": (sys.stdout, sys.stderr),
        "main": sys.modules["__main__"],
        "gradients": torch.is_grad_enabled(),
    }


def test_a_sweep_is_the_commands_and_leaves_no_state(commanded: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Twice in one process, and silent where asked to be."""
    GlobalHydra.instance().clear()
    handler = logging.StreamHandler(io.StringIO())
    logging.root.addHandler(handler)
    try:
        before = state()
        for workers in (1, 2):
            words = (*POINTS, *QUIET, f"executor.workers={workers}", f"output_dir=out{workers}", "hydra.verbose=true")
            sweep = triplicate.sweep(*words, progress=False)
            assert (sweep.folder / "table.csv").read_text() == commanded
            assert sweep.frame.to_csv(index=False) == commanded
            after = state()
            assert {name for name in before if before[name] != after[name]} == set()
    finally:
        logging.root.removeHandler(handler)
    assert capfd.readouterr() == ("", "")


def test_progress_is_told_on_standard_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    triplicate.sweep(*POINTS, *QUIET, "executor.workers=1")
    told = capsys.readouterr()
    assert told.out == ""
    assert "epoch 1/1" in told.err


MISTAKES = {
    "optimizer.lrr=1": "optimizer.lrr: there is no such key; did you mean optimizer.lr?",
    "mnist": 'mnist: it is no override; write key=value, such as "dataset=mnist"',
    "--multirun": "--multirun: flags are for the command line; see help(triplicate.sweep)",
    "task=plan": "task: sweep trains; leave it out",
    "model.hidden=[0]": "model.hidden: 0 is out of range",
    "dataset=folder": "dataset.path: no folder is named",
    "resume=last": "resume: no sweep of the name sweep is in outputs/sweep; leave resume out",
}


@pytest.mark.parametrize("word", MISTAKES)
def test_a_mistake_is_one_line_and_nothing_is_written(word: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        triplicate.sweep(word)
    assert MISTAKES[word] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert not GlobalHydra.instance().is_initialized()


def test_the_example_of_the_help_runs() -> None:
    (example,) = doctest.DocTestFinder().find(triplicate.sweep, globs={})
    assert doctest.DocTestRunner().run(example).failed == 0
    assert len(example.examples) == 3


def test_mistakes_in_the_other_arguments() -> None:
    with pytest.raises(UserError, match="--config-dir: there is no folder 'nowhere'"):
        triplicate.sweep(*POINTS, config_dir="nowhere")
    with pytest.raises(UserError, match=r"--parts nowhere\.py: there is no such file"):
        triplicate.sweep(*POINTS, parts=["nowhere.py"])
    with pytest.raises(UserError, match="7 is no text; write overrides"):
        triplicate.sweep(7)  # type: ignore[arg-type]


def test_presets_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "presets" / "experiment").mkdir(parents=True)
    text = "# @package _global_\ndefaults:\n  - override /dataset: points\nname: mine\ntrain: {epochs: 1}\n"
    (tmp_path / "presets" / "experiment" / "mine.yaml").write_text(text)
    sweep = triplicate.sweep("experiment=mine", "seed=0", *QUIET, config_dir=tmp_path / "presets", progress=False)
    assert sweep.folder.parent == tmp_path / "outputs" / "mine"


def _failing(monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException]) -> None:
    """The second stack that trains ends with an error."""
    trained, count = train._train, iter(range(100))

    def fail(*arguments: Any) -> None:
        if next(count) == 1:
            raise error()
        trained(*arguments)

    monkeypatch.setattr(train, "_train", fail)


NUMPY = (*POINTS, "model.backend=numpy", *QUIET, "executor.workers=1", "output_dir=out")


def test_runs_that_fail_leave_the_others(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _failing(monkeypatch, lambda: ValueError("a bolt is loose"))
    with pytest.raises(SweepFailed, match="a bolt is loose") as caught:
        triplicate.sweep(*NUMPY, progress=False)
    statuses = [run.status for run in caught.value.sweep.runs]
    assert sorted(statuses) == ["failed", "finished"]
    lost = next(run for run in caught.value.sweep.runs if run.status == "failed")
    assert lost.cause == "a bolt is loose"
    assert caught.value.sweep.best("test_accuracy").status == "finished"
    monkeypatch.undo()


def test_an_interrupt_is_saved_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes in the middle of a step, as from Ctrl-C or a kernel."""
    original = train.fit

    def interrupted(*arguments: Any, **named: Any) -> Any:
        for event in original(*arguments, **named):
            signal.raise_signal(signal.SIGINT)
            yield event

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
    try:
        with monkeypatch.context() as patch:
            patch.setattr(train, "fit", interrupted)
            with pytest.raises(KeyboardInterrupt):
                triplicate.sweep(*NUMPY, progress=False)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert list(Path("out/checkpoints").iterdir())
    assert [run.status for run in triplicate.sweep(*NUMPY, progress=False).runs] == ["finished"] * 2


def test_in_a_thread(commanded: str) -> None:
    found: list[str] = []

    def work() -> None:
        sweep = triplicate.sweep(*POINTS, *QUIET, "executor.workers=2", progress=False)
        found.append(sweep.frame.to_csv(index=False))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [commanded]


APPLICATION = """
import sys
import hydra
import triplicate
from hydra.core.hydra_config import HydraConfig

loaded = {"torch", "pandas", "matplotlib", "hydra_plugins"} & set(sys.modules)
words = WORDS
sweep = triplicate.sweep(*words, "executor.workers=2", progress=False)
assert not loaded, loaded


@hydra.main(version_base="1.3", config_path=None)
def main(config):
    mine = HydraConfig.get().runtime.output_dir
    inner = triplicate.sweep(*words, "executor.workers=1", progress=False)
    assert HydraConfig.get().runtime.output_dir == mine
    print(inner.frame.to_csv(index=False), end="")


print(sweep.frame.to_csv(index=False), end="")
main()
"""


def test_in_a_script_without_a_guard_and_inside_an_application_of_hydra(commanded: str, tmp_path: Path) -> None:
    """Workers do not run the script once more; the application has its own configuration back."""
    (tmp_path / "script.py").write_text(APPLICATION.replace("WORDS", repr([*POINTS, *QUIET])))
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout == commanded * 2


def test_the_example_of_the_page_runs() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(), re.DOTALL)
    for name in ("five.png", "six.png"):
        noise(len(name)).save(name)
    names: dict[str, Any] = {}
    exec(example, names)
    assert len(names["sweep"].frame) == 2
    assert list(names["found"].frame.index) == ["five.png", "six.png"]


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    """Its sweeps, with one and with two workers, give the numbers of the command line."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    source = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    calls = re.findall(r"= triplicate\.sweep\((.*?)\)\n", source, re.DOTALL)
    folders = sorted((tmp_path / "outputs").glob("*/*"))
    assert len(calls) == len(folders) == 2
    for call, folder in zip(calls, folders, strict=True):
        words = [word.replace("workers=2", "workers=1") for word in re.findall(r'"(.*?)"', call)]
        assert main([*words, "output_dir=commanded/" + folder.name]) == 0
        expected = pd.read_csv(tmp_path / "commanded" / folder.name / "table.csv")
        pd.testing.assert_frame_equal(pd.read_csv(folder / "table.csv"), expected, check_exact=True)
    assert {call.count("workers=2") for call in calls} == {0, 1}
    shown = "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", ()))
    assert "<table>" in shown
    assert "image/png" in shown
