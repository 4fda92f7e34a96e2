"""How long steps take on this GPU, beside the tutorials' loop and beside what the device could do at best."""

from __future__ import annotations

import itertools
import math
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

import floors
import torch
from floors import Floor, Rates
from libraries import FOR_BENCH, listed, missing
from outcome import Figures, Setting, expect
from torch import Tensor
from torch._C._autograd import DeviceType
from training import begin, begun, configured, learnable, stack_of, trained

from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.training.batches import spans
from triplicate.training.engine import _State

_HEAD = "| stack | runs | ms a step | goal | us a run and step | kernels | of the FLOP rate | of the memory rate |"
_RATES = (1.0, 0.1, 0.01, 0.001)


@dataclass(frozen=True)
class Case:
    """A stack whose step is measured: rates by seeds.

    Attributes:
        dataset: whose shape the images have.
        goal: milliseconds a step; None: there is none.
    """

    name: str
    options: tuple[str, ...]
    rates: int
    seeds: int
    dataset: str = "fashion_mnist"
    goal: float | None = None

    @property
    def runs(self) -> int:
        return self.rates * self.seeds


_NORM = ("model=mlp_base", "optimizer=adam", "model.norm=after", "model.dropout=0.2")
_CASES = (
    Case("MLP 512-512, SGD", ("model=mlp_base",), 1, 1),
    Case("MLP 512-512, SGD", ("model=mlp_base",), 1, 3),
    Case("MLP 512-512, SGD", ("model=mlp_base",), 4, 3, goal=2e3 / 9380),
    Case("MLP 512-512, SGD", ("model=mlp_base",), 4, 12),
    Case("MLP 512-512, SGD", ("model=mlp_base",), 4, 48),
    Case("MLP 512-512, Adam", ("model=mlp_base", "optimizer=adam"), 4, 3, goal=0.25),
    Case("MLP 512-512, Adam, norm, dropout", _NORM, 4, 3, goal=0.25),
    Case("CNN 1-16-32, SGD", ("model=cnn",), 2, 3),
    Case("CNN A 3-32-64-128, Adam", ("model=cnn_a", "optimizer=adam"), 2, 3, "cifar10"),
)


@dataclass(frozen=True)
class Measured:
    """Milliseconds of a step, and the kernels that it launches; None where no profiler counts them."""

    milliseconds: float
    kernels: float | None


def sweep(setting: Setting) -> Figures:
    """The training of cv2025/learning_rates, and the loop's from some of its steps. A goal that is missed is told."""
    device, epochs = begin(setting), 1 if setting.is_rehearsal else 10
    dataset, images = _fashion(setting)
    config = _tiny(setting, configured("experiment=cv2025/learning_rates", f"train.epochs={epochs}"))
    configs = stack_of(config, _RATES, 3)
    short = learnable(640, 64, (1, 28, 28), 10)
    trained([replace(c, train=replace(c.train, epochs=1)) for c in configs], short, device)  # libraries are loaded
    begin(setting)
    began = time.perf_counter()
    trained(configs, dataset, device)  # it ends with copies from the device
    seconds = time.perf_counter() - began
    steps = len(configs) * epochs * math.ceil(len(dataset.train) / config.train.batch_size)
    sizes = f"{len(configs)} runs x {epochs} epoch(s) on {images}"
    told = f"{sizes}: {seconds:.2f} s with evaluation and traces (goal of 12 x 10: under 2)"
    return Figures(f"{told}; {_loop(setting, device, dataset, steps, seconds)}")


def _loop(setting: Setting, device: torch.device, dataset: Dataset, steps: int, seconds: float) -> str:
    """How many times the seconds of a sweep of so many steps the loop would take."""
    if absent := missing(FOR_BENCH):
        return f"the loop: left out, missing: {listed(absent)}"
    from loop import seconds_per_step  # only here: it wants torchvision

    one = seconds_per_step(dataset.train, device, 3 if setting.is_rehearsal else 400)
    times = steps * one / seconds
    return f"the loop: {1e3 * one:.2f} ms a step, {steps * one:.0f} s for the same, {times:.0f} times (goal: 100)"


