"""A run as the command line composes it, for the benchmarks beside this file."""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from triplicate import presets
from triplicate.config import RunConfig, run_config


def configured(*overrides: str) -> RunConfig:
    """The configuration of one run, from overrides as typed."""
    with initialize_config_dir(str(presets.CONF), version_base="1.3"):
        values = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
    assert isinstance(values, dict)
    return run_config({str(k): v for k, v in values.items()})
