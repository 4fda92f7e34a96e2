"""Each command, key and file that a page names is there. What is shown of an answer was copied from a real session."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from tests.conftest import Configure
from tests.docs.pages import ROOT, blocks, commands, pages, spans
from triplicate import presets
from triplicate.cli import main
from triplicate.commands import COMMANDS
from triplicate.config import RunConfig
from triplicate.errors import UserError

# Of what these name nothing is there: they are somebody's own.
OWN = re.compile(r"mine|\b(recurrent|mixer|elu|mish|light)\b|--config-dir|--parts|DIR\b|^RUN\b|=FILE\b|=[A-Z]+\b")
# A page shows what a mistake looks like.
MISTAKES = ("optimizer.lrr=0.1", "model.filters=[8,8,8,8,8]")
KEYS = {*presets.groups(), *RunConfig.__dataclass_fields__}
OVERRIDES = re.compile(r"[a-z_/.]+=\S+( [a-z_/.]+=\S+)*")


def job_of(words: list[str]) -> list[str]:
    """The last job of a sweep; what is Hydra's own, left out."""
    ours = [word for word in words if not word.startswith("hydra") and not re.search(r"interval\(|glob\(|\$", word)]
    (every,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(ours), None)
    last: list[str] = every[-1]
    return last


def is_of_ours(text: str) -> bool:
    """Whether it is made of overrides that a user could type as they stand."""
    if "…" in text or own(text.split()) or not OVERRIDES.fullmatch(text):
        return False
    return all(re.split("[=./]", word)[0] in KEYS for word in text.split())


def test_commands_compose(configure: Configure) -> None:
    """Each word of a command is a key with a value that it may have."""
    wrong = []
    for page in pages():
        for words in commands(page):
            overrides = [word for word in words if "=" in word]
            if overrides and words[0] not in ("evaluate", "help") and not own(words):
                said = mistake(configure, job_of(overrides))
                wrong += [f"{page.name}: {said}"] if said else []
    assert not wrong, "\n".join(wrong)


def test_keys_that_are_named_compose(configure: Configure) -> None:
    """Those with different keys at once, which is quicker; each by itself only where that is a mistake."""
    named = {tuple(job_of(text.split())): page.name for page in pages() for text in spans(page) if is_of_ours(text)}
    several = [list(words) for words in named if len(words) > 1]
    by_key: dict[str, list[str]] = {}
    for word in (words[0] for words in named if len(words) == 1):
        by_key.setdefault(re.split("[=.]", word)[0], []).append(word)
    for together in itertools.zip_longest(*by_key.values()):
        words = [word for word in together if word is not None]
        several += [[word] for word in words] if mistake(configure, words) else []
    wrong = [f"{named[tuple(words)]}: {said}" for words in several if (said := mistake(configure, words))]
    assert not wrong, "\n".join(wrong)


def mistake(configure: Configure, job: list[str]) -> str:
    """What is wrong with a job; empty where nothing is."""
    try:
        configure(*job, *needed(job))
    except (UserError, HydraException) as error:
        return f"{' '.join(job)}: {error}"
    return ""


def needed(job: list[str]) -> list[str]:
    """A key by itself may need another one: a rule that goes by the validation loss, images for it."""
    goes_by_validation = any(word.startswith("stopping") for word in job)
    return ["dataset.validation=0.2"] if goes_by_validation and not any("validation=" in word for word in job) else []


def own(words: list[str]) -> bool:
    return any(OWN.search(word) or word in MISTAKES for word in words)


def test_commands_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    """And what pages ask help for, it has."""
    found = [words for page in pages() for words in commands(page)]
    assert len(found) >= 50
    for words in found:
        if words and re.fullmatch("[a-z]+", words[0]):
            assert words[0] in COMMANDS, words
        if words[:1] == ["help"] and not own(words):
            assert main(words) == 0, capsys.readouterr().err


def test_yaml_of_a_preset_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = [block for block in blocks(ROOT / "docs" / "sweeps.md", "yaml") if "@package" in block]
    (tmp_path / "experiment" / "mine").mkdir(parents=True)
    (tmp_path / "experiment" / "mine" / "momentum.yaml").write_text(text)
    assert main(["--config-dir", str(tmp_path), "experiment=mine/momentum", "--cfg", "job"]) == 0
    assert "best_test_accuracy" in capsys.readouterr().out


def test_files_that_pages_name_are_there() -> None:
    missing = []
    for page in [*pages(), ROOT / "CONTRIBUTING.md"]:
        for text in spans(page):
            for path in re.findall(r"(?<![\w/])(?:scripts|src|tests|conf)/[\w./-]+", text):
                if not re.search("mine|<|python src", text) and not (ROOT / path).exists():
                    missing.append(f"{page.name}: {path}")
    assert not missing, "\n".join(missing)


def test_all_experiments_stand_in_their_study() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| (.*) \|$", (ROOT / "docs" / "studies.md").read_text(), re.MULTILINE)
    told = {f"{study}/{name}" for study, names in rows for name in re.findall(r"`(\w+)`", names)}
    assert told == {name for name in presets.choices("experiment") if "/" in name}
