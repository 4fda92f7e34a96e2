"""`triplicate help WORD…`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triplicate import commands
from triplicate.manual.front import front
from triplicate.manual.pages import about, page
from triplicate.manual.sweeping import PAGES

_FOLDER = typer.Option("--config-dir", "-cd", metavar="DIR", exists=True, file_okay=False, help="your own presets")


def command(
    words: Annotated[list[str] | None, typer.Argument(metavar="WORD…", help="none: what --help says")] = None,
    beside: Annotated[Path | None, _FOLDER] = None,
) -> None:
    """Say what a word means: a command, a config group, one of its choices, a key, an experiment or a study.

    Defaults are those of the configuration. `all` lists every group and key.

    Example:

      triplicate help model=cnn
      triplicate help optimizer train.epochs
      triplicate help experiment=cv2025/cnn
    """
    print("\n\n".join(_told(word, beside) for word in words) if words else front(beside))


def _told(word: str, beside: Path | None) -> str:
    if word not in commands.COMMANDS:
        return page(word, beside)
    return "\n\n".join(filter(None, [PAGES.get(word) or commands.usage(word), about(word)]))
