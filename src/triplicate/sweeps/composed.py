"""The jobs of a sweep as Hydra composes them, without reading all files anew for every job.

Jobs mostly differ in plain values, such as those of `optimizer.lr` and `seed`. Hydra composes once what some of them
have in common, their base, and the values of each are set in it, by Hydra's own code. That gives what Hydra gives for
the job by itself, as long as nothing else depends on the values that are set. Where something could, and where anything
is refused, Hydra composes the job by itself:

- A key is added with `+`, deleted, given twice or together with a key below it, its value is a mapping or has an
  interpolation: what becomes of these depends on what is there.
- A value differs from job to job, and its key does not hold a plain value.
- There is an interpolation that is more than the path of another key or `${now:…}`, or one that leads from the
  configuration of a run into Hydra's, or one in what Hydra reads while it composes, or imports and calls afterwards.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, cast

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import IConfigRepository
from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, Quote, QuotedString, ValueType
from omegaconf import AnyNode, DictConfig, OmegaConf, open_dict, read_write

from triplicate.config import RunConfig

# A run's folder as our sweeper names it, in letters that Hydra reads back as they are.
_SUBDIR = "hydra.sweep.subdir"
_FOLDER = re.compile(rf"{re.escape(_SUBDIR)}='(runs/[A-Za-z0-9_=,+-][A-Za-z0-9._=,+-]*)'")
_KEY = re.compile(r"\w+(\.\w+)*")
_REFERENCE = re.compile(r"\$\{(now:[^${}]*|\.*[A-Za-z_]\w*(\.\w+)*)\}")
# Of Hydra's configuration: what it reads while it composes, what it imports or calls, and what may stand there.
_READ, _CALLED = ("job", "runtime"), ("launcher", "sweeper", "callbacks", "job_logging", "hydra_logging")
_OF_A_FILE_NAME = re.compile(r"\$\{hydra\.(runtime\.output_dir|job\.name)\}")


class Loader(Protocol):
    """Composes configurations and checks them."""

    @property
    def repository(self) -> IConfigRepository: ...

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """A whole job of a sweep."""
        ...

    def load_base(self, config_name: str | None, overrides: list[str]) -> DictConfig:
        """What jobs have in common: all of it is checked but the values of the run."""
        ...

    def check_values(self, values: Mapping[str, Any], hydra: DictConfig, words: Sequence[str]) -> RunConfig:
        """The run that a job describes, if it can be trained.

        Args:
            values: its configuration without Hydra's own.
            words: what was set for it, as typed.
        """
        ...


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        number: in the sweep, from 0.
        words: what was set for its run, as typed.
        choices: what each config group stands at.
        folder: of its run.
        config: gives its whole configuration, Hydra's own in it.
        base: the same for all jobs that share one; None: Hydra has composed this one by itself.
        run: None where its values may be others when it is launched, as those of environment variables.
    """

    number: int
    words: tuple[str, ...]
    choices: Mapping[str, str | None]
    folder: Path
    config: Callable[[], DictConfig]
    base: object | None = None
    run: RunConfig | None = None

    @staticmethod
    def of(config: DictConfig) -> Job:
        """The job of a whole configuration."""
        hydra = config.hydra
        return Job(
            number=int(OmegaConf.select(hydra, "job.num") if "num" in hydra.job else 0),
            words=tuple(hydra.overrides.task),
            choices=dict(hydra.runtime.choices),
            folder=Path(hydra.runtime.output_dir),
            config=lambda: config,
        )


def compose(loader: ConfigLoader, master: DictConfig, jobs: Sequence[Sequence[str]], first: int = 0) -> list[Job]:
    """Compose and check the jobs of a sweep.

    Args:
        loader: a `Loader`.
        master: the configuration of the sweep.
        jobs: the overrides of each.
        first: the number of the first.

    Raises:
        UserError, HydraException, OmegaConfBaseException: a job is wrong, as Hydra or the loader tells it.
    """
    composer = _Composer(cast("Loader", loader), master, jobs)
    return [composer.job(words, number) for number, words in enumerate(jobs, start=first)]


def distinct(jobs: Sequence[Job]) -> list[Job]:
    """One of all jobs that share a base: what they have of Hydra's differs in their names and numbers alone."""
    seen: dict[int, Job] = {}
    for job in jobs:
        seen.setdefault(id(job if job.base is None else job.base), job)
    return list(seen.values())


def values_of(config: DictConfig) -> dict[str, Any]:
    """A configuration without Hydra's own, its interpolations resolved."""
    return {str(key): _plain(config[key]) for key in config if key != "hydra"}


