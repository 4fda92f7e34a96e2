"""Images that somebody gives a run, as its network takes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from triplicate.errors import UserError
from triplicate.lazy import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image
    from torch import Tensor

    Given: TypeAlias = (
        Tensor
        | NDArray[np.generic]
        | str
        | os.PathLike[str]
        | Image.Image
        | Sequence[Tensor | NDArray[np.generic] | str | os.PathLike[str] | Image.Image]
    )

_REMEDY = "see help(triplicate.Run.predict)"


@dataclass(frozen=True)
class Examples:
    """What a network takes.

    Attributes:
        pixels: images uint8 [N, channels, height, width], or points float32 [N, features].
        names: of their files; None where they are of no files.
    """

    pixels: Tensor
    names: tuple[str, ...] | None


def examples(given: Given, shape: tuple[int, ...]) -> Examples:
    """
    Args:
        given: as `Run.predict` takes it.
        shape: of an example of the run's data set.

    Raises:
        UserError: it is nothing of the kind, or of another shape.
    """
    if isinstance(given, str | os.PathLike):
        return _of_files(_listed(Path(given).expanduser()), shape)
    if isinstance(given, list | tuple):
        return _of_list(given, shape)
    if _is_image(given):
        return _of_list([given], shape)
    return Examples(_of_array(given, shape), None)


def _of_list(given: Sequence[Any], shape: tuple[int, ...]) -> Examples:
    if not given:
        raise UserError("images", "none are given", "give one at least")
    if all(isinstance(one, str | os.PathLike) for one in given):
        return _of_files([file for one in given for file in _listed(Path(one).expanduser())], shape)
    if all(_is_image(one) for one in given):
        return _of_images(given, shape)
    try:
        arrays = [torch.as_tensor(one) for one in given]
        return Examples(_of_array(torch.stack(arrays), shape), None)
    except (TypeError, ValueError, RuntimeError) as error:
        kinds = ", ".join(sorted({type(one).__name__ for one in given}))
        raise UserError("images", f"a list of {kinds} of which no tensor can be made", _REMEDY) from error


def _is_image(given: object) -> bool:
    from PIL import Image

    return isinstance(given, Image.Image)


def _listed(path: Path) -> list[Path]:
    """A file, or all images of a folder and below, by name; hidden ones are left out."""
    from triplicate.datasets.files.image_files import SUFFIXES

    if not path.is_dir():
        return [path]
    endings = tuple(f".{suffix}" for suffix in SUFFIXES)
    files = sorted(
        file
        for file in path.rglob("*")
        if file.name.lower().endswith(endings)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    if not files:
        raise UserError(str(path), f"no image is in it ({', '.join(SUFFIXES)})", "name another folder")
    return files


def _of_files(files: Sequence[Path], shape: tuple[int, ...]) -> Examples:
    pixels = _decoded([str(file) for file in files], shape)
    return Examples(pixels, tuple(str(file) for file in files))


def _of_images(images: Sequence[Image.Image], shape: tuple[int, ...]) -> Examples:
    return Examples(_decoded(images, shape), None)


def _decoded(images: Sequence[str | Image.Image], shape: tuple[int, ...]) -> Tensor:
    """Scaled and converted as the files of a data set are."""
    import numpy as np

    from triplicate.datasets.files import image_files

    if len(shape) != 3:
        raise UserError("images", f"the run is of points of {shape[0]} features", f"give float32 [N, {shape[0]}]")
    if shape[0] not in (1, 3):
        problem = f"the run is of images of {shape[0]} channels, which no file has"
        raise UserError("images", problem, f"give uint8 {_written(shape)}")
    return torch.from_numpy(np.stack([image_files.decode(image, shape) for image in images]))


def _of_array(given: object, shape: tuple[int, ...]) -> Tensor:
    """An array or tensor, if it is of the run's shape; grey images need no axis of channels, and one no axis of N."""
    try:
        array = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError("images", f"of a {type(given).__name__} no tensor can be made", _REMEDY) from error
    array = array.detach().cpu()
    if len(shape) == 1:
        return _of_points(array, shape)
    if array.dtype != torch.uint8:
        problem = f"they are {_named(array)}"
        raise UserError("images", problem, f"give uint8 {_written(shape)} with pixels from 0 to 255")
    if shape[0] == 1 and tuple(array.shape[-2:]) == shape[1:] and array.ndim in (2, 3):
        array = array.reshape(-1, *shape)
    if tuple(array.shape) == shape:
        array = array.unsqueeze(0)
    if tuple(array.shape[1:]) != shape or not len(array):
        remedy = f"give uint8 {_written(shape)}, or files or PIL images, which are scaled"
        raise UserError("images", f"they are {_named(array)}", remedy)
    return array


def _of_points(array: Tensor, shape: tuple[int, ...]) -> Tensor:
    if not array.is_floating_point() or tuple(array.shape[1:]) != shape or not len(array):
        raise UserError("points", f"they are {_named(array)}", f"give float32 [N, {shape[0]}]")
    return array.to(torch.float32)


def _named(array: Tensor) -> str:
    return f"{str(array.dtype).removeprefix('torch.')} {list(array.shape)}"


def _written(shape: tuple[int, ...]) -> str:
    return f"[N, {', '.join(map(str, shape))}]"
