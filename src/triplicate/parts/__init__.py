"""Parts: what a configuration can name, each a class in one file. This package knows how, not which."""

from triplicate.parts.keys import Key, key
from triplicate.parts.origin import Origin
from triplicate.parts.part import Part, kinds
from triplicate.parts.registry import classes, find, names, part

__all__ = ["Key", "Origin", "Part", "classes", "find", "key", "kinds", "names", "part"]
