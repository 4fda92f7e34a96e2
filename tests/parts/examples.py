"""The examples of docs/parts.md, as files."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "parts.md"
_BLOCK = re.compile(r"^```(?:python|toml|yaml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def texts() -> dict[str, str]:
    """File name → its text."""
    return dict(_BLOCK.findall(PAGE.read_text()))


def write(folder: Path, *names: str) -> list[str]:
    """Write examples into a folder.

    Returns:
        The arguments that name them on a command line.
    """
    arguments = []
    for name in names:
        (folder / name).write_text(texts()[name])
        arguments += ["--parts", str(folder / name)]
    return arguments


def together(*names: str) -> str:
    """The texts of several examples as one."""
    return "\n".join(texts()[name] for name in names)


def install(folder: Path) -> None:
    """Put the package of the page where an installer would, with its entry points."""
    for name, text in texts().items():
        if name.startswith("soft_parts/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    project = tomllib.loads(texts()["pyproject.toml"])["project"]
    install_entries(folder, project["name"], project["version"], project["entry-points"]["triplicate.parts"])


def install_entries(folder: Path, name: str, version: str, entries: Mapping[str, str]) -> None:
    """What an installer writes of a package: its name, version and entry points."""
    information = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = "".join(f"{entry} = {module}\n" for entry, module in entries.items())
    (information / "entry_points.txt").write_text(f"[triplicate.parts]\n{lines}")
