"""Jobs that share what they have in common are what Hydra composes for each by itself, to the last node and flag."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write

from triplicate import presets
from triplicate.composition import RunLoader
from triplicate.config import known_keys, run_config
from triplicate.jobs.sweep import jobs_of
from triplicate.sweeps.composed import Job, compose, distinct
from triplicate.sweeps.launcher import run_of
from triplicate.sweeps.plan import Run

# Presets whose values depend on one another, on the job, on the moment, or are placed by package directives.
PRESETS = {
    "plain": "train: {epochs: 3}",
    "leads_to_values": "train: {batch_size: '${train.epochs}'}\ndataset: {limit: '${train.batch_size}'}",
    "leads_upwards": "train: {batch_size: '${.epochs}', shuffle: true}\ndataset: {limit: '${..train.epochs}'}",
    "leads_to_a_group": "report: {published: {x: '${stopping}'}}\nname: 'a-${device}-${train.epochs}'",
    "by_name": "report: {title: train}\ndataset: {limit: '${${report.title}.epochs}'}",
    "folder_of_a_value": "output_dir: 'out/${optimizer.lr}'",
    "of_the_job": "report: {title: '${hydra.job.num} ${hydra.job.override_dirname}'}",
    "of_hydra": "report: {title: '${hydra:job.id}'}",
    "selects": "report: {title: '${oc.select:seed,none}'}",
    "of_the_environment": "report: {title: '${oc.env:HOME}'}",
    "of_the_moment": "report: {title: 'in ${now:%Y}'}",
    "nothing_there": "report: {title: '${nowhere}'}",
    "missing": "report: {title: '???'}\ntrain: {epochs: '???'}",
    "round": "name: '${device}'\ndevice: '${name}'",
    "escaped": "report: {title: '\\${seed}'}",
    "logging": "device: logging.NullHandler\nhydra: {job_logging: {handlers: {x: {class: '${device}'}}}}",
    "logging_by_verbose": "device: logging.NullHandler\n"
    "hydra: {verbose: '${device}', job_logging: {handlers: {x: {class: '${hydra.verbose}'}}}}",
    "group_of_a_key": "defaults: [{/rerun: failed}, _self_]",
    "hydra_leads": "hydra: {verbose: '${seed}', output_subdir: '${device}'}",
    "hydra_leads_nowhere": "hydra: {verbose: '${nowhere}'}",
    "variables": "hydra: {job: {env_set: {SOME: '${seed}'}, config: {override_dirname: {exclude_keys: [seed]}}}}",
    "separators": "hydra: {job: {config: {override_dirname: {kv_sep: '-', item_sep: '__', exclude_keys: [seed]}}}}",
    "copied_variables": "hydra: {job: {env_copy: [HOME]}}",
    "rows": "hydra: {sweeper: {rows: [{model: mlp_small}, {model: cnn, optimizer.lr: 0.5}], params: {seed: '0,1'}}}",
    "chooses": "defaults: [override /model: cnn, override /optimizer: adam]\ntrain: {epochs: 2}",
    "second": "defaults: [{/stopping@report.published.x: target}, _self_]\n"
    "report: {published: {x: {epochs: '${train.epochs}'}}}",
    "by_choice": "defaults: [{/stopping@report.published.x: '${oc.env:NOWHERE,none}'}, _self_]",
    "code": "extra: {_target_: os.getcwd}",
    "other_folder": "hydra: {sweep: {subdir: 'runs/${seed}'}}",
}

GROUPS = {
    "dataset": ["mnist", "points", "mnist,cifar10"],
    "model": ["mlp_small", "mlp_small,cnn", "perceptron", "glob(mlp_w*)", "choice(cnn,mlp)"],
    "optimizer": ["adam", "sgd,adam", "momentum,rmsprop"],
    "schedule": ["step", "cosine,constant"],
    "activation": ["tanh", "relu,tanh"],
    "init": ["he", "he,xavier,random"],
    "regularization": ["dropout", "none,weight_decay"],
    "stopping": ["patience", "none,target"],
    "experiment": ["null"],
    "hydra/job_logging": ["disabled"],
}
# Most of them are what people type.
VALUES = {
    "seed": ["0", "1,2", "range(3)", "7,0", "1,null"],
    "optimizer.lr": [
        "0.1",
        "0.1,0.01",
        "1,1e-3,.5",
        "choice(0.1,1)",
        "0.1,-1",
        "0.1,abc",
        "0.1,${train.epochs}",
        "1,'1'",
    ],
    "optimizer.momentum": ["0.9", "0,0.9"],
    "train.epochs": ["2", "1,2", "0x10", "1,two", "tag(t,range(1,3))"],
    "train.shuffle": ["false", "true,false", "True,no"],
    "dataset.limit": ["null,100", "60", "null", "60,${train.batch_size}"],
    "dataset.mean": ["[0.5]", "[0.5],null", "null,0.5"],
    "dataset.validation": ["0.2", "0,0.2"],
    "model.hidden": ["[8]", "[8],[16,8]", "[${seed}],[4]", "8,[8]", "[],[1]"],
    "model.padding": ["same,[0]", "1,2"],
    "model": ["{hidden:[4]}", "{hidden:[4]},{hidden:[5]}"],
    "name": ["a", "'a b'", "a/b"],
    "report.title": [
        "'it''s, no'",
        '"a, b=c"',
        "a\\,b",
        "'a',\"b\"",
        "'${name}'",
        "a b",
        "é",
        "''",
        "'\\${seed}'",
        "???",
    ],
    "report.published": ["{seed=0:{test_accuracy:1}}", "null", "5", "5,null", "null,{}"],
    "report.published.x": ["{test_accuracy:0.5}"],
    "report": ["null,5"],
    "output_dir": ["out", "out/${seed}", "${name}", "null"],
    "device": ["cpu", "cpu,auto"],
    "task": ["plan"],
    "rerun": ["all", "failed,all"],
    "nothing.there": ["1", "1,2", "null,{a:1}"],
    "train": ["1,2", "null,1"],
    "hydra.verbose": ["true", "[a,b]", "${seed}"],
    "hydra.output_subdir": ["null", "'.h'", "${device}"],
    "hydra.job.env_set.SOME": ["a", "${seed}"],
    "hydra.job.chdir": ["true", "null"],
    "hydra.job.config.override_dirname.kv_sep": ["'-'", "${device}"],
    "hydra.sweeper.params.seed": ["0", "'4,5'"],
    "hydra.sweeper.params.optimizer": ["'sgd,adam'"],
    "hydra.job_logging.handlers.x.class": ["logging.NullHandler", "os.system", "${device}"],
    "hydra.callbacks.x._target_": ["os.getcwd"],
    "hydra.run.dir": ["elsewhere"],
    "hydra.searchpath": ["[/nowhere]", "[]"],
}
WORDS = {key: [*GROUPS.get(key, []), *VALUES.get(key, [])] for key in {**GROUPS, **VALUES}}


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> RunLoader:
    """As the command line makes it, with the presets above beside those of triplicate."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "experiment" / "odd").mkdir(parents=True)
    for name, text in PRESETS.items():
        (folder / "experiment" / "odd" / f"{name}.yaml").write_text(f"# @package _global_\n{text}\n")
    # A group whose name is that of a key: what sets the key chooses from the group.
    (folder / "rerun").mkdir()
    for epochs, name in enumerate(("failed", "all"), start=5):
        (folder / "rerun" / f"{name}.yaml").write_text(f"# @package _global_\ntrain: {{epochs: {epochs}}}\n")
    version.setbase("1.3")
    setup_globals()
    Plugins.instance()
    path = create_config_search_path(str(presets.CONF))
    path.prepend("command-line", f"file://{folder}", SearchPathQuery(provider="schema"))
    return RunLoader(path)


