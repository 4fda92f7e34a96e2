"""The help on experiments: by study, and each with its rows and what is published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from triplicate import presets
from triplicate.config import flatten
from triplicate.jobs.rows import typed
from triplicate.jobs.sweep import jobs_of
from triplicate.manual.composed import composed
from triplicate.manual.text import entries, filled

_MOST_ROWS = 24


def listed(names: Sequence[str], beside: Path | None) -> str:
    """Experiments with their titles, study by study."""
    studies: dict[str, list[str]] = {}
    for name in names:
        studies.setdefault(name.partition("/")[0] if "/" in name else "", []).append(name)
    lists = [_study(study, members, beside) for study, members in studies.items()]
    return "\n\n".join([*lists, f"triplicate help experiment={names[-1]}: more"])


def _study(study: str, names: Sequence[str], beside: Path | None) -> str:
    head = f"{study} (triplicate reproduce {study})\n" if study else ""
    return head + entries(((f"experiment={name}", _title(name, beside)) for name in names), in_one_line=True)


def _title(name: str, beside: Path | None) -> str:
    path = presets.file("experiment", name, beside)
    report = presets.content(path).get("report") if path is not None else None
    return str(report.get("title", "")) if isinstance(report, dict) else ""


def page(name: str, beside: Path | None) -> str:
    """One experiment: its title, the head of its file, what it sets, its rows, and what is published.

    Raises:
        UserError: its file is not as it must be.
    """
    path = presets.file("experiment", name, beside)
    assert path is not None, "an experiment is always a file"
    content = presets.content(path)
    rows, runs = _rows(name, beside)
    shown = [*rows[:_MOST_ROWS], *([f"… and {len(rows) - _MOST_ROWS} more"] if len(rows) > _MOST_ROWS else [])]
    parts = [
        "\n".join(filter(None, [f"experiment={name}", _title(name, beside)])),
        *(filled(text) for text in presets.paragraphs(presets.head(path))),
        _settings(content),
        f"{len(rows)} row{'s' * (len(rows) != 1)}, {runs} run{'s' * (runs != 1)}\n" + entries((r, "") for r in shown),
        _published(content),
    ]
    return "\n\n".join(filter(None, parts))


def _settings(content: Mapping[str, Any]) -> str:
    settings = entries((word, "") for word in _words(content))
    return f"It sets\n{settings}" if settings else ""


def _words(content: Mapping[str, Any]) -> Iterator[str]:
    """What a preset sets, as overrides; what it is called, shows and sweeps stands elsewhere."""
    for entry in content.get("defaults", ()):
        for key, choice in entry.items() if isinstance(entry, dict) else ():
            yield f"{key.removeprefix('override ').lstrip('/')}={choice}"
    others = {key: value for key, value in content.items() if key not in ("defaults", "name", "report", "hydra")}
    yield from (f"{key}={typed(value)}" for key, value in flatten(others))


def _rows(name: str, beside: Path | None) -> tuple[list[str], int]:
    """The rows of its table, as they are typed, and how many runs they have."""
    with composed([f"experiment={name}"], beside) as composition:
        jobs = jobs_of(composition.config, composition.loader, [])
    rows = [" ".join(word for word in job if not word.startswith(("seed=", "hydra."))) for job in jobs]
    return [row or "(as it is set)" for row in dict.fromkeys(rows)], len(jobs)


def _published(content: Mapping[str, Any]) -> str:
    report = content.get("report")
    published = report.get("published") if isinstance(report, dict) else None
    if not isinstance(published, dict) or not published:
        return ""
    return "Published\n" + entries((str(row), _numbers(measures)) for row, measures in published.items())


def _numbers(measures: Any) -> str:
    pairs: Iterable[tuple[str, Any]] = measures.items() if isinstance(measures, dict) else ()
    return ", ".join(f"{name} {value}" for name, value in pairs)
