"""The pages that a user reads: README.md and docs/, and what is found in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Generated from what was measured: their commands were run.
GENERATED = ("results.md", "results/")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(?:\$ )?(?:scripts/run|triplicate)( .*)?$")
# What stands behind a command to explain it begins after two spaces.
_EXPLAINED = re.compile(r" {2,}\S.*$")


def pages() -> list[Path]:
    """Those that are written by hand."""
    docs = ROOT / "docs"
    found = [page for page in sorted(docs.rglob("*.md")) if not str(page.relative_to(docs)).startswith(GENERATED)]
    return [ROOT / "README.md", *found]


def blocks(page: Path, language: str) -> list[str]:
    """The texts of the code blocks in a language."""
    return [text for found, text in _FENCE.findall(page.read_text()) if found == language]


def spans(page: Path) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", _FENCE.sub("", page.read_text()))


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each command line, without `scripts/run`; those with a … are no commands but forms of one."""
    for block in blocks(page, ""):
        for line in block.replace("\\\n", " ").splitlines():
            found = _COMMAND.match(line)
            if found and "…" not in line:
                joined = re.sub(r"(\S) {2,}(?=\S+=)", r"\1 ", found[1] or "")
                yield shlex.split(_EXPLAINED.sub("", joined))
