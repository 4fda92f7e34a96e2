"""A configuration names no code: whatever names some is refused before Hydra builds or calls anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from triplicate.cli import main

TOUCH = "command: touch touched"
CALLED = f"{{_target_: os.system, {TOUCH}}}"
HANDLER = f'{{"()": os.system, {TOUCH}}}'

# What a preset says, and what it is refused for.
PRESETS = {
    f"hydra: {{callbacks: {{x: {CALLED}}}}}": "hydra.callbacks: a configuration names no code",
    f"x: {CALLED}\nhydra: {{callbacks: {{x: '${{x}}'}}}}": "hydra.callbacks: a configuration names no code",
    "hydra: {launcher: {_target_: os.getcwd}}": "hydra.launcher._target_: 'os.getcwd' is no launcher",
    "hydra: {sweeper: {_target_: os.getcwd}}": "hydra.sweeper._target_: 'os.getcwd' is no sweeper",
    "here: os.getcwd\nhydra: {launcher: {_target_: '${here}'}}": "hydra.launcher._target_: 'os.getcwd' is no",
    f"hydra: {{launcher: {{x: {CALLED}}}}}": "hydra.launcher.x",
    f"hydra: {{sweeper: {{rows: [{{optimizer: {CALLED}}}]}}}}": "hydra.sweeper.rows.0.optimizer._target_: import",
    "hydra: {sweeper: {rows: [{+hydra.callbacks.x._target_: os.system}]}}": "import paths are refused",
    "hydra: {sweeper: {params: {+hydra.callbacks.x._target_: os.system}}}": "import paths are refused",
    "hydra: {sweeper: {params: {optimizer: '{_target_: os.system},sgd'}}}": "optimizer: import paths are refused",
    "hydra: {sweeper: {params: {hydra.callbacks: '{x: {_target_: os.system}},{}'}}}": "hydra.callbacks: import paths",
    f"hydra: {{job_logging: {{handlers: {{x: {HANDLER}}}}}}}": "hydra.job_logging.handlers.x.()",
    f"hydra: {{hydra_logging: {{handlers: {{x: {HANDLER}}}}}}}": "hydra.hydra_logging.handlers.x.()",
    f"hydra: {{hydra_logging: {{formatters: {{x: {HANDLER}}}}}}}": "hydra.hydra_logging.formatters.x.()",
    f"hydra: {{hydra_logging: {{filters: {{x: {HANDLER}}}}}}}": "hydra.hydra_logging.filters.x.()",
    "hydra: {hydra_logging: {handlers: {x: {class: subprocess.Popen, args: [touch, touched]}}}}": "is refused",
    "hydra: {job_logging: {handlers: {x: {class: logging.handlers.SocketHandler}}}}": "is refused",
    "here: os.popen\nhydra: {job_logging: {handlers: {x: {class: '${here}'}}}}": "'os.popen' is refused",
    "hydra: {job_logging: {handlers: {x: {class: '${hydra.job.id}'}}}}": "is refused",
    "hydra: {hydra_logging: {handlers: {x: {class: logging.StreamHandler, stream: 'ext://os.environ'}}}}": "is refused",
    "hydra: {hydra_logging: {handlers: {console: {.: {emit: print}}}}}": "hydra.hydra_logging.handlers.console.",
    f"optimizer: {CALLED}": "optimizer._target_: import paths are refused",
    f"report: {{published: {{x: {CALLED}}}}}": "report.published.x._target_: import paths are refused",
    f"extra: [{CALLED}]": "extra._target_: import paths are refused",
}
WAYS = {"a sweep": [], "a plan": ["plan"], "shown": ["--cfg", "job"], "a run": ["--run"], "info": ["--info", "config"]}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(arguments: list[str], message: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert message in printed.err
    assert {path.name for path in elsewhere.iterdir()} == {"mine"}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_names_no_code(preset: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "mine" / "experiment" / "evil.yaml").write_text(f"# @package _global_\n{preset}\n")
    check(["--config-dir", "mine", "experiment=evil"], PRESETS[preset], elsewhere, capfd)


@pytest.mark.parametrize("way", WAYS)
def test_nor_does_it_however_it_is_used(way: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    preset = f"# @package _global_\nhydra: {{callbacks: {{x: {CALLED}}}}}\n"
    (elsewhere / "mine" / "experiment" / "evil.yaml").write_text(preset)
    arguments = [*WAYS[way], "--config-dir", "mine", "experiment=evil"]
    check(arguments, "hydra.callbacks: a configuration names no code", elsewhere, capfd)


@pytest.mark.parametrize("group", ["hydra/launcher", "hydra/sweeper", "hydra/job_logging", "hydra/hydra_logging"])
def test_nor_does_a_file_for_a_group_of_hydra(group: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "mine" / group).mkdir(parents=True)
    handlers = f"version: 1\nroot: {{handlers: [x]}}\nhandlers: {{x: {HANDLER}}}\n"
    content = handlers if group.endswith("logging") else f"_target_: os.system\n{TOUCH}\n"
    (elsewhere / "mine" / group / "evil.yaml").write_text(content)
    check(["--config-dir", "mine", f"{group}=evil"], group.replace("/", "."), elsewhere, capfd)


OVERRIDES = {
    f"+hydra.callbacks.x={CALLED}": "hydra.callbacks.x: import paths are refused",
    f"++hydra.callbacks={{x: {CALLED}}}": "hydra.callbacks: import paths are refused",
    "+hydra/callbacks=evil": "hydra/callbacks: a configuration names no code",
    "++hydra.launcher._target_=os.system": "hydra.launcher._target_: 'os.system' is no launcher",
    "hydra.launcher._target_='os.system'": "hydra.launcher._target_: 'os.system' is no launcher",
    f"+hydra.launcher.x=[{CALLED}]": "hydra.launcher.x: import paths are refused",
    "hydra.sweeper._target_=hydra_plugins.triplicate_launcher.TriplicateLauncher": "is no sweeper",
    f"hydra.sweeper.rows=[{{optimizer: {CALLED}}}]": "hydra.sweeper.rows: import paths are refused",
    f"optimizer={CALLED},sgd": "optimizer: import paths are refused",
    f"optimizer=choice({CALLED},sgd)": "optimizer: import paths are refused",
    "++optimizer._target_=os.system,os.getcwd": "optimizer._target_: import paths are refused",
    f"+a={{b: [{{c: {CALLED}}}]}}": "a: import paths are refused",
    "+hydra.job_logging.handlers.x={class: subprocess.Popen}": "is refused",
    "+hydra.hydra_logging.formatters.x={class: '${device}'}": "hydra.hydra_logging.formatters.x.class",
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_nor_does_a_command(override: str, elsewhere: Path, capfd: pytest.CaptureFixture[str]) -> None:
    check([override], OVERRIDES[override], elsewhere, capfd)


@pytest.mark.parametrize("launcher", ["basic", "joblib", "submitit_local", "triplicate"])
def test_what_is_installed_may_be_chosen(launcher: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--cfg", "hydra", "-p", "hydra.launcher", f"hydra/launcher={launcher}"]) == 0
    assert "_target_" in capfd.readouterr().out
