"""What older versions of triplicate wrote, as this one writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of summary.json and config.yaml. The first had the loss among the keys of the training, and all stopping rules in one;
# the second had no hash of the data and of its own files, so that such a run is shown, but never taken for finished.
LAYOUT = 3

# Keys of the third: what they stood at when nobody could set them.
_NEW = {"resume": None, "rerun": None, "on_error": "continue", "objective": None}


def upgraded(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a run as this version has it; one that is of this version is left as it is."""
    new = _NEW | dict(config)
    train = new.get("train")
    if "loss" not in new and isinstance(train, Mapping) and "loss" in train:
        new["loss"] = {"name": train["loss"]}
        new["train"] = {key: value for key, value in train.items() if key != "loss"}
    stopping = new.get("stopping")
    if isinstance(stopping, Mapping) and "name" not in stopping:
        new["stopping"] = _stopping(stopping)
    return new


def _stopping(old: Mapping[str, Any]) -> dict[str, Any]:
    """The one rule that was in force. Where there were two, it names none: no run of this version is the same."""
    keys = {"target": ("target_accuracy", "unchanged"), "patience": ("patience",)}
    in_force = [name for name, of in keys.items() if any(old.get(key) is not None for key in of)]
    name = in_force[0] if len(in_force) == 1 else "none" if not in_force else " and ".join(in_force)
    return {"name": name, "keep": old.get("keep"), **{key: old.get(key) for key in keys.get(name, ())}}
