"""What the tests share: configurations composed as the command line does, and small data."""

from __future__ import annotations

import dataclasses
import functools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from triplicate.config import RunConfig, run_config
from triplicate.datasets import Dataset, Images
from triplicate.measures.shared.epochs import EpochMetrics
from triplicate.presets import CONF

SHARED_DATA = Path(__file__).parents[2] / "shared" / "datasets"

# Read before the tests clear it.
NAMED_DATA = os.environ.get("TRIPLICATE_DATA")

# What hypothesis draws is the same each time.
hypothesis.settings.register_profile("seeded", derandomize=True, deadline=None)
hypothesis.settings.load_profile("seeded")

Configure = Callable[..., RunConfig]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") is not None and not torch.cuda.is_available():
        pytest.skip("no CUDA device")


@pytest.fixture(scope="session")
def configure() -> Configure:
    """A function from overrides, as typed, to the configuration of one run; each is composed once."""

    @functools.cache
    def one(*overrides: str) -> RunConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            values = OmegaConf.to_container(compose("config", list(overrides)), resolve=True)
        assert isinstance(values, dict)
        return run_config({str(k): v for k, v in values.items()})

    return one


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the published files, or a skip that says what is missing."""
    for folder in (Path(NAMED_DATA or SHARED_DATA), SHARED_DATA):
        if (folder / "FashionMNIST").is_dir():
            return folder
    pytest.skip(f"no published data: neither $TRIPLICATE_DATA nor {SHARED_DATA} holds FashionMNIST")


@pytest.fixture(scope="session")
def real_data_unpacked(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files unpacked, as a user has them; of CIFAR-10 twenty images a class and split."""
    unpack = SHARED_DATA / "unpack.py"
    if not unpack.is_file():
        return real_data
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([sys.executable, str(unpack), str(folder), "--per-class", "20"], check=True, capture_output=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The tests make glyphs once, in a cache of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("TRIPLICATE_DATA", raising=False)
        yield


def epoch_metrics(epoch: int, **others: float) -> EpochMetrics:
    """An epoch whose measures are zero, but those named."""
    test = {name: others.pop(name, 0.0) for name in ("test_precision", "test_recall", "test_f1")}
    values: dict[str, float | None] = dict.fromkeys((f.name for f in dataclasses.fields(EpochMetrics)), 0.0)
    values |= {name: None for name in values if name.startswith(("validation", "evaluated"))}
    return EpochMetrics(**(values | others | {"epoch": epoch, "test": test}))  # type: ignore[arg-type]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request goes to a port of this machine where nobody listens."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setattr("urllib.request._opener", None)  # it keeps the proxies that it was made with


@pytest.fixture
def small() -> Dataset:
    """256 + 96 random images of 6×5 in four classes, learnable: each class is brighter in its own rows."""
    draws = torch.Generator().manual_seed(1)

    def images(count: int) -> Images:
        labels = torch.randint(0, 4, (count,), generator=draws)
        pixels = torch.randint(0, 80, (count, 1, 6, 5), generator=draws)
        pixels[torch.arange(count), 0, labels] += 170
        return Images(pixels.to(torch.uint8), labels)

    return Dataset(images(256), images(96), ("a", "b", "c", "d"))