@contextmanager
def as_current(config: DictConfig) -> Iterator[None]:
    """Inside, `${hydra:…}` and HydraConfig speak of this job."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(config)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


@dataclass(frozen=True)
class _Base:
    """What Hydra has composed for jobs that are the same but for values.

    Attributes:
        config: with the values of the job that was asked for last.
        plain: the same without Hydra's own, its interpolations resolved; right for all jobs but at `changing`.
        changing: keys at the top below which jobs differ.
    """

    config: DictConfig
    plain: Mapping[str, Any]
    changing: Sequence[str]
    choices: Mapping[str, str | None]


@dataclass(frozen=True)
class _Word:
    """A word of a job.

    Attributes:
        override: that it is.
        is_folder: it names the folder of the run.
        is_group: it chooses from a config group.
        is_value: it gives a plain value to a key of the run, and is not the same in all jobs.
    """

    override: Override
    is_folder: bool = False
    is_group: bool = False
    is_value: bool = False


class _Composer:
    """Composes the jobs of one sweep, and keeps what they share."""

    def __init__(self, loader: Loader, master: DictConfig, jobs: Sequence[Sequence[str]]) -> None:
        self._loader = loader
        self._master = master
        self._of_hydra: list[str] = OmegaConf.to_container(master.hydra.overrides.hydra)  # type: ignore[assignment]
        self._in_all = set(jobs[0]).intersection(*jobs[1:]) if jobs else set()
        self._parser = OverridesParser.create()
        self._words: dict[str, _Word] = {}
        self._bases: dict[tuple[str, ...], _Base | None] = {}

    def job(self, words: Sequence[str], number: int) -> Job:
        try:
            if (base := self._base(words)) is not None:
                return self._on(base, words, number)
        except Exception:  # whatever it is, Hydra's own composition tells it, or does without
            pass
        return Job.of(_numbered(self._loader.load_sweep_config(self._master, list(words)), number))

    def _on(self, base: _Base, words: Sequence[str], number: int) -> Job:
        """A job with its values set in its base."""
        self._set(base.config, words)
        values = {**base.plain, **{key: _plain(base.config[key]) for key in base.changing}}
        task = tuple(word for word in words if not self._word(word).override.is_hydra_override())
        return Job(
            number=number,
            words=task,
            choices=base.choices,
            folder=Path(str(values["output_dir"]), self._folder(words)).absolute(),
            config=partial(self._whole, base.config, words, number),
            base=base,
            run=self._loader.check_values(values, base.config.hydra, task),
        )

    def _set(self, config: DictConfig, words: Sequence[str]) -> None:
        """Set the values of a job as Hydra does, and let what is computed once for a sweep be that of the sweep."""
        given = [self._word(word) for word in words]
        ConfigLoaderImpl._apply_overrides_to_config([word.override for word in given if word.is_value], config)
        OmegaConf.copy_cache(from_config=self._master, to_config=config)

    def _whole(self, base: DictConfig, words: Sequence[str], number: int) -> DictConfig:
        """A configuration of its own for a job, with what Hydra notes in it of the words that it was given."""
        config = copy.deepcopy(base)
        self._set(config, words)
        given = [self._word(word).override for word in (*self._of_hydra, *words)]
        task = [override for override in given if not override.is_hydra_override()]
        hydra = config.hydra
        hydra.sweep.subdir = self._folder(words)
        hydra.overrides.hydra = [override.input_line for override in given if override.is_hydra_override()]
        hydra.overrides.task = [override.input_line for override in task]
        hydra.job.override_dirname = get_overrides_dirname(overrides=task, **hydra.job.config.override_dirname)
        return _numbered(config, number)

    def _base(self, words: Sequence[str]) -> _Base | None:
        """The base of a job and of all that are the same but for values; None: Hydra composes each by itself."""
        marks = tuple(self._mark(word) for word in words)
        if marks not in self._bases:
            self._bases[marks] = None  # for the next, if this fails
            self._bases[marks] = self._composed(words)
        return self._bases[marks]

    def _mark(self, word: str) -> str:
        """What a word has in common with those that may stand in its place."""
        known = self._word(word)
        return f"{known.override.key_or_group}=" if known.is_value or known.is_folder else word

    def _folder(self, words: Sequence[str]) -> str:
        (folder,) = (str(known.override.value()) for known in map(self._word, words) if known.is_folder)
        return folder

    def _word(self, word: str) -> _Word:
        if word not in self._words:
            self._words[word] = self._known(word)
        return self._words[word]

    def _known(self, word: str) -> _Word:
        if folder := _FOLDER.fullmatch(word):  # there is one for each job, and to parse it takes longer than all else
            value = QuotedString(folder[1], Quote.single)
            override = Override(OverrideType.CHANGE, _SUBDIR, ValueType.ELEMENT, value, input_line=word)
            return _Word(override, is_folder=True)
        override = self._parser.parse_override(word)
        is_group = self._loader.repository.group_exists(override.key_or_group)
        is_value = word not in self._in_all and not is_group and _is_value(override)
        return _Word(override, is_group=is_group, is_value=is_value)

    def _composed(self, words: Sequence[str]) -> _Base | None:
        given = [self._word(word) for word in (*self._of_hydra, *words)]
        keys = [word.override.key_or_group for word in given if not word.is_group]
        if self._master.hydra.searchpath or not any(word.is_folder for word in given):
            return None
        if not all(_is_simple(word.override) for word in given) or _overlap(keys):
            return None
        common = [word for word in words if not self._word(word).is_value]
        config = self._loader.load_base(self._master.hydra.job.config_name, [*self._of_hydra, *common])
        values = [self._word(word).override.key_or_group for word in words if self._word(word).is_value]
        raw = OmegaConf.to_container(config)
        assert isinstance(raw, dict)
        if any(_holder(config, key) is None for key in keys) or not all(_holds_value(config, key) for key in values):
            return None
        if not _is_independent(raw):
            return None
        # What cannot be resolved is Hydra's to tell.
        OmegaConf.to_container(self._whole(config, words, 0), resolve=True)
        OmegaConf.copy_cache(from_config=self._master, to_config=config)
        plain = values_of(config)
        if OmegaConf.get_cache(config) != OmegaConf.get_cache(self._master):
            return None  # a time that is not the sweep's is that of the job
        changing = _changing(raw, values)
        return _Base(config, plain, [key for key in plain if key in changing], dict(config.hydra.runtime.choices))


def _is_value(override: Override) -> bool:
    """Whether an override gives a plain value, which means nothing else, to a key of the run."""
    value = override.value()
    return (
        _is_simple(override)
        and override.type is OverrideType.CHANGE
        and not override.is_hydra_override()
        and (value is None or isinstance(value, bool | int | float | str))
        and value != "???"
    )


def _is_simple(override: Override) -> bool:
    """Whether what becomes of an override does not depend on what is there."""
    return (
        override.type in (OverrideType.CHANGE, OverrideType.FORCE_ADD)
        and override.value_type is ValueType.ELEMENT
        and override.package is None
        and not isinstance(override.value(), dict)
        and "${" not in str(override.input_line)
        and ("/" in override.key_or_group or _KEY.fullmatch(override.key_or_group) is not None)
    )


def _overlap(keys: Sequence[str]) -> bool:
    """Whether a key is given twice, or together with one below it."""
    return any(after[: len(key)] == key for key, after in pairwise(sorted(key.split(".") for key in keys)))


def _holder(config: DictConfig, key: str) -> DictConfig | None:
    """The node that a key is in, if the way there is of plain nodes alone."""
    node: Any = config
    for name in key.split(".")[:-1]:
        node = node._get_node(name)
        if not isinstance(node, DictConfig) or node._is_interpolation() or node._is_none() or node._is_missing():
            return None
    return node  # type: ignore[no-any-return]


def _holds_value(config: DictConfig, key: str) -> bool:
    holder = _holder(config, key)
    return holder is not None and type(holder._get_node(key.rpartition(".")[2])) is AnyNode


def _is_independent(raw: Mapping[Any, Any]) -> bool:
    """Whether interpolations lead nowhere but to other keys, from runs to runs and from Hydra's to its own."""
    hydra = raw["hydra"]
    of_runs = [text for key in raw if key != "hydra" for text in _interpolations(raw[key])]
    # Where runs go is said by their keys: it is compared with conf/config.yaml.
    of_hydra = [text for key in hydra if key not in ("run", "sweep") for text in _interpolations(hydra[key])]
    called = [text for key in _CALLED for text in _interpolations(hydra[key])]
    return (
        not any("${" in _REFERENCE.sub("", text) for text in (*of_runs, *of_hydra))
        and not any("hydra" in text for text in of_runs)
        and all(found[1].startswith("hydra.") for text in of_hydra for found in _REFERENCE.finditer(text))
        and not any("${" in _OF_A_FILE_NAME.sub("", text) for text in called)
        and not any(_interpolations([hydra[key] for key in _READ]))
    )


