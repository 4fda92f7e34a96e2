"""The configuration files: where they are, and the names in each group."""

from __future__ import annotations

from pathlib import Path

import yaml

from triplicate.parts import outside

_PACKAGE = Path(__file__).resolve().parent

# Inside the wheel conf/ lies in the package; in a checkout it stands at the top.
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"


def groups() -> list[str]:
    """The config groups: experiments, then the others in the order in which conf/config.yaml chooses them."""
    defaults = yaml.safe_load((CONF / "config.yaml").read_text())["defaults"]
    names = [name for entry in defaults if isinstance(entry, dict) for name in entry]
    return ["experiment", *(name for name in names if name != "experiment" and not name.startswith("override "))]


def choices(group: str) -> list[str]:
    """The names in a config group, such as 'cv2025/learning_rates' in 'experiment'; none for an unknown group."""
    roots = (folder / group for folder in (CONF, *outside.conf_folders()))
    files = {str(path.relative_to(root).with_suffix("")) for root in roots for path in root.rglob("*.yaml")}
    return sorted(files | {name for kind, name in outside.choices() if kind == group})


def studies() -> list[str]:
    """The studies that have presets, such as 'cv2025'."""
    return sorted({name.partition("/")[0] for name in choices("experiment") if "/" in name})
