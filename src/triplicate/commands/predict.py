"""`triplicate predict RUN IMAGE…`"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from triplicate.commands.shared.output import Answer, AsCsv, AsJson, check_forms, show
from triplicate.errors import UserError
from triplicate.files.regular import is_there

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triplicate.results import Run

# Beside the predicted class people are told of so many others.
_OTHERS = 2


def command(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="the folder of a run, or of a sweep of one run")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="image files, or folders of them")],
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> int:
    """Say which class each image is of, and with which probability, as the trained network of a run sees it.

    Images are converted to grey or RGB and scaled as the files of dataset=folder are; of a folder all images are
    taken, those in folders below too. The digits of MNIST and glyphs are white on black: so must yours be. An image
    that cannot be read is told of, the others are predicted, and the exit code is 2.

    Example:

      triplicate predict outputs/sweep/2026-11-21_09-30-00.000000/runs/seed=0 digit.png scans/
      triplicate predict "$(triplicate best DIR --path)" scans --csv > classes.csv
    """
    from triplicate.records.found import run_folder
    from triplicate.results import Run

    check_forms(as_json, as_csv)
    run = Run.open(run_folder(folder))
    predicted = predict(run, [file for path in images for file in _files(path)])
    show(answer(predicted, run.summary["classes"]), as_json, as_csv)
    told = [each for each in predicted if each.error is not None]
    for each in told:
        print(f"error: {each.error}", file=sys.stderr)
    return 2 if told else 0


@dataclass(frozen=True)
class Predicted:
    """One image.

    Attributes:
        probabilities: class → probability, the most probable first; empty where the image cannot be read.
        error: why it cannot be read.
    """

    file: Path
    probabilities: Mapping[str, float]
    error: UserError | None = None


def predict(run: Run, files: Sequence[Path]) -> list[Predicted]:
    """The classes of all images that can be read, computed together.

    Raises:
        UserError: the run cannot predict.
    """
    shape, classes = run.summary["image_shape"], run.summary["classes"]
    if len(shape) != 3:
        raise UserError(str(run.folder), "it was trained on points, not on images", "choose another run")
    pixels = {place: _pixels(file, shape) for place, file in enumerate(files)}
    readable = {place: found for place, found in pixels.items() if not isinstance(found, UserError)}
    found = dict(zip(readable, _probabilities(run, list(readable.values())), strict=True))
    return [
        Predicted(file, {}, error)
        if isinstance(error := pixels[place], UserError)
        else Predicted(file, _sorted(classes, found[place]))
        for place, file in enumerate(files)
    ]


def answer(predicted: Sequence[Predicted], classes: Sequence[str]) -> Answer:
    """A line for each image."""
    readable = [each for each in predicted if each.error is None]
    wide = max((len(str(each.file)) for each in readable), default=0)
    named = max(map(len, classes))
    text = [f"{each.file!s:{wide}}  {_as_text(each, named)}" for each in readable]
    data = [_line(each) for each in predicted]
    table = [
        {"file": each.file, "class": line["class"], "probability": line["probability"]}
        | {f"p_{name}": each.probabilities.get(name) for name in classes}
        | {"error": line["error"]}
        for each, line in zip(predicted, data, strict=True)
    ]
    return Answer("\n".join(text), data, table)


def _files(path: Path) -> Iterator[Path]:
    """A file itself; of a folder all images in it and below, by name.

    Raises:
        UserError: there is no image.
    """
    from triplicate.datasets.files.image_files import SUFFIXES

    if not path.is_dir():
        yield path
        return
    found = sorted(
        Path(at, name)
        for at, _, names in os.walk(path)
        for name in names
        if name.lower().endswith(tuple(f".{suffix}" for suffix in SUFFIXES))
    )
    if not found:
        raise UserError(str(path), "no image is in it", f"name one with images ({', '.join(SUFFIXES)})")
    yield from found


def _pixels(file: Path, shape: Sequence[int]) -> NDArray[np.uint8] | UserError:
    """uint8 of the shape [channels, height, width] that the run was trained on, or why there are none."""
    from triplicate.datasets.files.image_files import decode

    try:
        if not is_there(file):
            return UserError(str(file), "there is no such file", "name an image, or a folder of images")
        return decode(str(file), (shape[0], shape[1], shape[2]))
    except UserError as error:
        return error


def _probabilities(run: Run, pixels: Sequence[NDArray[np.uint8]]) -> NDArray[np.floating[Any]]:
    """Of each image and class [N, classes]."""
    import numpy as np

    return run.predict(np.stack(pixels)).probabilities if pixels else np.empty((0, 0))


def _sorted(classes: Sequence[str], probabilities: NDArray[np.floating[Any]]) -> dict[str, float]:
    both = zip(classes, probabilities.tolist(), strict=True)
    return dict(sorted(both, key=lambda pair: -pair[1]))


def _as_text(each: Predicted, named: int) -> str:
    """'5  98.71 %   then 3 0.90 %, 8 0.22 %'."""
    (first, probability), *others = each.probabilities.items()
    then = ", ".join(f"{name} {100 * value:.2f} %" for name, value in others[:_OTHERS])
    return f"{first:{named}}  {100 * probability:6.2f} %" + (f"   then {then}" if then else "")


def _line(each: Predicted) -> dict[str, Any]:
    first = next(iter(each.probabilities.items()), (None, None))
    return {
        "file": each.file,
        "class": first[0],
        "probability": first[1],
        "probabilities": each.probabilities,
        "error": str(each.error) if each.error is not None else None,
    }
