"""A configuration names what it wants; it never names code to call.

Hydra imports and calls what stands under `_target_`, in its callbacks and in the configuration of logging. Of that only
installed plug-ins, what they themselves choose from, and Python's own plain handlers are let through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.plugin import Plugin
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from triplicate.config import import_path_refused
from triplicate.errors import UserError

_HANDLERS = ("logging.StreamHandler", "logging.FileHandler", "logging.NullHandler")
# Keys of plug-ins that hold an import path: Optuna's sweeper calls what is there.
_NAMES_OF_CODE = ("custom_search_space",)
_STREAMS = ("ext://sys.stdout", "ext://sys.stderr")


def refuse_code(config: DictConfig) -> None:
    """Look through a whole composed configuration, Hydra's part too.

    Raises:
        UserError: it names code.
    """
    hydra = config.hydra
    _check_plugin(hydra, "launcher", Launcher)
    _check_plugin(hydra, "sweeper", Sweeper)
    if hydra.callbacks:
        raise UserError("hydra.callbacks", "a configuration names no code to call", "leave it out")
    for name in ("job_logging", "hydra_logging"):
        _check_logging(hydra[name], f"hydra.{name}")
    of_plugins = {
        "hydra.launcher._target_",
        "hydra.sweeper._target_",
        *_registered("launcher"),
        *_registered("sweeper"),
    }
    for path in _keys(OmegaConf.to_container(config)):
        if "_target_" in path.split(".") and path not in of_plugins:
            raise import_path_refused(path)


def _check_plugin(hydra: DictConfig, name: str, kind: type[Plugin]) -> None:
    """Only what is installed as a plug-in of Hydra is called."""
    installed = [f"{cls.__module__}.{cls.__qualname__}" for cls in Plugins.instance().discover(kind)]
    target = OmegaConf.select(hydra, f"{name}._target_")
    if target not in installed:
        problem = f"{target!r} is no {name} that is installed"
        raise UserError(f"hydra.{name}._target_", problem, f"choose one with hydra/{name}=…")
    # Anything nested that Hydra would build before the plug-in.
    registered = _registered(name)
    for keys, value in _leaves(hydra[name]):
        path = ".".join(("hydra", name, *keys))
        if "_target_" in keys[1:] and value not in registered.get(path, ()):
            raise import_path_refused(path)
        if keys[-1] in _NAMES_OF_CODE and value is not None:
            raise UserError(path, "a configuration names no code to call", "leave it out")


def _registered(name: str) -> dict[str, set[Any]]:
    """The import paths that installed plug-ins have below a sweeper or launcher, such as its samplers: key → paths."""
    found: dict[str, set[Any]] = {}

    def look(group: Mapping[str, Any], path: str) -> None:
        for inner in group.values():
            target = None if isinstance(inner, Mapping) else OmegaConf.select(inner.node, "_target_")
            if target is not None:
                found.setdefault(f"{path}._target_", set()).add(target)
        for part, inner in group.items():
            if isinstance(inner, Mapping):
                look(inner, f"{path}.{part}")

    for part, inner in ConfigStore.instance().repo["hydra"].get(name, {}).items():
        if isinstance(inner, Mapping):
            look(inner, f"hydra.{name}.{part}")
    return found


def _check_logging(config: Any, path: str) -> None:
    """Logging may build its own plain handlers, and nothing else."""
    for name, part in (config or {}).items():
        if name in ("root", "handlers", "formatters", "loggers") and not isinstance(part, DictConfig | None):
            raise UserError(f"{path}.{name}", f"{part!r} is no group of keys", "see triplicate --cfg hydra")
    for keys, value in _leaves(config):
        where = ".".join((path, *keys))
        if "()" in keys or "." in keys:
            raise UserError(where, "a configuration names no code to call", "leave it out")
        if keys[-1] == "class" and value not in _HANDLERS:
            raise UserError(where, f"{value!r} is refused", f"choose one of {', '.join(_HANDLERS)}")
        if isinstance(value, str) and value.startswith(("ext://", "cfg://")) and value not in _STREAMS:
            raise UserError(where, f"{value!r} is refused", f"choose one of {', '.join(_STREAMS)}")


def _leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value below a node with the keys that lead to it, interpolations resolved as far as they can be."""
    if not isinstance(node, DictConfig | ListConfig):
        yield path, node
        return
    if node._is_none() or node._is_missing():
        return
    keys: Any = node if isinstance(node, DictConfig) else range(len(node))
    for key in keys:
        yield from _leaves(_resolved(node, key), (*path, str(key)))


def _resolved(node: Any, key: Any) -> Any:
    try:
        return node[key]
    except OmegaConfBaseException:  # it needs what is known only in a job
        raw: Any = node._get_node(key)._value()
        return raw


def _keys(values: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key of plain nested values."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            path = f"{prefix}.{key}" if prefix else str(key)
            yield path
            yield from _keys(value, path)
    elif isinstance(values, list):
        for value in values:
            yield from _keys(value, prefix)
