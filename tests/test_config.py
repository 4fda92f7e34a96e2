from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Configure
from triplicate.config import RunConfig, as_plain, check_recorded, groups, identity, known_keys, run_config, several
from triplicate.errors import UserError
from triplicate.models.cnn import Cnn
from triplicate.parts import Key, Part
from triplicate.presets import choices


def changed(plain: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of nested values with one dotted key set."""
    head, _, rest = key.partition(".")
    return plain | {head: changed(plain[head], rest, value) if rest else value}


def test_a_configuration_survives_being_written_and_read(configure: Configure) -> None:
    config = configure("optimizer.lr=0.05", "dataset.mean=[0.5]", "dataset.std=[0.25]", "dataset.limit=7")
    assert run_config(as_plain(config)) == config


def test_a_configuration_is_frozen(configure: Configure) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        configure().optimizer.lr = 1.0  # type: ignore[misc]


def test_every_default_has_a_key_and_every_key_a_default(configure: Configure) -> None:
    def leaves(schema: Any, prefix: str = "") -> set[str]:
        names: set[str] = set()
        for field in dataclasses.fields(schema):
            value = getattr(schema, field.name)
            if field.name in several():
                names |= {n for each, part in value.items() for n in leaves(part, f"{field.name}.{each}.")}
            elif dataclasses.is_dataclass(value):
                names |= leaves(value, f"{prefix}{field.name}.")
            else:
                names.add(prefix + field.name)
        return names

    parts = [group for group, cls in {**groups(), **several()}.items() if issubclass(cls, Part)]
    apart = "dataset.validation=0.2"
    configs = [configure(f"{group}={name}", apart) for group in parts for name in choices(group)]
    assert set().union(*(leaves(config) for config in configs)) == set(known_keys())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer.lr", 0),
        ("optimizer.lr", -1),
        ("optimizer.lr", "abc"),
        ("optimizer.lr", float("nan")),
        ("optimizer.lr", float("inf")),
        ("optimizer.lr", True),
        ("optimizer.momentum", 1.0),
        ("optimizer.nesterov", 1),
        ("seed", -1),
        ("seed", 0.5),
        ("seed", ""),
        ("seed", None),
        ("seed", [0, 1]),
        ("train.epochs", 0),
        ("train.batch_size", 0),
        ("train.dtype", "float16"),
        ("model.hidden", 512),
        ("model.hidden", [512, 0]),
        ("dataset.limit", 0),
        ("dataset.validation", 1.0),
        ("dataset.std", [0.0]),
        ("output_dir", ""),
        ("report.published", 3),
        ("stopping.keep", "best"),
        ("loss.name", "hinge"),
        ("schedule.name", "linear"),
        ("model", 3),
    ],
)
def test_a_wrong_value_is_refused_by_its_key(configure: Configure, key: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        run_config(changed(as_plain(configure()), key, value))
    assert caught.value.subject == key


@given(rate=st.floats())
def test_a_rate_is_taken_when_it_is_finite_and_above_zero(configure: Configure, rate: float) -> None:
    values = changed(as_plain(configure()), "optimizer.lr", rate)
    if 0 < rate < float("inf"):
        assert run_config(values).optimizer.lr == rate
    else:
        with pytest.raises(UserError):
            run_config(values)


def test_unknown_missing_and_imported_keys_are_refused(configure: Configure) -> None:
    plain = as_plain(configure())
    with pytest.raises(UserError, match=r"optimizer\.lrr: .* did you mean optimizer\.lr\?"):
        run_config(plain | {"optimizer": plain["optimizer"] | {"lrr": 1}})
    with pytest.raises(UserError, match="import paths are refused"):
        run_config(plain | {"optimizer": plain["optimizer"] | {"_target_": "os.system"}})
    with pytest.raises(UserError, match="seed: it is missing"):
        run_config({k: v for k, v in plain.items() if k != "seed"})


def test_keys_that_need_each_other(configure: Configure) -> None:
    with pytest.raises(UserError, match=r"optimizer\.nesterov"):
        configure("optimizer.nesterov=true")
    with pytest.raises(UserError, match=r"dataset\.mean"):
        configure("dataset.mean=[0.5]")


def test_a_key_of_convolutions_is_one_value_or_a_list(configure: Configure) -> None:
    config = configure("model=cnn", "model.kernel=[5,1]", "model.padding=[0,2]", "model.pool=none")
    assert isinstance(config.model, Cnn)
    assert (config.model.kernel, config.model.stride, config.model.padding) == ((5, 1), 1, (0, 2))
    assert run_config(as_plain(config)) == config
    for override in (
        "model.kernel=0",
        "model.kernel=[3,0]",
        "model.kernel=abc",
        "model.padding=some",
        "model.pool=sum",
    ):
        with pytest.raises(UserError, match=override.partition("=")[0]):
            configure("model=cnn", override)


def test_the_kind_is_chosen_by_its_name(configure: Configure) -> None:
    with pytest.raises(UserError, match=r"model\.name: there is no 'mpl'; did you mean mlp\?"):
        configure("model.name=mpl")
    with pytest.raises(UserError, match=r"model\.filters: the chosen model does not have this key"):
        configure("+model.filters=[3]")


def mark(config: RunConfig, data: str = "d", device: str = "cpu") -> str:
    return identity(config, data, device).fingerprint


def test_the_fingerprint_tells_results_apart_and_nothing_else(configure: Configure) -> None:
    base = mark(configure())
    same = ["output_dir=/elsewhere", "data_dir=/data", "name=other", "report.title=x", "device=cpu"]
    other = [
        "seed=1",
        "optimizer.lr=0.2",
        "train.shuffle=false",
        "init=he",
        "dataset.limit=10",
        "train.dtype=float64",
    ]
    assert {mark(configure(o)) for o in same} == {base}
    others = {mark(configure(o)) for o in other} | {mark(configure(), data="e"), mark(configure(), device="cuda")}
    assert len(others | {base}) == len(other) + 3


def test_keys_that_came_later_make_no_other_run(configure: Configure) -> None:
    """Fingerprints of a version without augmentation, label smoothing, warm-up, clipping and measures of patience."""
    before = {
        (): "20439deb7ac2cea5",
        ("optimizer=adam", "schedule=step", "activation=gelu"): "706b931146bbcf4b",
        ("stopping=patience", "dataset.validation=0.2", "seed=3"): "aa001429ceb21206",
        ("dataset=points", "model=mlp", "loss=perceptron"): "3e461fb26f0d02fb",
        ("model=cnn", "dataset=cifar10", "schedule=cosine", "optimizer=rmsprop", "stopping=target"): "b8c697b5273873b6",
    }
    assert {choices: mark(configure(*choices), "0123456789abcdef") for choices in before} == before
    later = ("augmentation=rotation", "loss.label_smoothing=0.1", "schedule.warmup=1", "optimizer.clip_norm=1")
    assert len({mark(configure()), *(mark(configure(one)) for one in later)}) == 5
    assert mark(configure("schedule.warmup_from=0.3")) == mark(configure())  # nothing warms up


def test_a_run_that_was_recorded_without_them_is_read(configure: Configure) -> None:
    config = as_plain(configure("stopping=patience", "dataset.validation=0.2"))
    older = copy.deepcopy(config)
    del older["augmentation"], older["loss"]["label_smoothing"], older["optimizer"]["clip_norm"]
    del older["schedule"]["warmup"], older["schedule"]["warmup_from"]
    del older["stopping"]["measure"], older["stopping"]["min_delta"]
    for key in ("compare", "published_runs", "explained", "not_comparable"):
        del older["report"][key]
    assert check_recorded(older) == config


def test_the_setting_leaves_the_seed_out_and_the_lineage_the_epochs(configure: Configure) -> None:
    one, seed, longer = (identity(configure(*o), "d", "cpu") for o in ((), ("seed=1",), ("train.epochs=11",)))
    assert one.setting == seed.setting != longer.setting
    assert one.lineage == longer.lineage != seed.lineage


def test_an_activation_that_is_nowhere_changes_nothing(configure: Configure) -> None:
    assert mark(configure("model=perceptron")) == mark(configure("model=perceptron", "activation=tanh"))
    assert mark(configure("model=mlp")) != mark(configure("model=mlp", "activation=tanh"))


def test_a_range_reads_well() -> None:
    assert Key("", at_least=0, below=1).range() == "at least 0 and below 1"
    assert Key("", above=0.5).range() == "above 0.5"
    assert Key("").range() == ""
