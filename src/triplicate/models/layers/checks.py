"""Whether a model of convolutions can take the images."""

from __future__ import annotations

from triplicate.errors import UserError

POOL = 2


def need_images(shape: tuple[int, ...], model: str) -> None:
    """
    Args: `shape` of one example; `model` as an error names it.

    Raises:
        UserError: the examples are points.
    """
    if len(shape) != 3:
        problem = f"{model} needs images, and an example has {shape[0]} numbers"
        raise UserError("model.name", problem, "choose model=mlp")


def need_room(shape: tuple[int, ...], pools: int, key: str, parts: str) -> None:
    """
    Args: `shape` of an image; how many poolings of `POOL` it must survive; the key that lists the `parts` between them.

    Raises:
        UserError: one of them leaves nothing of the image.
    """
    side = min(shape[1:])
    for number in range(1, pools + 1):
        if side < POOL:
            problem = f"pool{number} shrinks the image to nothing: it is {POOL} wide and meets a side of {side}"
            remedy = f"list fewer {parts}, or give images of {POOL**pools} or more with dataset.upscale"
            raise UserError(key, problem, remedy)
        side //= POOL
