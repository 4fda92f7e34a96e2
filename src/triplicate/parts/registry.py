"""The parts by kind and name. triplicate's own are found by the names of their files, and imported when asked for."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from triplicate.errors import UserError, unknown_name
from triplicate.parts.keys import Key, keys_of
from triplicate.parts.origin import SCRIPT, hash_of, origin_of
from triplicate.parts.part import Kind, Part, kinds
from triplicate.parts.values import unsupported

P = TypeVar("P", bound=type[Part])

_OWN = __name__.partition(".")[0]
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_RESERVED = ("name", "kind", "origin", "identity")

_CLASSES: dict[tuple[str, str], type[Part]] = {}


def part(name: str) -> Callable[[P], P]:
    """Register a class as a part: `@part("elu")` above `@dataclass(frozen=True)`.

    Raises:
        UserError: the class is not one, has keys without help, or the name is taken.
    """

    def register(cls: P) -> P:
        cls.name = name
        if cls.__module__.partition(".")[0] != _OWN:
            cls.origin = origin_of(cls)
        _check(cls, name)
        _CLASSES[cls.kind, name] = cls
        return cls

    return register


def names(kind: str) -> list[str]:
    """The names of all parts of a kind, sorted."""
    return sorted({*_own_names(kinds()[kind]), *(name for of, name in _CLASSES if of == kind)})


def find(kind: str, name: str, subject: str = "") -> type[Part]:
    """The class of a part.

    Args:
        subject: what an error is about; without it, the kind.

    Raises:
        UserError: there is no such part.
    """
    if (kind, name) not in _CLASSES and name in _own_names(kinds()[kind]):
        importlib.import_module(f"{kinds()[kind].package}.{name}")
    if (kind, name) not in _CLASSES:
        raise unknown_name(subject or kind, name, names(kind))
    return _CLASSES[kind, name]


def classes(kind: str) -> dict[str, type[Part]]:
    """All parts of a kind by name; every file of the kind is imported."""
    return {name: find(kind, name) for name in names(kind)}


def from_outside() -> list[type[Part]]:
    """The parts that are not triplicate's own, in the order in which they were registered."""
    return [cls for cls in _CLASSES.values() if cls.origin is not None]


def is_loaded(module: str, file: Path) -> bool:
    """Whether a module has registered parts, and its file is still the same."""
    found = [cls.origin for cls in from_outside() if cls.__module__ == module]
    return any(origin is not None and origin.version == hash_of(file.read_bytes()) for origin in found)


def from_scripts() -> list[type[Part]]:
    """Those of them that a script or notebook has registered, which no other process can import."""
    return [cls for cls in from_outside() if cls.origin is not None and cls.origin.source == SCRIPT]


def adopt(registered: Sequence[type[Part]]) -> None:
    """Register parts that another process has registered, and sent here."""
    for cls in registered:
        _CLASSES[cls.kind, cls.name] = cls


@contextmanager
def scope() -> Iterator[None]:
    """Parts from outside that are registered inside are gone afterwards."""
    before = dict(_CLASSES)
    try:
        yield
    finally:
        for mark in [mark for mark, cls in _CLASSES.items() if cls.origin is not None and mark not in before]:
            del _CLASSES[mark]


@functools.cache
def _own_names(kind: Kind) -> frozenset[str]:
    """Every file in the folder of a kind is a part; what parts share stands in folders below it."""
    return frozenset(
        module.name for module in pkgutil.iter_modules(sys.modules[kind.package].__path__) if not module.ispkg
    )


def _check(cls: type[Part], name: str) -> None:
    """Refuse what is no part."""
    subject = str(cls.origin.source if cls.origin else cls.__module__)
    kind = kinds().get(getattr(cls, "kind", ""))
    if kind is None or cls is kind.base:
        bases = ", ".join(sorted(kind.base.__name__ for kind in kinds().values()))
        raise UserError(subject, f"{cls.__name__} derives from no kind of part", f"derive it from one of {bases}")
    what = f"{kind.name} {name}"
    if not _NAME.fullmatch(name):
        raise UserError(subject, f"{name!r} is no name for a part", "use letters, digits, - and _, a letter first")
    if "__dataclass_params__" not in vars(cls) or not cls.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        raise UserError(subject, f"{what} is no frozen dataclass", f"put @dataclass(frozen=True) above {cls.__name__}")
    if missing := sorted(getattr(cls, "__abstractmethods__", ())):
        raise UserError(
            subject, f"{what} has no {' and no '.join(missing)}", f"see {kind.base.__name__} for its methods"
        )
    _check_keys(cls, kind, what, subject)
    if owner := _owner(cls, kind, name):
        raise UserError(subject, f"{what} is there already, from {owner}", "give it another name")


def _owner(cls: type[Part], kind: Kind, name: str) -> str | None:
    """Whose the name is already; None where it is free, or where a class is defined anew, as in a notebook's cell."""
    if cls.origin is not None and name in _own_names(kind):
        return _OWN
    taken = _CLASSES.get((kind.name, name))
    if taken is None or (taken.__module__, taken.__qualname__) == (cls.__module__, cls.__qualname__):
        return None
    return taken.origin.source if taken.origin is not None else _OWN


def _check_keys(cls: type[Part], kind: Kind, what: str, subject: str) -> None:
    keys: dict[str, Key] = keys_of(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        remedy = f'write {field.name}: … = key("what it means")'
        if field.name in _RESERVED:
            raise UserError(subject, f"{what} has a key {field.name!r}, which every part has", "call it otherwise")
        if field.name not in keys or not keys[field.name].help.strip():
            raise UserError(subject, f"the key {field.name} of {what} has no help", remedy)
    for name in kind.needs:
        if name not in keys:
            raise UserError(subject, f"{what} has no key {name}", f"every {kind.name} has one: {name}: … = key(…)")
    if problem := unsupported(cls):
        raise UserError(subject, f"{what}: {problem}", "use int, float, bool, str, Path, a tuple of these, or None")
    if keys and not kind.has_group:
        problem = f"{what} has keys ({', '.join(keys)}), but a {kind.name} is a name in a list"
        raise UserError(subject, problem, "register one for each value")
