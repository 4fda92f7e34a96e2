"""What a part is, and what kinds of parts there are."""

from __future__ import annotations

import dataclasses
from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from triplicate.parts.origin import Origin


@dataclass(frozen=True)
class Kind:
    """A kind of part, declared by its base class.

    Attributes:
        name: such as 'model'; also that of its config group.
        base: the class that its parts derive from.
        package: the package whose files are triplicate's own parts of this kind, one each, named as the part.
        has_group: chosen by a config group (`model=mlp`), not by a name in a list (`report.figures=[filters]`).
        several: a run may have several of its parts, each under its name (`tracker=[one,other]`), or none.
        per_run: runs of one stack may have different parts of this kind, with different keys.
        needs: keys that every part of this kind must have.
    """

    name: str
    base: type[Part]
    package: str
    has_group: bool
    several: bool
    per_run: bool
    needs: tuple[str, ...]


_KINDS: dict[str, Kind] = {}


class Part(ABC):
    """What a configuration can name: a frozen dataclass of its keys, with a method that makes the thing.

    Each kind has a base class below this one, which says what its parts must do.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    origin: ClassVar[Origin | None] = None
    """None for triplicate's own parts."""

    def __init_subclass__(
        cls,
        kind: str = "",
        has_group: bool = True,
        several: bool = False,
        per_run: bool = False,
        needs: tuple[str, ...] = (),
    ) -> None:
        """Args: `kind` is given by a base class, and declares a kind of part; the others as in `Kind`."""
        super().__init_subclass__()
        if kind:
            cls.kind = kind
            _KINDS[kind] = Kind(kind, cls, cls.__module__, has_group, several, per_run, needs)

    def identity(self) -> dict[str, object]:
        """What of its keys bears on the result, by name: parts of one name and identity give the same results.

        All keys with their values, unless a part says otherwise: where something is does not count, what it holds does.
        So one with the path of a file gives a hash of the file's bytes in its place; a data set only leaves the path
        out, as `Dataset.content` counts by itself.

        Raises:
            UserError: a file that counts cannot be read.
        """
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]


def kinds() -> Mapping[str, Kind]:
    """The kinds of parts whose packages have been imported, by name."""
    return MappingProxyType(_KINDS)
