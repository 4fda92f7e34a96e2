"""Sweepers that search, such as Optuna's: they try run after run, and go by a number that each gives back."""

from __future__ import annotations

from collections.abc import Iterator

from hydra.core.override_parser.types import Override, ValueType
from omegaconf import DictConfig, OmegaConf

from triplicate.config import RunConfig, objectives
from triplicate.errors import UserError
from triplicate.jobs import words
from triplicate.jobs.axes import check_axis
from triplicate.jobs.choices import refuse_code
from triplicate.jobs.rows import typed
from triplicate.measures import Better
from triplicate.measures.shared.names import parse
from triplicate.parts.keys import keys_of
from triplicate.parts.values import value
from triplicate.sweeps.sweeper import told_directions


def check(config: DictConfig) -> None:
    """Refuse what a search cannot be.

    Args:
        config: of the sweep, as composed.

    Raises:
        UserError: nothing is trained, so that no run has a number; a search over seeds, or over a pattern; the
            measures and the directions of the search do not go together.
    """
    if config.task != "train":
        problem = "it tries what is best next, so nobody knows the runs before they are trained"
        raise UserError("hydra/sweeper", problem, f"leave it out of triplicate {config.task}")
    if config.resume is not None:
        problem = "a search goes on in the folder that is named"
        raise UserError("resume", problem, "give output_dir=DIR, and the sampler its seed")
    for override in _overrides(config):
        _check_axis(override)
    _check_directions(config)


def _overrides(config: DictConfig) -> Iterator[Override]:
    """What the configuration and the command line search over."""
    params = OmegaConf.select(config, "hydra.sweeper.params")
    plain = OmegaConf.to_container(params, resolve=True) if OmegaConf.is_dict(params) else {}
    assert isinstance(plain, dict)
    for key, given in plain.items():
        yield words.read(f"{key!s}={given if isinstance(given, str) else typed(given)}")
    for word in config.hydra.overrides.task:
        yield words.read(word)


def _check_axis(override: Override) -> None:
    refuse_code(override)
    if not override.is_sweep_override():
        return
    key = override.key_or_group
    if key == "seed":
        raise UserError(key, "the best of several seeds is luck, not a finding", "give a search one value, as seed=0")
    if override.value_type is ValueType.GLOB_CHOICE_SWEEP:
        raise UserError(key, "a search takes no glob(…)", "write the names themselves")
    check_axis(override, [])


def _check_directions(config: DictConfig) -> None:
    """Nobody wants the least accurate network, and the search for it looks like any other."""
    names = _objectives(config)
    parts = [parse(name, "objective").part for name in names]
    found = told_directions(config)
    if found is None:
        return
    key, given = found
    if len(given) != len(names):
        told = f"{len(names)} measure(s), and {key} has {len(given)} direction(s)"
        raise UserError("objective", told, "give as many of both")
    for direction in given:
        if direction not in (Better.GREATER.value, Better.SMALLER.value):
            raise UserError(key, f"{direction!r} is no direction", "choose one of maximize, minimize")
    right = [
        direction if part.better is None else part.better.value for part, direction in zip(parts, given, strict=True)
    ]
    for name, direction, better in zip(names, given, right, strict=True):
        if direction != better:
            remedy = f"let it {better}" if len(right) == 1 else f"give [{','.join(right)}]"
            raise UserError(key, f"it would {direction} {name}", remedy)


def _objectives(config: DictConfig) -> tuple[str, ...]:
    given, fraction = config.objective, config.dataset.validation
    given = OmegaConf.to_container(given) if OmegaConf.is_list(given) else given
    checked = value(str | tuple[str, ...] | None, given, "objective", keys_of(RunConfig)["objective"])
    return objectives(checked, fraction if isinstance(fraction, float) else 0.0)
