"""The configuration files: where they are, and the names in each group."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from triplicate.errors import UserError
from triplicate.parts import outside

# The same in C, ten times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PACKAGE = Path(__file__).resolve().parent

# Inside the wheel conf/ lies in the package; in a checkout it stands at the top.
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"


def groups() -> list[str]:
    """The config groups: experiments, then the others in the order in which conf/config.yaml chooses them."""
    defaults = _primary()["defaults"]
    names = [name for entry in defaults if isinstance(entry, dict) for name in entry]
    return ["experiment", *(name for name in names if name != "experiment" and not name.startswith("override "))]


def folders(beside: Path | None = None) -> list[Path]:
    """Where configuration files are looked for: triplicate's own, those of packages with parts, and the user's.

    Args:
        beside: a folder with more of them, as --config-dir names it.
    """
    return [CONF, *outside.conf_folders(), *([beside] if beside else [])]


def choices(group: str, beside: Path | None = None) -> list[str]:
    """The names in a config group, such as 'cv2025/learning_rates' in 'experiment'; none for an unknown group.

    Args:
        beside: a folder with more of them, as --config-dir names it.
    """
    roots = (folder / group for folder in folders(beside))
    files = {path.relative_to(root).with_suffix("").as_posix() for root in roots for path in root.rglob("*.yaml")}
    return sorted(files | {name for kind, name in outside.choices() if kind == group})


def groups_beside(beside: Path | None) -> list[str]:
    """The groups that a user's folder adds; they are chosen as in +group=name."""
    folders = beside.iterdir() if beside is not None else ()
    found = {folder.name for folder in folders if folder.is_dir() and any(folder.rglob("*.yaml"))}
    return sorted(found - {*groups(), "hydra"})


def file(group: str, choice: str, beside: Path | None = None) -> Path | None:
    """The file of a choice, the first that Hydra finds; None for a part whose defaults stand in its class."""
    files = (folder / group / f"{choice}.yaml" for folder in folders(beside))
    return next((path for path in files if path.is_file()), None)


def head(path: Path) -> list[str]:
    """The comment that a file begins with, line by line, without Hydra's directive."""
    lines = itertools.takewhile(lambda line: line.startswith("#"), path.read_text(encoding="utf-8").splitlines())
    return [line.lstrip("#").strip() for line in lines if "@package" not in line]


def content(path: Path) -> dict[str, Any]:
    """What a file sets, as it is written.

    Raises:
        UserError: it is no YAML, or no mapping.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), _LOADER)
    except yaml.YAMLError as error:
        raise UserError(str(path), "it is no YAML", "mend the file") from error
    if found is not None and not isinstance(found, dict):
        raise UserError(str(path), "it is no mapping", "write key: value")
    return found or {}


def studies(beside: Path | None = None) -> list[str]:
    """The studies that have presets, such as 'cv2025'."""
    return sorted({name.partition("/")[0] for name in choices("experiment", beside) if "/" in name})


def hydra_settings() -> Mapping[str, Any]:
    """What conf/config.yaml says of Hydra itself."""
    settings: Mapping[str, Any] = _primary()["hydra"]
    return settings


@functools.cache
def _primary() -> Mapping[str, Any]:
    return content(CONF / "config.yaml")


def paragraphs(head: list[str]) -> Iterator[str]:
    """The head of a preset, but for the command, which is its first line."""
    text: list[str] = []
    for line in [*head[1:], ""]:
        if line:
            text.append(line)
        elif text:
            yield " ".join(text)
            text = []
