"""The experiments of the studies, as the pages of their results tell of them."""

from __future__ import annotations

from triplicate import presets
from triplicate.reports.studies.measured import Preset


def study_presets() -> list[Preset]:
    """All that belong to a study, by name."""
    return [_preset(name) for name in presets.choices("experiment") if "/" in name]


def _preset(name: str) -> Preset:
    path = presets.file("experiment", name)
    assert path is not None, "an experiment is always a file"
    content = presets.content(path)
    report = content["report"]
    return Preset(
        name=name,
        title=report["title"],
        about=tuple(presets.paragraphs(presets.head(path))),
        published=report.get("published", {}),
        needs_gpu=report.get("needs") == "gpu",
        is_shown=content.get("task") == "samples",
    )
