"""What the checks import: the wheels that are carried along, src/, and what is missing. It needs no library itself."""

from __future__ import annotations

import importlib.util
import os
import sys
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

# To train a stack; the rest is for single checks.
NEEDED = ("torch", "hydra", "omegaconf", "antlr4", "yaml", "numpy", "safetensors", "tqdm")
FOR_COMMANDS = ("pandas", "matplotlib", "tabulate", "filelock", "cloudpickle", "scipy", "PIL")
FOR_TESTS = (*FOR_COMMANDS, "pytest", "hypothesis")
FOR_BENCH = ("torchvision", "PIL")

# Names by which they are installed, where these differ.
_INSTALLED_AS = {"hydra": "hydra-core", "antlr4": "antlr4-python3-runtime", "yaml": "pyyaml", "PIL": "pillow"}


def prepare(root: Path, wheels: Path | None, folder: Path) -> str | None:
    """Let this process and those that it starts import from the wheels and from src/.

    Args:
        folder: where the wheels are unpacked.

    Returns:
        What is wrong, in one line; None if nothing is.
    """
    if wheels is not None and not wheels.is_dir():
        return f"--wheels: there is no folder {wheels}; give the one that the wheels lie in"
    folder.mkdir()
    for file in sorted(wheels.iterdir()) if wheels is not None else []:
        unpack(file, folder)
    places = [str(root / "src"), str(root), str(folder)]
    sys.path[:0] = places
    os.environ["PYTHONPATH"] = os.pathsep.join([*places, *filter(None, [os.environ.get("PYTHONPATH")])])
    importlib.invalidate_caches()
    for names, lost in ((FOR_TESTS, "tests"), (FOR_COMMANDS, "workers, memory"), (FOR_BENCH, "the loop of sweep")):
        if absent := missing(names):
            print(f"note: {listed(absent)} missing: skipped: {lost}; give their wheels with --wheels", file=sys.stderr)
    if absent := missing(NEEDED):
        return f"{listed(absent)}: not installed in {sys.executable}; give their wheels with --wheels DIR"
    return None


def unpack(file: Path, folder: Path) -> None:
    """A wheel is a zip file of what is imported, if it is of Python alone or for this Python."""
    if file.suffix != ".whl":
        if file.name.endswith((".tar.gz", ".zip")):
            _leave_out(file, "is a source distribution; make a wheel of it: pip wheel --no-deps FILE")
        return
    python, abi, platform = file.stem.split("-")[-3:]
    own = f"cp{sys.version_info.major}{sys.version_info.minor}"
    if platform != "any" and own not in python.split(".") and abi != "abi3":
        _leave_out(file, f"is for another Python than {own}")
        return
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder)


def missing(names: Iterable[str]) -> list[str]:
    return [name for name in names if importlib.util.find_spec(name) is None]


def listed(names: Sequence[str]) -> str:
    """As pip knows them."""
    return ", ".join(_INSTALLED_AS.get(name, name) for name in names)


def _leave_out(file: Path, why: str) -> None:
    print(f"note: {file.name} {why}", file=sys.stderr)