def _changing(raw: Mapping[Any, Any], keys: Sequence[str]) -> set[str]:
    """The keys at the top that values stand below, or that lead to such by their interpolations."""
    changing = {"", *(key.partition(".")[0] for key in keys)}  # a relative path, such as `..seed`, may lead anywhere
    leads = {
        top: {found[1].partition(".")[0] for text in _interpolations(inner) for found in _REFERENCE.finditer(text)}
        for top, inner in raw.items()
    }
    while more := {top for top, others in leads.items() if others & changing} - changing:
        changing |= more
    return changing


def _interpolations(plain: Any) -> Iterator[str]:
    """The texts in nested values that are, or look like, interpolations."""
    if isinstance(plain, Mapping):
        plain = list(plain.values())
    if isinstance(plain, list):
        for inner in plain:
            yield from _interpolations(inner)
    elif isinstance(plain, str) and "${" in plain:
        yield plain


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _numbered(config: DictConfig, number: int) -> DictConfig:
    """What a launcher notes in the configuration of a job: its number, and the folder of its run."""
    with open_dict(config):
        config.hydra.job.id = str(number)
        config.hydra.job.num = number
    with as_current(config):
        folder = Path(str(config.hydra.sweep.dir), str(config.hydra.sweep.subdir)).absolute()
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(folder)
    return config
