"""Devices by name, and how one is begun, with CUDA's calls replaced; whole sweeps are in sweeps/test_gpus.py."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.conftest import Configure
from triplicate.errors import UserError
from triplicate.sweeps.cost import machine, memory
from triplicate.training import devices

NUMPY = ("model=mlp", "model.backend=numpy")


class Gpus:
    """So many GPUs of a process, and what it asks of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        self.calls: list[tuple[str, Any]] = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        sizes = [SimpleNamespace(total_memory=(8 + gpu) * 2**30) for gpu in range(count)]
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: sizes[gpu])
        for name in ("init", "set_device", "empty_cache", "reset_peak_memory_stats"):
            monkeypatch.setattr(torch.cuda, name, self._noting(name))

    def _noting(self, name: str) -> Any:
        return lambda device=None: self.calls.append((name, device))


@pytest.fixture
def tensor_float() -> Iterator[None]:
    """TensorFloat-32 is on, and afterwards as it was."""
    places = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [place.allow_tf32 for place in places]
    for place in places:
        place.allow_tf32 = True
    yield
    for place, value in zip(places, before, strict=True):
        place.allow_tf32 = value


@pytest.mark.parametrize(
    ("count", "name", "kind", "device"),
    [
        (0, "auto", "cpu", "cpu"),
        (0, "cpu", "cpu", "cpu"),
        (0, "cuda", "cuda", None),
        (0, "cuda:0", "cuda", None),
        (2, "auto", "cuda", "cuda"),
        (2, "cpu", "cpu", "cpu"),
        (2, "cuda", "cuda", "cuda"),
        (2, "cuda:1", "cuda", "cuda:1"),
        (2, "cuda:2", "cuda", None),
        (2, "cuda:1000", "cuda", None),
    ],
)
def test_a_name_means_a_device(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, count: int, name: str, kind: str, device: str | None
) -> None:
    Gpus(monkeypatch, count)
    config = configure(f"device={name}")
    assert devices.kind(config) == kind
    if device is not None:
        assert devices.of(config) == torch.device(device)
        return
    with pytest.raises(UserError) as raised:
        devices.of(config)
    assert str(raised.value) == f"device: {name!r} is not here: {count} CUDA device(s); give device=cpu"


@pytest.mark.parametrize("name", ["tpu", "cuda:x", "cuda:", "cuda:-1", "cuda:1:2", "CPU", "xcuda"])
def test_other_names_are_refused(configure: Configure, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    Gpus(monkeypatch, 2)
    with pytest.raises(UserError, match=r"^device: there is no "):
        devices.kind(configure(f"device='{name}'"))


def test_numpy_is_on_the_cpu_beside_gpus(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(monkeypatch, 2)
    assert devices.of(configure(*NUMPY)) == torch.device("cpu")
    with pytest.raises(UserError, match="numpy computes on a CPU"):
        devices.of(configure(*NUMPY, "device=cuda:1"))


@pytest.mark.parametrize(
    ("device", "worker", "number"), [("cuda", 0, 0), ("cuda", 1, 1), ("cuda", 2, 0), ("cuda:1", 0, 1), ("cuda:0", 5, 0)]
)
def test_a_gpu_is_started_and_made_the_current_one_before_anything_is_asked_of_it(
    monkeypatch: pytest.MonkeyPatch,
    tensor_float: None,
    device: str,
    worker: int,
    number: int,
) -> None:
    calls = Gpus(monkeypatch, 2).calls
    own = devices.begin(torch.device(device), worker)
    assert own == torch.device("cuda", number)
    assert calls == [("init", None), ("set_device", own), ("empty_cache", None), ("reset_peak_memory_stats", own)]
    assert not torch.backends.cuda.matmul.allow_tf32
    assert not torch.backends.cudnn.allow_tf32


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("deterministic", [False, True])
def test_a_gpu_computes_as_it_is_asked_to(
    monkeypatch: pytest.MonkeyPatch, tensor_float: None, tf32: bool, deterministic: bool
) -> None:
    Gpus(monkeypatch, 1)
    devices.begin(torch.device("cuda"), 0, tf32, deterministic)
    assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == tf32
    assert torch.backends.cudnn.deterministic == deterministic
    devices.begin(torch.device("cuda"))
    assert not torch.backends.cudnn.deterministic


def test_a_cpu_is_begun_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Gpus(monkeypatch, 2).calls
    assert devices.begin(torch.device("cpu"), 1) == torch.device("cpu")
    assert calls == []


def test_a_machine_is_as_its_runs_may_use_it(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(monkeypatch, 3)
    monkeypatch.setattr("triplicate.sweeps.cost.cores", lambda: 16)
    on_cpu, on_any, on_last = (configure(f"device={name}") for name in ("cpu", "auto", "cuda:2"))
    gib = 2.0**30
    assert machine([on_cpu, configure(*NUMPY)]).workers == 16
    assert machine([on_cpu]).gpus == ()
    assert machine([on_last, on_last]).gpus == (5 * gib,)
    for both in ([on_any], [on_cpu, on_any, on_last]):
        assert machine(both).gpus == (4 * gib, 4.5 * gib, 5 * gib)
        assert machine(both).workers == 3
        assert machine(both).room("cpu", 3) == memory() / 2 / 3
    # Of four workers on three GPUs two share one; and one worker does not have three GPUs for a stack.
    rooms = {workers: machine([on_any]).room("cuda", workers) / gib for workers in (1, 3, 4, 6, 7)}
    assert rooms == {1: 4, 3: 4, 4: 2, 6: 2, 7: pytest.approx(4 / 3)}


def test_cuda_that_does_not_start_is_told_in_a_line(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise RuntimeError("Unexpected error from cudaGetDeviceCount().\nDid you run some cuda functions before?")

    Gpus(monkeypatch, 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", refuse)
    with pytest.raises(UserError) as raised:
        machine([configure("device=cuda")])
    expected = "device: CUDA does not start (Unexpected error from cudaGetDeviceCount().); give device=cpu"
    assert str(raised.value) == expected


def _chained() -> RuntimeError:
    try:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        finally:
            raise torch.AcceleratorError("CUDA error: operation failed due to a previous error during capture")
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "is_short"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (
            torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (MemoryError(), True),
        (_chained(), True),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED"), False),
        (ValueError("the memory of a student is short"), False),
        (UserError("a key", "it is out of memory", "buy more"), False),
    ],
)
def test_errors_that_say_that_memory_is_short(error: Exception, is_short: bool) -> None:
    assert devices.is_short_of_memory(error) == is_short


def test_torch_says_so_itself_when_memory_is_short() -> None:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**58, dtype=torch.uint8)
    assert devices.is_short_of_memory(raised.value)
