"""CUDA graphs against eager steps: the same numbers, inputs that are alive, no waiting, other masks each time."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Sequence
from dataclasses import replace
from unittest import mock

import torch
from outcome import Figures, Setting, Skipped, expect
from torch import Tensor
from training import (
    FAMILIES,
    OPTIMIZERS,
    apart,
    begin,
    begun,
    configured,
    family,
    learnable,
    measured,
    stack_of,
    trained,
)

from triplicate.config import RunConfig
from triplicate.training.cuda_graphs import Recorder
from triplicate.training.engine import is_recorded

_EAGER = " (rehearsal: eager both times)"


def recorded(setting: Setting) -> Figures:
    """Plain SGD, whose products write into the weights at once, over 3 epochs with evaluation of every kind."""
    device, dataset = begin(setting), learnable(256, 96)
    greatest = 0.0
    # Batches of 100, 92 images; the rate changes after each epoch, and some steps are traced.
    more = ("train.epochs=3", "train.batch_size=100", "schedule=cosine", "trace.first=1", "trace.every=4")
    others = ("train.dtype=float64", "train.evaluate_training=true", "dataset.validation=0.25")
    names = setting.few(FAMILIES)
    for name in names:
        configs = stack_of(family(name, "sgd", *more, *others), (0.1, 0.01), 2)
        expect(is_recorded(configs[0], device) or setting.is_rehearsal, "its steps are no CUDA graphs")
        one, other = trained(configs, dataset, device), trained(eager(configs), dataset, device)
        greatest = max(greatest, *(apart(measured(one, run), measured(other, run)) for run in range(len(configs))))
    expect(greatest <= 1e-10, f"recorded and eager are {greatest:.1e} apart, more than 1e-10")
    told = f"{len(names)} families, at most {greatest:.1e} apart (1e-10)"
    return Figures(told + _EAGER if setting.is_rehearsal else told)


def eager(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """The same without CUDA graphs."""
    return [replace(c, executor=replace(c.executor, cuda_graphs=False)) for c in configs]


def inputs_alive(setting: Setting) -> Figures:
    """Torch's own check that what a graph reads is still there at each replay."""
    if "check_input_liveness" not in inspect.signature(torch.cuda.graph).parameters:
        raise Skipped(f"torch {torch.__version__} has no check_input_liveness")
    if setting.is_rehearsal:
        raise Skipped("left out on a CPU: it needs graphs")
    device, dataset = begin(setting), learnable(256, 96)
    checked = functools.partial(torch.cuda.graph, check_input_liveness=True)
    with mock.patch("torch.cuda.graph", checked):
        for name in FAMILIES:
            for optimizer in OPTIMIZERS:
                config = family(name, optimizer, "train.epochs=2", "train.batch_size=100")
                trained(stack_of(config, (0.01, 0.001), 2), dataset, device)
    return Figures(f"{len(FAMILIES) * len(OPTIMIZERS)} stacks of 4 over 2 epochs")


def waits(setting: Setting) -> Figures:
    """An eager step of every model and optimizer, while torch takes waiting for the GPU for an error."""
    device, dataset, waiting = begin(setting), learnable(256, 96), []
    cases = [(name, optimizer) for name in setting.few(FAMILIES) for optimizer in setting.few(OPTIMIZERS)]
    for name, optimizer in cases:
        problem = waited(eager(stack_of(family(name, optimizer), (0.01, 0.001), 2)), dataset, device)
        waiting += [f"{name} with {optimizer}: {problem}"] if problem else []
    expect(not waiting, "; ".join(waiting))
    if setting.is_rehearsal:
        return Figures(f"{len(cases)} steps ran (left out on a CPU: set_sync_debug_mode)")
    return Figures(f"{len(cases)} steps, traced or not, wait for nothing")


def waited(configs: Sequence[RunConfig], dataset: object, device: torch.device) -> str:
    """What torch says of a step that waits; nothing of one that does not."""
    state = begun(configs, dataset, device)  # type: ignore[arg-type]
    indices = state.splits.training.indices
    batches = [indices[:, start : start + 64] for start in (0, 64, 128)]
    for traced in (True, False):
        state.train(batches[0], traced)  # what libraries do at their first calls does not count
    try:
        _raise_on_waiting(device, True)
        state.train(batches[1], False)
        state.train(batches[2], True)
    except RuntimeError as error:
        return " ".join(str(error).split())[:120]
    finally:
        _raise_on_waiting(device, False)
    return ""


def _raise_on_waiting(device: torch.device, raises: bool) -> None:
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error" if raises else "default")


def masks(setting: Setting) -> Figures:
    """The same images through a network with dropout, again and again: others each time, and as eager ones."""
    device = begin(setting)
    replayed, plain = (_passes(setting, device, graphs) for graphs in (True, False))
    for number, (earlier, later) in enumerate(itertools.pairwise(replayed)):
        expect(apart(earlier, later) > 1e-3, f"passes {number} and {number + 1} have the same masks")
    greatest = max(apart(one, other) for one, other in zip(replayed, plain, strict=True))
    expect(greatest <= 1e-10, f"replayed and eager passes are {greatest:.1e} apart: other masks")
    told = f"{len(replayed)} passes differ from each other, and from eager ones by at most {greatest:.1e}"
    return Figures(told + _EAGER if setting.is_rehearsal else told)


def _passes(setting: Setting, device: torch.device, graphs: bool) -> list[Tensor]:
    """Logits of five passes in training, whose weights stay what they are."""
    config = configured("model=mlp", "model.hidden=[64,32]", "model.dropout=0.5", "train.dtype=float64")
    state = begun(eager(stack_of(config, (0.1,), 3)), learnable(256, 96), device)
    recorder = Recorder(state.network.generators) if graphs and not setting.is_rehearsal else None

    @torch.no_grad()
    def forward(chosen: Tensor) -> Tensor:
        return state.network(state.splits.training.batch(chosen)[0])  # type: ignore[no-any-return]

    chosen = state.splits.training.indices[:, :64]
    if recorder is None:
        return [forward(chosen).clone() for _ in range(5)]
    return [recorder.run("forward", forward, list, chosen).clone() for _ in range(5)]
