"""The names of run folders are one safe component of a path, tell the runs apart, and stay the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triplicate.config.identity import _WITHOUT_EFFECT
from triplicate.jobs.axes import SHARED, is_shared
from triplicate.jobs.names import folder_names

KEYS = st.text(min_size=1).filter(lambda key: "=" not in key and not is_shared(key) and not key.startswith("+"))
SETTING = st.dictionaries(st.one_of(KEYS, st.just("seed")), st.text(), max_size=4)


@settings(deadline=None)
@given(st.lists(SETTING, min_size=1, max_size=5, unique_by=lambda setting: tuple(sorted(setting.items()))))
def test_any_name_is_safe_and_its_own(jobs: list[dict[str, str]]) -> None:
    words = [[f"{key}={value}" for key, value in job.items()] for job in jobs]
    names = folder_names(words)
    assert len(set(names)) == len(names)
    assert folder_names(words) == names
    for name in names:
        assert re.fullmatch(r"[A-Za-z0-9_=,+-][A-Za-z0-9._=,+-]*", name)
        assert len(name.encode()) <= 140


NAMES = {
    ("seed=0", "seed=1"): ["seed=0", "seed=1"],
    ("seed=0",): ["seed=0"],
    ("model=mlp",): ["run"],
    ("model=mlp seed=0", "model=cnn seed=0"): ["model=mlp,seed=0", "model=cnn,seed=0"],
    ("seed=0 optimizer.lr=0.1 train.epochs=3", "seed=0 optimizer.lr=1e-05 train.epochs=3"): [
        "optimizer.lr=0.1,seed=0",
        "optimizer.lr=1e-05,seed=0",
    ],
    ("a=1 b=1 seed=0", "a=2 seed=0"): ["a=1,b=1,seed=0", "a=2,seed=0"],
    ("name=x output_dir=/tmp seed=0", "name=y output_dir=/tmp seed=0"): ["seed=0", "seed=0"],
    ("+a=1 seed=3", "+a=2 seed=3"): ["a=1,seed=3", "a=2,seed=3"],
}


@pytest.mark.parametrize("jobs", NAMES, ids=" and ".join)
def test_a_name_is_the_axes_then_the_seed(jobs: tuple[str, ...]) -> None:
    assert folder_names([job.split() for job in jobs]) == NAMES[jobs]


def test_a_name_that_had_to_be_changed_ends_in_a_hash_and_shows_the_seed() -> None:
    paths = [["dataset.path=/a/b", "seed=7"], ["dataset.path=/a-b", "seed=7"]]
    one, other = folder_names(paths)
    assert re.fullmatch("dataset.path=-a-b,seed=7,[0-9a-f]{8}", one)
    assert re.fullmatch("dataset.path=-a-b,seed=7,[0-9a-f]{8}", other)
    assert one != other
    long, _ = folder_names([["model.hidden=[" + "128," * 50 + "1]", "seed=2"], ["model.hidden=[1]", "seed=2"]])
    assert re.fullmatch("model.hidden=-128,.*,seed=2,[0-9a-f]{8}", long)
    assert len(long) <= 110


def test_what_runs_share_is_what_bears_on_no_result() -> None:
    assert set(SHARED) == {"experiment", *_WITHOUT_EFFECT}
