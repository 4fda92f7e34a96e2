"""The configuration files that come with triplicate: where they are, and the names in each group."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

# Inside the wheel conf/ lies in the package; in a checkout it stands at the top.
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parents[1] / "conf"

GROUPS = (
    "experiment",
    "dataset",
    "model",
    "optimizer",
    "schedule",
    "activation",
    "init",
    "regularization",
    "stopping",
    "trace",
    "executor",
)


def choices(group: str) -> list[str]:
    """The names in a config group, such as 'cv2025/learning_rates' in 'experiment'; none for an unknown group."""
    folder = CONF / group
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


def studies() -> list[str]:
    """The studies that have presets, such as 'cv2025'."""
    return sorted({name.partition("/")[0] for name in choices("experiment") if "/" in name})
