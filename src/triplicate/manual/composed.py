"""What a command would be composed to. Defaults are read from here, so that they stand in `conf/` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf

from triplicate import presets
from triplicate.hydra_errors import hydra_errors
from triplicate.jobs.rows import typed
from triplicate.parts import outside


@dataclass(frozen=True)
class Composition:
    """What Hydra makes of some overrides."""

    config: DictConfig
    loader: ConfigLoader

    @property
    def choices(self) -> Mapping[str, str]:
        """What is chosen, by group."""
        return dict(self.config.hydra.runtime.choices)

    @property
    def values(self) -> Mapping[str, Any]:
        """All but Hydra's own."""
        names = [str(name) for name in self.config if name != "hydra"]
        values = OmegaConf.to_container(OmegaConf.masked_copy(self.config, names))
        assert isinstance(values, dict)
        return {str(name): value for name, value in values.items()}


@contextmanager
def composed(overrides: Sequence[str], beside: Path | None) -> Iterator[Composition]:
    """
    Args:
        beside: a folder with more presets, as --config-dir names it.

    Raises:
        UserError: it cannot be composed.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    searched = [f"hydra.searchpath={typed([f'file://{beside.absolute()}'])}"] if beside is not None else []
    start = initialize_config_dir(str(presets.CONF), version_base="1.3")
    with hydra_errors(beside), outside.composed(), start:
        config = compose("config", [*overrides, *searched], return_hydra_config=True)
        yield Composition(config, GlobalHydra.instance().config_loader())
