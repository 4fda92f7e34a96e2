"""What Hydra and OmegaConf say of a mistake, in our words."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.errors import HydraException, MissingConfigException
from omegaconf.errors import OmegaConfBaseException

from triplicate import presets
from triplicate.config import unknown_key
from triplicate.errors import UserError, unknown_name

# Launchers and sweepers that others make, and what installs them. Those of pyproject.toml are extras of triplicate.
_PLUGINS = {
    "hydra/launcher/joblib": "triplicate[joblib]",
    "hydra/launcher/ray": "hydra-ray-launcher",
    "hydra/launcher/ray_aws": "hydra-ray-launcher",
    "hydra/launcher/rq": "hydra-rq-launcher",
    "hydra/launcher/submitit_local": "triplicate[submitit]",
    "hydra/launcher/submitit_slurm": "triplicate[submitit]",
    "hydra/sweeper/ax": "hydra-ax-sweeper",
    "hydra/sweeper/list": "hydra-list-sweeper",
    "hydra/sweeper/nevergrad": "hydra-nevergrad-sweeper",
    "hydra/sweeper/optuna": "triplicate[optuna]",
}
_SEE_HYDRA = "see triplicate --cfg hydra for its keys"


@contextmanager
def hydra_errors(beside: Path | None) -> Iterator[None]:
    """Inside, what Hydra finds wrong with a command line becomes a UserError."""
    try:
        yield
    except MissingConfigException as error:
        raise _unknown_choice(error, beside) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _composition_error(error) from error


def _unknown_choice(error: MissingConfigException, beside: Path | None) -> UserError:
    missing = str(error.missing_cfg_file)
    if missing.startswith(("hydra/launcher/", "hydra/sweeper/")):
        return _unknown_plugin(*missing.rsplit("/", 1))
    group, _, name = missing.partition("/")
    known = presets.choices(group, beside)
    if known:
        return unknown_name(group, name, known)
    return UserError(missing, "there is no such config", "see triplicate help")


def _unknown_plugin(group: str, name: str) -> UserError:
    """For a launcher or sweeper that is not here: what installs it, where that is known."""
    package = _PLUGINS.get(f"{group}/{name}")
    if package is None:
        return UserError(group, f"no plug-in {name} is installed", "triplicate --hydra-help lists those that are")
    command = shlex.join([sys.executable, "-m", "pip", "install", package])
    return UserError(group, f"the plug-in {name} is not installed", f"install it by: {command}")


def _composition_error(error: Exception) -> UserError:
    text = str(error) or str(error.__cause__)
    if match := re.search("Could not override '([^']+)'", text):
        key = match.group(1)
        if key.startswith("hydra"):
            return UserError(key, "there is no such key", _SEE_HYDRA)
        return unknown_key(key)
    if match := re.search(r"Ambiguous value for argument '([^=']+)=|Sweep parameters '([^=']+)=", text):
        key = match.group(1) or match.group(2)
        return UserError(key.lstrip("+"), "there is one run here, and several values are given", "give one value")
    if match := re.search(r"Error merging override \+*([^=\s]+)", text):
        return UserError(match.group(1), _first_line(error.__cause__ or error), "see triplicate help")
    if match := re.search(r"Could not delete from config. '([^']+)'", text):
        return UserError(match.group(1), "there is no such key", "leave it out")
    if match := re.search(r"Could not (?:add|append)\D*?'([^=']+)", text):
        return UserError(match.group(1), "it is there already", "write it without the +")
    if match := re.search(r"Error in call to target.*?\n(.*)\nfull_key: (\S+)", text, re.DOTALL):
        return UserError(match.group(2), f"it cannot be made ({' '.join(match.group(1).split())})", _SEE_HYDRA)
    match = re.search(r"full_key: ([a-z]\S+)", text)
    said = re.sub(r"\s*(full_key|object_type|reference_type)[:=].*|\w+ raised while composing config:", "", text)
    return UserError(match.group(1) if match else "configuration", " ".join(said.split()), "see triplicate help")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
