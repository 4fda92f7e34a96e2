"""What a configuration says of its sweeper: whether it searches, and which way."""

from __future__ import annotations

from collections.abc import Mapping

from omegaconf import DictConfig, OmegaConf

# They try all that they are given.
_EXHAUSTIVE = (
    "hydra_plugins.triplicate_sweeper.TriplicateSweeper",
    "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
)
# Where sweepers keep whether they maximize, as a switch: Nevergrad's, and Ax's.
_SWITCHES: Mapping[str, Mapping[bool, str]] = {
    "optim.maximize": {True: "maximize", False: "minimize"},
    "ax_config.experiment.minimize": {True: "minimize", False: "maximize"},
}


def is_search(config: DictConfig) -> bool:
    """Whether the sweeper of a configuration searches."""
    return OmegaConf.select(config, "hydra.sweeper._target_") not in _EXHAUSTIVE


def directions(config: DictConfig) -> tuple[str, ...]:
    """Which way a search goes for each measure, maximize or minimize; none where that is not known."""
    found = told_directions(config)
    return () if found is None else found[1]


def told_directions(config: DictConfig) -> tuple[str, tuple[str, ...]] | None:
    """The key by which a sweeper is told whether to maximize or to minimize, and what it says for each measure; None
    where that is not known.
    """
    sweeper = config.hydra.sweeper
    given = OmegaConf.select(sweeper, "direction")
    if given is not None:
        each = given if OmegaConf.is_list(given) else [given]
        return "hydra.sweeper.direction", tuple(str(getattr(one, "name", one)) for one in each)
    for key, meaning in _SWITCHES.items():
        switch = OmegaConf.select(sweeper, key)
        if isinstance(switch, bool):
            return f"hydra.sweeper.{key}", (meaning[switch],)
    return None
