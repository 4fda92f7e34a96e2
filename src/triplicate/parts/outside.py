"""Parts from outside: files named on the command line, installed packages, and what a script has registered.

Whoever brings code says so: in a command (`--parts FILE`), by installing a package with entry points of the group
`triplicate.parts`, or in Python. A configuration never does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import pickle
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triplicate.errors import UserError
from triplicate.parts import registry
from triplicate.parts.origin import ENTRY_POINTS, entries, package_of
from triplicate.parts.part import Part, kinds

_PREFIX = "triplicate_parts_"


@dataclass(frozen=True)
class Brought:
    """The parts from outside of one process, for another one to load.

    Attributes:
        files: that were named.
        scripts: the classes that a script or notebook has registered, pickled with their code; empty without any.
    """

    files: tuple[Path, ...]
    scripts: bytes

    @staticmethod
    def of_this_process() -> Brought:
        modules = dict.fromkeys(cls.__module__ for cls in registry.from_outside())
        files = (sys.modules[name].__file__ for name in modules if name.startswith(_PREFIX))
        scripts = registry.from_scripts()
        return Brought(tuple(Path(file) for file in files if file), _pickled(scripts) if scripts else b"")

    def load(self) -> None:
        """Register them here, if they are not."""
        load_packages()
        load(self.files)
        if self.scripts:
            registry.adopt(pickle.loads(self.scripts))


def _pickled(scripts: Sequence[type[Part]]) -> bytes:
    import cloudpickle  # only here: other processes can import what is no script's

    content: bytes = cloudpickle.dumps(scripts)
    return content


@contextmanager
def loaded(files: Sequence[Path]) -> Iterator[None]:
    """Inside, the parts of installed packages and of these files can be named.

    Raises:
        UserError: a file or package that cannot be imported, registers nothing, or whose parts are not as they must be.
    """
    load_packages()
    with registry.scope():
        load(files)
        _check_defaults()
        yield


def load_packages() -> None:
    """Import the modules that installed packages name as entry points, once.

    Raises:
        UserError: as `loaded`.
    """
    for entry in entries(tuple(sys.path)):
        if entry.module not in sys.modules:
            with _blamed(package_of(entry), "mend the package, or uninstall it"):
                entry.load()


def load(files: Sequence[Path]) -> None:
    """Import files, each once, and register their parts.

    Raises:
        UserError: as `loaded`.
    """
    for file in files:
        _load_file(file)


def _load_file(file: Path) -> None:
    if not file.is_file():
        problem = "it is a folder" if file.is_dir() else "there is no such file"
        raise UserError(f"--parts {file}", problem, "name a Python file that registers parts")
    if file.suffix != ".py":
        raise UserError(f"--parts {file}", "it is no Python file", "name one that ends in .py")
    name = f"{_PREFIX}{file.stem}_{hashlib.sha256(str(file.absolute()).encode()).hexdigest()[:8]}"
    if registry.is_loaded(name, file):
        return
    specification = importlib.util.spec_from_file_location(name, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses and pickle look the module up by its name
    with _blamed(file.name, "mend the file"):
        specification.loader.exec_module(module)
    if not registry.is_loaded(name, file):
        raise UserError(f"--parts {file}", "it registers no part", 'put @part("name") above its classes')


@contextmanager
def _blamed(source: str, remedy: str) -> Iterator[None]:
    """Inside, whatever an import raises becomes one line about its source."""
    try:
        yield
    except (UserError, KeyboardInterrupt):
        raise
    except BaseException as error:  # an import may raise anything, SystemExit too
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(source, f"it cannot be imported ({_place(error, source)}{text})", remedy) from error


def _place(error: BaseException, source: str) -> str:
    """The last line of a file that an error passed through, as far as it is known."""
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: "
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == source]
    return f"line {lines[-1]}: " if lines else ""


def conf_folders() -> list[Path]:
    """The `conf/` folders that installed packages bring for their parts."""
    modules = (sys.modules.get(entry.module) for entry in entries(tuple(sys.path)))
    files = (module.__file__ for module in modules if module is not None)
    folders = dict.fromkeys(Path(file).parent / "conf" for file in files if file)
    return [folder for folder in folders if folder.is_dir()]


def defaults(cls: type[Part]) -> dict[str, Any]:
    """The defaults that stand in the class of a part, by key."""
    found = {field.name: field.default for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return {name: default for name, default in found.items() if default is not dataclasses.MISSING}


def choices() -> dict[tuple[str, str], dict[str, Any]]:
    """The parts from outside whose defaults stand in their class: kind and name → what `kind=name` composes to."""
    found = [cls for cls in registry.from_outside() if kinds()[cls.kind].has_group and not _file(cls)]
    return {(cls.kind, cls.name): {"name": cls.name, **defaults(cls)} for cls in found}


@contextmanager
def composed() -> Iterator[None]:
    """Inside, Hydra composes the parts whose defaults stand in their class."""
    from hydra.core.config_store import ConfigStore  # only here: the rest of this package knows nothing of Hydra

    store, stored = ConfigStore.instance(), choices()
    for (group, name), node in stored.items():
        package = f"{group}.{name}" if kinds()[group].several else None
        store.store(group=group, name=name, node=node, package=package, provider=ENTRY_POINTS)
    try:
        yield
    finally:
        for group, name in stored:
            del store.repo[group][f"{name}.yaml"]


def _file(cls: type[Part]) -> Path | None:
    """The YAML file of a part's defaults."""
    files = (folder / cls.kind / f"{cls.name}.yaml" for folder in conf_folders())
    return next((file for file in files if file.is_file()), None)


def _check_defaults() -> None:
    """The keys of a part from outside have their defaults in its class or in a YAML file, not in both."""
    for cls in registry.from_outside():
        what, file = f"{cls.kind} {cls.name}", _file(cls)
        source = str(cls.origin.source if cls.origin else "")
        own = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        own -= {field.name for field in dataclasses.fields(kinds()[cls.kind].base)}  # type: ignore[arg-type]
        lacking = sorted(own - defaults(cls).keys())
        if file is not None and defaults(cls):
            problem = f"the defaults of {what} stand in its class and in {file}"
            raise UserError(source, problem, "keep one of them")
        if file is None and lacking and kinds()[cls.kind].has_group:
            problem = f"{what} has no default for {', '.join(lacking)}"
            raise UserError(source, problem, "write key(…, default=…), or bring a YAML file in the package's conf/")
