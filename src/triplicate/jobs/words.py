"""One override as it is typed, such as `seed=0,1`: read, and what a mistake in it looks like."""

from __future__ import annotations

import functools
import re
import unicodedata

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from triplicate.errors import UserError

_LONGEST = 10_000
_PAIRS = {")": "(", "]": "[", "}": "{"}
_REMEDY = "write key=value, and quote what a shell would take"


def read(word: str) -> Override:
    """Parse an override as Hydra does.

    Raises:
        UserError: it cannot be read.
    """
    check_text(word)
    try:
        override = _parser().parse_override(word)
    except HydraException as error:
        raise _unreadable(word, str(error)) from error
    except RecursionError as error:
        raise UserError(subject(word), "its brackets are nested too deeply", "write a plain value") from error
    except ValueError as error:  # Python reads no number of thousands of digits
        raise UserError(subject(word), "its number is too long", "give one of fewer digits") from error
    if not override.key_or_group:
        raise UserError(word, "it has no key", "write key=value")
    return override


def subject(word: str) -> str:
    """What an error about a word names: its key, or else the word."""
    key = word.partition("=")[0].lstrip("+~").strip()
    return in_short(key or word.strip() or repr(word))


def value(override: Override) -> str:
    """The value of an override as it was typed, for an error."""
    return in_short(override.get_value_string()) or "nothing"


def in_short(text: str, longest: int = 60) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def check_text(word: str) -> None:
    """Refuse what is no text that a file name, a table or a terminal could show.

    Raises:
        UserError: bytes that are no UTF-8, control characters, or very many characters.
    """
    kinds = {unicodedata.category(letter) for letter in word}
    if "Cs" in kinds:
        raise UserError(subject(word), "its bytes are no text in UTF-8", "write it in UTF-8")
    if kinds & {"Cc", "Zl", "Zp"}:
        raise UserError(subject(word), "it has a control character, such as a line break", "leave it out")
    if len(word) > _LONGEST:
        problem = f"it is {len(word):,} characters long, and {_LONGEST:,} are read"
        raise UserError(subject(word), problem, "put long values into a preset")


@functools.cache
def _parser() -> OverridesParser:
    return OverridesParser.create()


def _unreadable(word: str, text: str) -> UserError:
    """What Hydra's parser says, in our words."""
    unknown = re.search(r"Unknown function '([^']*)'\s+Available: (\S+)", text)
    if unknown:
        functions = unknown.group(2).replace(",", ", ")
        return UserError(subject(word), f"there is no function {unknown.group(1)}", f"choose one of {functions}")
    failed = re.search(r"while evaluating '(.*?)': (.*)", text, re.DOTALL)
    if failed:
        call, reason = failed.groups()
        problem = f"{in_short(call)} cannot be computed ({' '.join(reason.split())})"
        return UserError(subject(word), problem, "write it as in choice(1,2) or range(0,3)")
    if re.match(r"token recognition error at: '['\"]", text):
        return UserError(subject(word), "a quote is not closed", _REMEDY)
    if not _match(word):
        return UserError(subject(word), "its brackets do not match", _REMEDY)
    said = " ".join(text.partition(" expecting")[0].split())
    return UserError(subject(word), f"it cannot be read ({in_short(said)})", _REMEDY)


def _match(word: str) -> bool:
    """Whether every bracket is closed by its own kind."""
    still_open: list[str] = []
    for letter in word:
        if letter in _PAIRS.values():
            still_open.append(letter)
        elif letter in _PAIRS and (not still_open or still_open.pop() != _PAIRS[letter]):
            return False
    return not still_open
