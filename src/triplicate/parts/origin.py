"""Where a part from outside came from, and which text of it: what makes two versions of it differ."""

from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

SCRIPT = "script or notebook"

ENTRY_POINTS = "triplicate.parts"


@dataclass(frozen=True)
class Origin:
    """Where a part from outside came from.

    Attributes:
        source: the name of its file, or its package with the version, or 'script or notebook'.
        version: the first 12 hex digits of the SHA-256 of its text.
    """

    source: str
    version: str

    def __str__(self) -> str:
        return f"{self.source} ({self.version})"


@functools.cache
def entries(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """What the packages on a path bring: to look takes a while, and is done once."""
    return tuple(entry_points(group=ENTRY_POINTS))


def package_of(entry: EntryPoint) -> str:
    """The installed package that an entry point is of, with its version."""
    distribution = entry.dist
    return f"{distribution.name} {distribution.version}" if distribution is not None else entry.module


def origin_of(cls: type[Any]) -> Origin:
    """The origin of a class that somebody else has written."""
    module = cls.__module__
    file = getattr(sys.modules[module], "__file__", None)
    if file is None:
        return Origin(SCRIPT, hash_of("\n".join(_definition(cls, set())).encode()))
    if module == "__main__":
        return Origin(SCRIPT, hash_of(Path(file).read_bytes()))
    top = module.partition(".")[0]
    packages = [package_of(entry) for entry in entries(tuple(sys.path)) if entry.module.partition(".")[0] == top]
    return Origin(packages[0] if packages else Path(file).name, hash_of(Path(file).read_bytes()))


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _definition(thing: object, seen: set[int]) -> Iterator[str]:
    """What a class or function of a notebook is made of, and those of the notebook that it uses: it has no file."""
    if id(thing) in seen or getattr(thing, "__module__", None) != "__main__":
        return
    seen.add(id(thing))
    if isinstance(thing, type):
        yield thing.__qualname__
        for used in (*thing.__bases__, *vars(thing).values()):
            yield from _definition(getattr(used, "fget", used), seen)
        yield from (f"{name}={value!r}" for name, value in vars(thing).items() if _is_setting(name, value))
    elif isinstance(thing, FunctionType):
        yield from _code(thing.__code__)
        for used in (thing.__globals__.get(name) for name in thing.__code__.co_names):
            if isinstance(used, _PLAIN):
                yield repr(used)
            yield from _definition(used, seen)


_PLAIN = (bool, int, float, str, tuple)


def _is_setting(name: str, value: object) -> bool:
    return isinstance(value, _PLAIN) and not name.startswith("__")


def _code(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield repr((code.co_names, [c for c in code.co_consts if not isinstance(c, CodeType)]))
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _code(inner)
