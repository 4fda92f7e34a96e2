"""The pages: one with every published number, and one for each study with its tables and pictures."""

from __future__ import annotations

import html
import io
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import tabulate
from PIL import Image

from triplicate.files import atomic
from triplicate.records.run_folder import Damaged, read_json
from triplicate.records.training_time import seconds_in_training
from triplicate.reports.draw import INDEX
from triplicate.reports.studies.measured import KINDS, Claim, Measured, Preset
from triplicate.reports.studies.tried import Trial, compared, trials

_COMMAND = "`scripts/results FOLDER`"
# A page with thirty pictures should still load at once.
_LARGEST_PICTURE = 60_000
_WIDTHS = (900, 720, 560, 420, 320)
_COLOURS = 64


def write(presets: Sequence[Preset], folder: Path, pages: Path, tried: Path | None = None) -> Mapping[str, int]:
    """Write README.md, a page for each study and its pictures; pages that are there already are replaced.

    Args:
        folder: with a sweep for each preset, as `triplicate reproduce` leaves it: <study>/<experiment>.
        pages: where they are written. Nothing else should be in it.
        tried: a folder with sweeps of presets with other choices, where a recipe is not stated.

    Returns:
        How many published numbers there are of each verdict.
    """
    found = [Measured.of(preset, folder / preset.name) for preset in presets]
    tried_sweeps = trials(tried) if tried is not None else []
    studies = list(dict.fromkeys(preset.study for preset in presets))
    texts = {"README.md": _index(found)}
    pictures: dict[str, bytes] = {}
    for study in studies:
        own = [measured for measured in found if measured.preset.study == study]
        shown = {measured.preset.name: _pictures(measured) for measured in own}
        pictures |= {name: content for each in shown.values() for name, content in each.items()}
        texts[f"{study}.md"] = _study(study, own, shown, tried_sweeps)
    for study in studies:
        shutil.rmtree(pages / study, ignore_errors=True)
    for name, text in texts.items():
        _put(pages / name, text.encode())
    for name, content in pictures.items():
        _put(pages / name, content)
    return Counter(claim.kind for measured in found for claim in measured.claims)


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, content)


def _index(found: Sequence[Measured]) -> str:
    studies = list(dict.fromkeys(measured.preset.study for measured in found))
    counted = [_counts(study, [m for m in found if m.preset.study == study]) for study in studies]
    total = {"study": "all"} | _counts("", found)
    total["study"] = "all"
    numbers = [
        {"study": measured.preset.study, "experiment": measured.preset.name.partition("/")[2]} | _line(claim)
        for measured in found
        for claim in measured.claims
    ]
    return f"""\
# Every published number

The numbers that the five studies have published, each beside what was measured here: mean ± sample standard deviation
over n seeds. Made by {_COMMAND} from the folder that `triplicate reproduce --all` has left; nothing is written by hand.

*Reproduced*: the published number lies where 95 of 100 runs like ours would lie (Student's t with n - 1 degrees of
freedom, widened for the noise of the published run). *Close*: within 1.5 points, or 3 % of what is no percentage.
*Differs*: neither. *Not comparable*: times, memory, and what a report does not state. The page of a study tells what
each verdict rests on.

{_table([*counted, total])}

{_table(numbers)}
"""


def _counts(study: str, found: Sequence[Measured]) -> dict[str, str]:
    """How many experiments, published numbers, and of those how many of each verdict; a link to the page."""
    kinds = Counter(claim.kind for measured in found for claim in measured.claims)
    whole = sum(measured.status in ("run whole", "shown") for measured in found)
    return {
        "study": f"[{study}]({study}.md)",
        "run whole": f"{whole} of {len(found)}",
        "published numbers": str(sum(kinds.values())),
        **{kind: str(kinds[kind]) for kind in KINDS},
    }


def _line(claim: Claim) -> dict[str, str]:
    return {
        "row": claim.row,
        "measure": claim.measure,
        "published": claim.published,
        "measured": claim.measured,
        "n": str(claim.n or ""),
        "verdict": claim.verdict,
    }


def _study(
    study: str, found: Sequence[Measured], pictures: Mapping[str, Mapping[str, bytes]], tried: Sequence[Trial]
) -> str:
    head = [f"# {study}", f"Made by {_COMMAND} from the records of runs; [all numbers](README.md)."]
    states = [{"experiment": f"[{m.preset.name}](#{_anchor(m.preset.name)})", "state": m.status} for m in found]
    parts = [*head, _table(states)]
    for measured in found:
        parts += _experiment(measured, list(pictures[measured.preset.name]), tried)
    return "\n\n".join(parts) + "\n"


