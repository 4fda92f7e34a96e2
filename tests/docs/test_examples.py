"""The Python of the pages runs as it stands there; that of parts.md and python.md has tests of its own."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import ROOT, blocks
from triplicate.parts import outside


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(example: str) -> dict[str, Any]:
    """What its names are when it has run."""
    file = Path("example.py")
    file.write_text(example)
    return runpy.run_path(str(file))


def test_a_run_of_a_stack_is_the_run_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints is what the page says that it prints."""
    page = ROOT / "docs" / "exactness.md"
    (example,) = blocks(page, "python")
    run(example)
    assert capsys.readouterr().out in blocks(page, "")


def test_the_cells_of_a_notebook() -> None:
    (example,) = blocks(ROOT / "docs" / "from-a-notebook.md", "python")
    with outside.loaded([]):
        names = run(example)
    assert list(names["sweep"].frame["activation"]) == ["softplus", "relu"]
