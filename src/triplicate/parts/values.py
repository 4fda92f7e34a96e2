"""From composed values to the fields of a dataclass: types and ranges are checked here."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from triplicate.errors import UserError
from triplicate.parts.keys import Key

# As configurations write them.
_PLAIN_WORDS = {"None": "null", "True": "true", "False": "false", "''": "nothing"}
# Tensors, files and other programs count in 64 bits.
_TOO_LARGE = 2**63


def value(hint: Any, given: Any, path: str, key: Key) -> Any:
    """Convert one composed value to the type of its key, and check its range.

    Args:
        path: the dotted key, for errors.

    Raises:
        UserError: the value has the wrong type or is out of range.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if given is None and type(None) in arguments:
            return None
        return value(_member(arguments, given), given, path, key)
    if origin is tuple:
        if not isinstance(given, list | tuple):
            raise _wrong(path, given, "a list", key, "write it as [a,b]")
        return tuple(value(arguments[0], v, path, key) for v in given)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(arguments[1], given, path, key)
    return _CONVERTERS[hint](given, path, key)


def unsupported(cls: type[Any]) -> str | None:
    """What is wrong with the types of a dataclass's fields; None if all of them can be read."""
    try:
        hints = typing.get_type_hints(cls)
    except (NameError, TypeError) as error:
        return f"the type of a key cannot be read ({error})"
    for field in dataclasses.fields(cls):
        if not _is_supported(hints[field.name]):
            return f"the type of the key {field.name} is none that a configuration can hold"
    return None


def _is_supported(hint: Any) -> bool:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return all(_is_supported(a) for a in arguments if a is not type(None))
    if origin is tuple:
        return len(arguments) == 2 and arguments[1] is ... and _is_supported(arguments[0])
    return hint in _CONVERTERS


def _member(hints: Sequence[Any], given: Any) -> Any:
    """The type of a choice of types that a value is meant for: a list for a list, a word for a word."""
    is_list, is_word = isinstance(given, list | tuple), isinstance(given, str)
    fitting = [h for h in hints if (typing.get_origin(h) is tuple) == is_list and (h is str) == is_word]
    return next(h for h in [*fitting, *hints] if h is not type(None))


def _mapping(inner: Any, given: Any, path: str, key: Key) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _wrong(path, given, "a mapping", key, "write it as {name: value}")
    return {str(k): value(inner, v, f"{path}.{k}", key) for k, v in given.items()}


def _wrong(path: str, given: Any, wanted: str, key: Key, remedy: str | None = None) -> UserError:
    default = f"give {wanted}{_behind(key.range())}"
    if isinstance(given, list):
        default += "; to sweep over several write them without brackets, such as 0,1,2"
    shown = _PLAIN_WORDS.get(repr(given), repr(given))
    return UserError(path, f"{shown} is not {wanted}", remedy or default)


def _number(given: Any, path: str, key: Key, wanted: str) -> Any:
    if not key.admits(given):
        problem = f"{given} is {'out of range' if math.isfinite(given) else 'not finite'}"
        raise UserError(path, problem, f"give {wanted}{_behind(key.range())}")
    return given


def _behind(limits: str) -> str:
    return f" {limits}" if limits else ""


def _to_int(given: Any, path: str, key: Key) -> int:
    if isinstance(given, bool) or not isinstance(given, int):
        raise _wrong(path, given, "a whole number", key)
    if abs(given) >= _TOO_LARGE:
        raise UserError(path, "the number has more than 64 bits", f"give a whole number{_behind(key.range())}")
    number: int = _number(given, path, key, "a whole number")
    return number


def _to_float(given: Any, path: str, key: Key) -> float:
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise _wrong(path, given, "a number", key)
    try:
        as_float = float(given) + 0.0  # of the two zeros the one without a sign, so that equal numbers are one run
    except OverflowError as error:
        raise UserError(path, "the number is too large", f"give a number{_behind(key.range())}") from error
    number: float = _number(as_float, path, key, "a number")
    return number


def _to_bool(given: Any, path: str, key: Key) -> bool:
    if not isinstance(given, bool):
        raise _wrong(path, given, "true or false", key)
    return given


def _to_str(given: Any, path: str, key: Key) -> str:
    if isinstance(given, bool | list | dict) or given is None:
        raise _wrong(path, given, "a name", key, f"choose {key.range()}" if key.choices else None)
    text = str(given)
    if key.choices and text not in key.choices:
        raise UserError(path, f"{text!r} is not {key.range()}", f"choose {key.range()}")
    return text


def _to_path(given: Any, path: str, key: Key) -> Path:
    if given == "" or isinstance(given, bool | list | dict) or given is None:
        raise _wrong(path, given, "a folder", key)
    try:
        return Path(str(given)).expanduser()
    except RuntimeError as error:  # ~somebody
        raise UserError(path, f"there is no home folder for {given}", "write the whole path") from error


_CONVERTERS: Mapping[Any, Any] = {
    int: _to_int,
    float: _to_float,
    bool: _to_bool,
    str: _to_str,
    Path: _to_path,
}
