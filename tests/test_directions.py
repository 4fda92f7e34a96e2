"""The picture of the way in CONTRIBUTING.md holds: a file imports only what stands below it there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"


def picture() -> list[str]:
    """The places under src/ that the picture lists, from the top down; some stand side by side in one line."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    lines = text.partition("```way\n")[2].partition("```")[0].splitlines()
    return [line.split("  ")[0].strip() for line in lines if line.strip() and not line.startswith("conf/")]


def level(module: str, places: list[str]) -> int | None:
    """How far down a module stands: that of the longest place that it lies in; None for what is not ours."""
    found = [
        (len(name), number)
        for number, line in enumerate(places)
        for name in line.split()
        if module == _dotted(name) or module.startswith(f"{_dotted(name)}.")
    ]
    return max(found)[1] if found else None


def _dotted(place: str) -> str:
    return place.removesuffix("/").removesuffix(".py").replace("/", ".")


def imported(file: Path) -> Iterator[str]:
    """Every module that a file imports, at its top or late."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_imports_go_down() -> None:
    places = picture()
    assert len(places) > 8
    upward = []
    for file in sorted(SOURCE.rglob("*.py")):
        module = ".".join(file.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        if module == "triplicate":
            continue  # its face: names what others may import
        own = level(module, places)
        assert own is not None, f"{module} is not in the picture"
        for name in imported(file):
            other = level(name, places)
            if other is not None and other < own:
                upward.append(f"{module} imports {name}")
    assert upward == []


def test_the_picture_names_what_is_there() -> None:
    for line in picture():
        for name in line.split():
            assert (SOURCE / name).exists(), name


def test_the_way_to_the_step_is_short() -> None:
    """At most twelve files; each is imported by one above it, but for what Hydra finds."""
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("```steps\n")[2].partition("```")[0]
    files = [SOURCE / line.split()[0] for line in text.splitlines()]
    assert files[0].name == "cli.py"
    assert files[-1].name == "step.py"
    assert len(files) <= 12
    for number, file in enumerate(files[3:], start=3):
        module = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        above = [name for earlier in files[:number] for name in imported(earlier)]
        package = module.rpartition(".")[0]
        assert any(name.startswith((module, f"{package}.run_config", f"{package}.workers")) for name in above), module


def test_a_part_names_no_other_kind_of_table() -> None:
    """No list of parts outside their folders: a part's name stands in its own file alone."""
    kinds = ("activations", "initializers", "losses", "optimizers", "schedules", "stopping", "models", "datasets")
    names = {
        file.stem
        for kind in (*kinds, "trackers")
        for file in (SOURCE / "triplicate" / kind).glob("*.py")
        if file.stem not in ("__init__", "none", "default", "random", "step", "constant", "folder", "points", "target")
    }
    quoted = re.compile(r"""["'](\w+)["']""")
    for file in sorted(SOURCE.rglob("*.py")):
        if file.name == "layout.py":
            continue  # it says what older versions wrote
        found = {name for name in quoted.findall(file.read_text()) if name in names} - {file.stem}
        # The help shows an example, and NumPy and torch have words of their own.
        found -= {"tanh", "relu", "adam"} if file.parent.name in ("activations", "initializers") else set()
        assert not found, f"{file.relative_to(SOURCE)} names {sorted(found)}"
