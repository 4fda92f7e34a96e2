"""What `triplicate --help` prints: one screen."""

from __future__ import annotations

from pathlib import Path

from triplicate import presets
from triplicate.commands import COMMANDS
from triplicate.manual.text import entries, width

_SWEEPS = (
    ("triplicate", "the quick start, on digits that it draws"),
    ("triplicate experiment=cv2025/cnn", "a published table"),
    ("triplicate dataset=mnist seed=0,1", "your own sweep: key=a,b sweeps"),
)
_FLAGS = (
    ("-q, -v, --no-progress", "say less, say more, no bar"),
    ("--parts FILE, --config-dir DIR", "your own parts, your own presets"),
    ("--cfg job, --hydra-help", "what is composed; Hydra's other flags"),
    ("triplicate help model", "choices; also model=cnn, train.epochs, all"),
    ("triplicate -sc install=bash", "what to eval so that the tab key completes"),
)


def front(beside: Path | None = None) -> str:
    """
    Args:
        beside: a folder with more presets, as --config-dir names it.
    """
    commands = [(f"{name} {command.usage}", command.summary) for name, command in COMMANDS.items()]
    groups = [(f"{group}=", _choices(group, beside)) for group in presets.groups()]
    groups += [(f"+{group}=", _choices(group, beside)) for group in presets.groups_beside(beside)]
    return "\n".join(
        [
            "triplicate: experiments in image classification, three seeds",
            entries(_SWEEPS),
            "\nCommands (triplicate COMMAND --help)",
            entries(commands, in_one_line=True),
            "\nConfig groups (triplicate help GROUP)",
            entries(groups, in_one_line=True),
            "\nFlags and more",
            entries(_FLAGS),
        ]
    )


def _choices(group: str, beside: Path | None) -> str:
    """The names of a group where they are few, else how many and the first of them; of experiments their studies."""
    names = presets.choices(group, beside)
    if group == "experiment":
        return f"{len(names)}: {' '.join(presets.studies(beside))}"
    told = " ".join(names)
    return told if len(told) <= width() - 20 else f"{len(names)}: {told}"