@pytest.fixture(autouse=True)
def _is_left_as_it_was() -> Iterator[None]:
    before = HydraConfig.instance().cfg
    yield
    HydraConfig.instance().cfg = before


Outcome = Any


def outcome(of: Callable[..., Any], *arguments: Any) -> Outcome:
    """What a function returns, or the error that it raises."""
    try:
        return of(*arguments)
    except Exception as error:
        return type(error), str(error), str(error.__cause__)


def sweep_of(loader: RunLoader, line: Sequence[str]) -> tuple[DictConfig, list[list[str]]]:
    """The configuration of a sweep and the overrides of three of its jobs, as the sweeper makes them."""
    master = loader.load_configuration("config", list(line), RunMode.MULTIRUN)
    str(master.hydra.sweep.dir)  # so the sweeper lets all jobs have one time
    jobs = jobs_of(master, loader, list(master.hydra.overrides.task))
    return master, jobs[:: max(1, len(jobs) // 3)][:3]


def by_hydra(loader: RunLoader, master: DictConfig, words: Sequence[str], number: int) -> DictConfig:
    """A job as Hydra composes it by itself, and as its launchers number it."""
    job = ConfigLoaderImpl.load_sweep_config(loader, master, list(words))
    with open_dict(job):
        job.hydra.job.id = str(number)
        job.hydra.job.num = number
    HydraConfig.instance().set_config(job)
    folder = Path(f"{job.hydra.sweep.dir}", f"{job.hydra.sweep.subdir}").absolute()
    HydraConfig.instance().cfg = None
    with read_write(job.hydra.runtime), open_dict(job.hydra.runtime):
        job.hydra.runtime.output_dir = str(folder)
    return job


def run_by_hydra(job: DictConfig) -> Run:
    values = OmegaConf.to_container(job, resolve=True)
    assert isinstance(values, dict)
    hydra = values.pop("hydra")
    words = [word.lstrip("+~").partition("=") for word in hydra["overrides"]["task"]]
    choices = {
        k: str(v) for k, v in hydra["runtime"]["choices"].items() if v is not None and not k.startswith("hydra/")
    }
    folder = Path(hydra["runtime"]["output_dir"])
    return Run(hydra["job"]["num"], run_config(values), folder, {key: value for key, _, value in words}, choices)


def nodes(node: Any, path: str = "") -> Iterator[tuple[object, ...]]:
    """Every node of a configuration with all that OmegaConf knows of it, in order."""
    content = node.__dict__["_content"] if isinstance(node, DictConfig | ListConfig) else None
    has_inner = isinstance(content, dict | list)
    yield path, type(node), None if has_inner else repr(node._value()), repr(vars(node._metadata))
    if isinstance(content, dict | list):
        for key, inner in content.items() if isinstance(content, dict) else enumerate(content):
            assert inner._get_parent() is node
            yield from nodes(inner, f"{path}.{key}")


def assert_same(loader: RunLoader, line: Sequence[str]) -> list[Job]:
    """Compose a command line in both ways, and compare what comes of it. The jobs, if they can be composed."""
    asked = outcome(sweep_of, loader, line)
    if isinstance(asked[0], type):
        return []
    master, overrides = asked
    expected = outcome(lambda: [by_hydra(loader, master, words, number) for number, words in enumerate(overrides)])
    jobs = outcome(compose, loader, master, overrides)
    if isinstance(expected, tuple):
        assert jobs == expected
        return []
    for job, whole in zip(reversed(jobs), reversed(expected), strict=True):  # not in the order in which they were made
        config = job.config()
        assert list(nodes(config)) == list(nodes(whole))
        assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(whole)
        assert outcome(OmegaConf.to_yaml, config, resolve := True) == outcome(OmegaConf.to_yaml, whole, resolve)
        assert outcome(run_of, job) == outcome(run_by_hydra, whole)
    return list(jobs)


def drawn(keys: Sequence[str], prefixes: Sequence[str]) -> st.SearchStrategy[list[str]]:
    """Command lines: a preset or none, and a few words, each of another key but for groups of that name."""
    words = st.sampled_from(keys).flatmap(
        lambda key: st.builds(
            lambda prefix, value: f"~{key}" if prefix == "~" else f"{prefix}{key}={value}",
            st.sampled_from(prefixes),
            st.sampled_from(WORDS[key]),
        )
    )
    experiments = [*presets.choices("experiment"), *(f"odd/{name}" for name in PRESETS for _ in range(3))]
    preset = st.none() | st.sampled_from(experiments)
    lines = st.lists(words, max_size=5, unique_by=lambda word: word.lstrip("+~").partition("=")[0])
    return st.tuples(preset, lines).map(lambda pair: [f"experiment={pair[0]}", *pair[1]] if pair[0] else pair[1])


COMMON = [key for key in WORDS if key in known_keys() or key in GROUPS if key not in ("output_dir", "report.published")]

# Each composes a few jobs twice, so that to find the shortest line that fails would take many minutes.
DRAWN = settings(max_examples=12, suppress_health_check=list(HealthCheck), phases=[Phase.generate])


@DRAWN
@given(line=drawn(COMMON, [""]))
def test_what_people_type_is_composed_as_by_hydra(loader: RunLoader, line: list[str]) -> None:
    assert_same(loader, line)


@DRAWN
@given(line=drawn(list(WORDS), ["", "", "", "+", "++", "~"]))
def test_whatever_can_be_typed_is_composed_as_by_hydra(loader: RunLoader, line: list[str]) -> None:
    assert_same(loader, line)


LINES = [
    *(f"experiment=odd/{preset} train.epochs=1,2 optimizer.lr=0.1,0.2 seed=0" for preset in PRESETS),
    "experiment=odd/logging device=logging.NullHandler,os.system seed=0",
    "experiment=odd/logging_by_verbose device=logging.NullHandler,os.system seed=0",
    "experiment=odd/group_of_a_key rerun=failed,all seed=0",
    "experiment=odd/leads_to_a_group stopping=none,target seed=0",
    "optimizer.lr=0.1,0 seed=0",
    "activation=tanh,relu model=perceptron seed=0",
    "+hydra.job.env_set.SOME=${seed}",
    "hydra.output_subdir=${device} name='${device}'",
    "optimizer.lr=0.1,${train.epochs} seed=0",
]


@pytest.mark.parametrize("line", LINES)
def test_what_leads_elsewhere_is_composed_as_by_hydra(loader: RunLoader, line: str) -> None:
    assert_same(loader, line.split())


# What is asked for → how many compositions its jobs share; None: Hydra composes each by itself.
SHARED = {
    "optimizer.lr=0.1,0.2 seed=0,1,2": 1,
    "optimizer.lr=0.1,0.2 dataset.limit=null,100 ++train.epochs=3 model.hidden=[8]": 1,
    "experiment=odd/leads_to_values train.epochs=1,2": 1,
    "model=mlp_small,cnn optimizer.lr=0.1,0.2 seed=0": 2,
    "model.hidden=[8],[4] seed=0,1": 2,
    "tracker=[mlflow,wandb] tracker.mlflow.uri=a optimizer.lr=0.1,0.2": 1,
    "experiment=odd/group_of_a_key rerun=failed,all seed=0": 2,
    "experiment=dlhw1/optimizers": 3,
    "+report.published.x={test_accuracy:1} seed=0,1": None,
    "experiment=odd/of_the_job seed=0,1": None,
    "experiment=odd/logging_by_verbose device=logging.FileHandler,logging.NullHandler": None,
}


@pytest.mark.parametrize("line", SHARED)
def test_jobs_of_the_same_choices_share_a_composition(
    loader: RunLoader, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    master, overrides = sweep_of(loader, line.split())
    composed = list[str | None]()
    load = ConfigLoaderImpl.load_configuration

    def noted(self: ConfigLoaderImpl, config_name: str | None, *arguments: Any, **named: Any) -> DictConfig:
        composed.append(config_name)
        return load(self, config_name, *arguments, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", noted)
    jobs = compose(loader, master, overrides)
    if SHARED[line] is None:
        assert all(job.base is None for job in jobs)
        assert len(distinct(jobs)) == len(jobs)
    else:
        assert len(distinct(jobs)) == len(composed) == SHARED[line]
        assert all(job.base is not None for job in jobs)
