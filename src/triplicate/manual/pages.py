"""`triplicate help WORD`: a page for a group, a choice, a key, or all of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from triplicate import presets
from triplicate.commands import COMMANDS
from triplicate.config import KnownKey, flatten, groups, known_keys, several, unknown_key
from triplicate.errors import UserError, nearest_name, unknown_name
from triplicate.jobs.rows import typed
from triplicate.manual import experiments
from triplicate.manual.composed import composed
from triplicate.manual.text import entries, filled
from triplicate.measures import Measure
from triplicate.measures.shared.names import columns
from triplicate.parts import Key, Part, find, kinds, names, outside
from triplicate.parts.keys import keys_of
from triplicate.reports.figures import Figures


def page(word: str, beside: Path | None) -> str:
    """What there is to say of a word: `model`, `model=cnn`, `train`, `train.epochs`, `cv2025`, `all`.

    Args:
        beside: a folder with more presets, as --config-dir names it.

    Raises:
        UserError: nothing is called so.
    """
    word = word.lstrip("+")
    group, equals, choice = word.partition("=")
    if word == "all":
        return everything(beside)
    if equals and _is_group(group, beside):
        return _choice(group, choice, beside)
    if word == "experiment":
        return experiments.listed(presets.choices("experiment", beside), beside)
    if word in presets.studies(beside):
        return experiments.listed(
            [c for c in presets.choices("experiment", beside) if c.startswith(f"{word}/")], beside
        )
    if _is_group(word, beside) or word in groups():
        return _group(word, beside)
    if word in known_keys():
        return _key(word, beside)
    return _guessed(word, beside)


def about(word: str) -> str | None:
    """The keys of a group that is named as a command is, such as `report`; None where there is none."""
    return _group(word, None) if word in groups() else None


def everything(beside: Path | None) -> str:
    """Every group with all its choices, and every key."""
    names = [f"{group}=" for group in presets.groups()] + [f"+{group}=" for group in presets.groups_beside(beside)]
    choices = entries((name, " | ".join(presets.choices(name.strip("+="), beside))) for name in names)
    keys = entries((name, _meaning(entry)) for name, known in known_keys().items() for entry in known)
    return f"Config groups\n{choices}\n\nKeys (key=value sets, key=a,b sweeps)\n{keys}"


def _is_group(group: str, beside: Path | None) -> bool:
    return group in presets.groups() or group in presets.groups_beside(beside)


def _guessed(word: str, beside: Path | None) -> str:
    """A choice that stands in one group needs no group before it."""
    if "=" in word:
        group = word.partition("=")[0].lstrip("+")
        if group in known_keys():
            return _key(group, beside)
        raise unknown_name(group, group, [*presets.groups(), *known_keys()])
    found = [group for group in presets.groups() if word in presets.choices(group, beside)]
    if len(found) == 1:
        return _choice(found[0], word, beside)
    if found:
        words = " or ".join(f"{group}={word}" for group in found)
        raise UserError("help", f"{word!r} is a choice of several groups", f"write triplicate help {words}")
    if "." in word:
        raise unknown_key(word)
    known = [*COMMANDS, *presets.groups(), *groups(), *presets.studies(beside), *known_keys(), "all"]
    choices = [choice for group in presets.groups() for choice in presets.choices(group, beside)]
    nearest = nearest_name(word, [*known, *choices])
    raise UserError(
        "help", f"there is no {word!r}", f"did you mean {nearest}?" if nearest else "see triplicate help all"
    )


def _group(group: str, beside: Path | None) -> str:
    """The choices of a group, and the keys that all of them have."""
    chosen = presets.choices(group, beside)
    if not chosen:
        return f"{group}\n{_common_keys(group, beside)[1]}"
    mark = "" if group in presets.groups() else "+"
    count = f"{len(chosen)} choice{'s' * (len(chosen) != 1)}"
    told = ((f"{mark}{group}={choice}", _summary(group, choice, beside)) for choice in chosen)
    paragraphs = [f"{group}: {count}\n{entries(told, in_one_line=True)}"]
    if group in groups() and keys_of(groups()[group]):
        default, keys = _common_keys(group, beside)
        paragraphs.append(f"Keys of every choice, with what {group}={default} sets\n{keys}")
    if group in several():
        paragraphs.append(f"None is chosen unless it is said; several as in {group}=[{','.join(chosen[:2])}]")
    paragraphs.append(f"triplicate help {group}={chosen[0]}: its keys")
    return "\n\n".join(paragraphs)


def _common_keys(group: str, beside: Path | None) -> tuple[str | None, str]:
    """What is chosen of a group unless it is said, and the keys that any of its choices has."""
    with composed([], beside) as composition:
        values = composition.values[group]
        return composition.choices.get(group), _keys(group, keys_of(groups()[group]), values)


def _summary(group: str, choice: str, beside: Path | None) -> str:
    """A line on a choice: the docstring of a part, the comment of a preset over one."""
    path = presets.file(group, choice, beside)
    said = presets.head(path) if path is not None else []
    part = _part(group, choice)
    if part is None and path is not None and not said:
        part = _part(group, str(presets.content(path).get("name")))
    return " ".join(said) if part is None else _docstring(part).partition("\n")[0]


def _part(group: str, name: str) -> type[Part] | None:
    """The class of a part; None where a choice is none by itself."""
    if group not in kinds() or name not in names(group):
        return None
    return find(group, name)


def _docstring(cls: type[Any]) -> str:
    lines = [line.strip() for line in (cls.__doc__ or "").strip().splitlines()]
    return "\n".join(lines)


def _choice(group: str, choice: str, beside: Path | None) -> str:
    known = presets.choices(group, beside)
    if choice not in known:
        raise unknown_name(group, choice, known)
    if group == "experiment":
        return experiments.page(choice, beside)
    path = presets.file(group, choice, beside)
    head = filled(" ".join(presets.head(path))) if path is not None else ""
    if group not in groups() and group not in several():
        found = flatten(presets.content(path)) if path is not None else ()
        settings = [(f"{key}={typed(value)}", _of(key)) for key, value in found if key != "defaults"]
        told = entries(settings) if settings else "It sets nothing."
        return "\n\n".join(filter(None, [f"{group}={choice}", head, told]))
    with composed([f"{group}={choice}"], beside) as composition:
        values = composition.values[group]
    place = group
    if group in several():
        values, place = values[choice], f"{group}.{choice}"
    cls: type[Any] = {**groups(), **several()}[group]
    about = ""
    if issubclass(cls, Part):
        cls = find(cls.kind, str(values["name"]), f"{group}.name")
        paragraphs = _docstring(cls).partition("\n\nAttributes:")[0].split("\n\n")
        about = "\n\n".join(filled(paragraph.replace("\n", " ")) for paragraph in paragraphs)
    named = f" ({values['name']})" if values.get("name", choice) != choice else ""
    keys = _keys(place, keys_of(cls), values) or "It has no keys."
    return "\n\n".join(filter(None, [f"{group}={choice}{named}", about, head, keys]))


def _of(name: str) -> str:
    """What a key means, whatever part has it."""
    known = known_keys().get(name, [])
    return _meaning(known[0]) if known else ""


def _keys(group: str, keys: Mapping[str, Key], values: Mapping[str, Any]) -> str:
    """Keys with their values, as they are typed."""
    pairs = ((name, key) for name, key in keys.items() if name in values)
    return entries((f"{group}.{name}={typed(values[name])}", _meaning(KnownKey(key))) for name, key in pairs)


def _key(name: str, beside: Path | None) -> str:
    """A key: each of its meanings, and its defaults."""
    known = known_keys()[name]
    said = "\n".join(filled(_meaning(entry)) for entry in known)
    group, key = name.partition(".")[0], name.rpartition(".")[2]
    if not any(entry.parts for entry in known):
        with composed([], beside) as composition:
            return f"{name}={typed(_inside(composition.values, name))}\n\n{said}"
    found: dict[str, list[str]] = {}
    for choice in presets.choices(group, beside):
        written = _written(group, choice, beside)
        if key in written and (group not in several() or name.startswith(f"{group}.{written['name']}.")):
            found.setdefault(typed(written[key]), []).append(choice)
    defaults = entries((f"{name}={value}", f"with {group}={', '.join(who)}") for value, who in found.items())
    return f"{name}\n\n{said}\n\n{defaults}"


def _written(group: str, choice: str, beside: Path | None) -> Mapping[str, Any]:
    """What a choice sets of its group, with what the choices set that its file begins with."""
    path = presets.file(group, choice, beside)
    if path is None:
        return outside.choices().get((group, choice), {})
    content = presets.content(path)
    found: dict[str, Any] = {}
    for entry in content.get("defaults", ()):
        if isinstance(entry, str) and entry not in ("_self_", choice):
            found |= _written(group, entry, beside)
    return found | content


def _inside(values: Mapping[str, Any], name: str) -> Any:
    """The value of a dotted key."""
    found: Any = values
    for step in name.split("."):
        found = found[step]
    return found


def _meaning(known: KnownKey) -> str:
    key = known.key
    choices = ""
    if key.parts == Figures.kind:
        choices = f": {', '.join(names(Figures.kind))}"
    elif key.parts == Measure.kind:
        choices = f": {', '.join(columns())}"
    limits = ", ".join(filter(None, [key.unit, key.range()]))
    said = "; ".join(filter(None, [", ".join(known.parts), limits]))
    return f"{key.help}{choices}{f' ({said})' if said else ''}"
