"""What is written is what safetensors itself writes and reads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save

from triplicate.files import atomic, tensors
from triplicate.files.tensors import Content

MANY = {
    "wide": torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
    "transposed": torch.arange(6).view(2, 3).T,
    "one": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
    "mask": torch.tensor([True, False]),
    "state": torch.Generator().get_state(),
    "strided": torch.arange(9.0)[::9],
}


def test_the_bytes_are_those_of_the_library(tmp_path: Path) -> None:
    digest = tensors.write(tmp_path / "a", MANY)
    assert atomic.hash_of(tmp_path / "a") == digest
    found = load_file(tmp_path / "a")
    assert found.keys() == MANY.keys()
    assert all(found[name].equal(tensor) and found[name].dtype == tensor.dtype for name, tensor in MANY.items())
    weights = {name: MANY[name].contiguous() for name in ("one", "wide", "empty")}
    tensors.write(tmp_path / "b", weights)
    assert (tmp_path / "b").read_bytes() == save(weights)


@pytest.mark.parametrize("name", tensors._NAMES)
def test_every_dtype_is_read_back(tmp_path: Path, name: str) -> None:
    dtype = getattr(torch, name.removeprefix("torch."))
    tensor = torch.ones(3).to(dtype)
    tensors.write(tmp_path / "a", {"x": tensor})
    found = load_file(tmp_path / "a")["x"]
    assert found.dtype == dtype
    assert found.view(torch.uint8).equal(tensor.view(torch.uint8))


def test_what_has_no_name_in_the_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="x is torch"):
        tensors.write(tmp_path / "a", {"x": torch.zeros(1, dtype=torch.complex128)})
    assert list(tmp_path.iterdir()) == []


@given(st.dictionaries(st.text(max_size=8), st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)))
def test_values_come_back(tmp_path_factory: pytest.TempPathFactory, values: dict[str, object]) -> None:
    path = tmp_path_factory.mktemp("values") / "a"
    tensors.write_checked(path, Content(values, MANY))
    found = tensors.read_checked(path)
    assert found is not None
    assert found.values == values
    assert found.tensors["state"].equal(MANY["state"])