def bench(setting: Setting) -> Figures:
    """Steps of stacks, beside what the device could do at best. A goal that is missed stands beside its figure."""
    device, small = begin(setting), setting.is_rehearsal
    sizes = (640, 64) if small else (16_384, 64)  # random images: what they show does not change the time
    shapes = {"fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
    data = {name: learnable(*sizes, shape, 10) for name, shape in shapes.items()}
    rates = Rates.of(device, 128 if small else 8192, 10**5 if small else 2**28)
    best = f"{rates.flops / 1e12:.1f} TFLOP/s in float32, {rates.bytes / 1e12:.2f} TB/s of copying"
    lines = [f"The device at its best: {best}; a share of 100% is the floor.", ""]
    lines += [_HEAD, "|---|--:|--:|--:|--:|--:|--:|--:|"]
    failed = 0
    for case in setting.few(_CASES):
        try:
            lines.append(_row(setting, device, case, data[case.dataset], rates))
        except Exception as error:  # the others can still be measured
            traceback.print_exc(file=sys.stderr)
            lines.append(f"| {case.name} | {case.runs} | {type(error).__name__} | | | | | |")
            failed += 1
    if failed:
        print("\n".join(lines))
    expect(failed == 0, f"{failed} stack(s) could not be measured")
    return Figures(best, "\n".join(lines))


def _row(setting: Setting, device: torch.device, case: Case, dataset: Dataset, rates: Rates) -> str:
    begin(setting)  # gives back what the last stack took
    config = _tiny(setting, configured(*case.options, "trace=none", f"dataset={case.dataset}"))
    configs = stack_of(config, _RATES[-case.rates :], case.seeds)
    state = begun(configs, dataset, device)
    measured = _measured(state, device, 2 if setting.is_rehearsal else 200)
    remembered = sum(tensor.numel() for tensor in {id(t): t for t in state.optimizer.state()}.values())
    floor = Floor.of(config, dataset.image_shape, len(dataset.classes), case.runs, remembered)
    taken = measured.milliseconds / 1e3
    shares = (floor.flops / rates.flops / taken, floor.bytes / rates.bytes / taken)
    cells = (
        case.name,
        str(case.runs),
        f"{measured.milliseconds:.3f}",
        "" if case.goal is None else f"{case.goal:.3f}",
        f"{1e3 * measured.milliseconds / case.runs:.2f}",
        "-" if measured.kernels is None else f"{measured.kernels:g}",
        *(f"{share:.0%}" for share in shares),
    )
    return f"| {' | '.join(cells)} |"


def _measured(state: _State, device: torch.device, steps: int) -> Measured:
    """Steps on batches of an epoch, without evaluation."""
    batches = itertools.cycle(_whole_batches(state))

    def step() -> None:
        state.train(next(batches), False)

    for _ in range(max(2, steps // 10)):
        step()
    return Measured(1e3 * floors.seconds(step, device, steps), _launched(step, device))


def _whole_batches(state: _State) -> list[Tensor]:
    images = state.splits.epoch()
    size = state.batch_size
    return [images.indices[:, start:stop] for start, stop in spans(len(images), size) if stop - start == size]


def _launched(step: Callable[[], None], device: torch.device) -> float | None:
    """Kernels, copies and fills that a step has the GPU do, those inside a graph too."""
    if device.type != "cuda":
        return None
    try:
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
            for _ in range(5):
                step()
            torch.cuda.synchronize(device)
        events = [e for e in profiler.events() or () if e.device_type == DeviceType.CUDA]
    except RuntimeError:  # a machine that lets nobody profile
        return None
    return len(events) / 5 if events else None


def _fashion(setting: Setting) -> tuple[Dataset, str]:
    """Fashion-MNIST, or random images of the same number and shape; and which."""
    if setting.is_rehearsal:
        return learnable(640, 128, (1, 28, 28), 10), "few random images"
    if setting.data is not None and (setting.data / "FashionMNIST").is_dir():
        return configured("dataset=fashion_mnist").dataset.load(setting.data), "Fashion-MNIST"
    return learnable(60_000, 10_000, (1, 28, 28), 10), "random images like Fashion-MNIST"


def _tiny(setting: Setting, config: RunConfig) -> RunConfig:
    """In a rehearsal, layers of a few units and small batches."""
    if not setting.is_rehearsal:
        return config
    narrow = (8,) * len(config.model.hidden)  # type: ignore[attr-defined]
    model = replace(config.model, hidden=narrow)  # type: ignore[call-arg]
    return replace(config, model=model, train=replace(config.train, batch_size=16))
