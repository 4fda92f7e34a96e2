"""The installed packages, written down once in each sweep."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from triplicate.records import environment


def test_packages_are_noted_once_and_again_where_they_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "environment.json"

    def noted() -> list[dict[str, Any]]:
        environment.note_packages(file)
        starts: list[dict[str, Any]] = json.loads(file.read_text())
        return starts

    (start,) = noted()
    assert {name: start["packages"][name] for name in ("torch", "hydra-core")} == {
        name: version(name) for name in ("torch", "hydra-core")
    }
    assert noted() == [start]
    others = start["packages"] | {"torch": "0.1"}
    monkeypatch.setattr(environment, "_packages", lambda: others)
    assert [entry["packages"]["torch"] for entry in noted()] == [start["packages"]["torch"], "0.1"]
    file.write_text("[{")
    assert [entry["packages"] for entry in noted()] == [others]
