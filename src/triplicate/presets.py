"""The configuration files: where they are, and the names in each group."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from triplicate.parts import outside

_PACKAGE = Path(__file__).resolve().parent

# Inside the wheel conf/ lies in the package; in a checkout it stands at the top.
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"


def groups() -> list[str]:
    """The config groups: experiments, then the others in the order in which conf/config.yaml chooses them."""
    defaults = _primary()["defaults"]
    names = [name for entry in defaults if isinstance(entry, dict) for name in entry]
    return ["experiment", *(name for name in names if name != "experiment" and not name.startswith("override "))]


def choices(group: str, beside: Path | None = None) -> list[str]:
    """The names in a config group, such as 'cv2025/learning_rates' in 'experiment'; none for an unknown group.

    Args:
        beside: a folder with more of them, as --config-dir names it.
    """
    roots = (folder / group for folder in (CONF, *outside.conf_folders(), *([beside] if beside else [])))
    files = {path.relative_to(root).with_suffix("").as_posix() for root in roots for path in root.rglob("*.yaml")}
    return sorted(files | {name for kind, name in outside.choices() if kind == group})


def studies() -> list[str]:
    """The studies that have presets, such as 'cv2025'."""
    return sorted({name.partition("/")[0] for name in choices("experiment") if "/" in name})


def hydra_settings() -> Mapping[str, Any]:
    """What conf/config.yaml says of Hydra itself."""
    settings: Mapping[str, Any] = _primary()["hydra"]
    return settings


@functools.cache
def _primary() -> Mapping[str, Any]:
    content: Mapping[str, Any] = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    return content
