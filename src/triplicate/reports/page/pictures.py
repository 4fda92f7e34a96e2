"""The pictures of a page: those plots that it does not draw itself, within it or as links."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from triplicate.reports.page.curves import names
from triplicate.reports.tables import Table

# What a page draws itself.
_DRAWN = ("loss", "accuracy", "gradients", "confusion", "steps")
# Bytes of one picture, and of all, that a page holds.
_LARGEST, _ROOM = 250_000, 1_000_000


@dataclass(frozen=True)
class Picture:
    """One plot.

    Attributes:
        source: where it is: the file itself as a data URI; empty where it is only linked.
        link: relative to the folder of the sweep.
    """

    name: str
    caption: str
    source: str
    link: str


def pictures(table: Table, folder: Path) -> tuple[Picture, ...]:
    """Those that compare the rows, then of each row those of its first run, as many as a page may hold; else links."""
    room, found = _ROOM, []
    for name, caption, path in _files(table, folder):
        size = path.stat().st_size
        is_held = size <= min(_LARGEST, room)
        room -= size if is_held else 0
        source = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" if is_held else ""
        found.append(Picture(name, caption, source, link_to(path, folder)))
    return tuple(found)


def link_to(path: Path, folder: Path) -> str:
    """From a page in a folder to a file below it."""
    return quote(path.relative_to(folder).as_posix())


def _files(table: Table, folder: Path) -> Iterator[tuple[str, str, Path]]:
    for path in sorted(folder.glob("*.png")):
        if not path.stem.endswith("_curves") and not path.stem.startswith("gradient_"):
            yield _in_words(path), "", path
    shown = zip(names(table.rows), table.rows, strict=True)
    of_runs = [(name, run) for name, row in shown for run in row.settled[:1]]
    by_name: dict[str, list[tuple[str, str, Path]]] = {}
    for name, run in of_runs:
        for path in sorted((run.path / "plots").glob("*.png")):
            if path.stem not in _DRAWN:
                caption = f"{name}, seed {run.summary['seed']}"
                by_name.setdefault(path.stem, []).append((_in_words(path), caption, path))
    for files in by_name.values():
        yield from files


def _in_words(path: Path) -> str:
    return path.stem.replace("_", " ")