def _experiment(measured: Measured, pictures: Sequence[str], tried: Sequence[Trial]) -> Iterator[str]:
    preset, table = measured.preset, measured.table
    yield f"## {preset.name}"
    yield f"**{preset.title}**"
    yield from preset.about
    yield f"`triplicate experiment={preset.name}`" if measured.status != "waits for a GPU" else _waits(preset)
    if table is not None and measured.runs:
        yield table.as_markdown().removeprefix(f"**{table.title}**").strip()
        yield _made(measured)
    elif not preset.is_shown and not preset.needs_gpu:
        yield "Not run so far."
    if measured.claims:
        yield _table([_line(claim) | {"why": claim.reason} for claim in measured.claims])
    if lines := compared(measured, tried):
        yield f"**What was tried** for {preset.name}, over the seeds that each sweep has"
        yield _table(lines)
    yield from (f"![{html.escape(Path(name).stem)}]({name})" for name in pictures)


def _waits(preset: Preset) -> str:
    return (
        "Waits for a GPU. Where there is one `triplicate reproduce --all` trains it, or this alone: "
        f"`triplicate experiment={preset.name}`"
    )


def _made(measured: Measured) -> str:
    """What the source of the table does not tell: how long it took, and with what."""
    runs = measured.runs
    shares = sum(float(run.summary["measures"].get("seconds") or 0.0) for run in runs)
    by_clock = seconds_in_training(run.path for run in runs)
    took = f"{_duration(shares)} of training over {len(runs)} runs"
    took += f", {_duration(by_clock)} by the clock" if by_clock is not None else ""
    versions = [run.summary["environment"] for run in runs]
    named = [
        f"{what} {', '.join(values)}"
        for what in ("python", "numpy", "commit")
        if (values := sorted({str(each.get(what, "")) for each in versions} - {""}))
    ]
    return "; ".join([took, *named])


def _duration(seconds: float) -> str:
    """'38 s', '12 min 5 s', '3 h 2 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _pictures(measured: Measured) -> dict[str, bytes]:
    """Path below the pages → the plots of a sweep, and of its first run those that the report asks for."""
    if measured.preset.is_shown:
        files = [measured.folder / "samples.png"]
    elif measured.table is None or not measured.runs:
        return {}
    else:
        figures = tuple(measured.table.report["figures"])
        first = measured.runs[0].path / "plots"
        files = [*_listed(measured.folder), *(f for f in _listed(first) if f.stem.startswith(figures))]
    known = list(dict.fromkeys(file for file in files if file.is_file()))
    return {f"{measured.preset.name}-{file.stem}.png": small(file.read_bytes()) for file in known}


def _listed(folder: Path) -> list[Path]:
    """The plots in a folder, in the order in which they were drawn."""
    try:
        names = read_json(folder / INDEX).get("files", [])
    except Damaged:
        return []
    return [folder / Path(name).name for name in names]


def small(content: bytes) -> bytes:
    """A picture in few colours, and as wide as keeps it below 60 kB."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    made = b""
    for width in dict.fromkeys(min(width, picture.width) for width in _WIDTHS):
        height = max(1, round(picture.height * width / picture.width))
        buffer = io.BytesIO()
        scaled = picture.resize((width, height), Image.Resampling.LANCZOS)
        scaled.quantize(_COLOURS).save(buffer, "PNG", optimize=True)
        made = buffer.getvalue()
        if len(made) <= _LARGEST_PICTURE:
            break
    return made


def _anchor(title: str) -> str:
    """As GitHub and MkDocs make one of a heading."""
    return "".join(c for c in title.lower() if c.isalnum() or c in "_-")


def _table(lines: Iterable[Mapping[str, str]]) -> str:
    rows = [dict(line) for line in lines]
    if not rows:
        return ""
    names = list(dict.fromkeys(name for row in rows for name in row))
    kept = [name for name in names if any(row.get(name) for row in rows)]
    cells = [[str(row.get(name, "")).replace("|", "\\|") for name in kept] for row in rows]
    return tabulate.tabulate(cells, headers=kept, tablefmt="github", disable_numparse=True)
