"""A run's network, tried before anything is trained: does it fit the data, can it be stacked, what does it cost?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from triplicate.augmentations import Augmentation
from triplicate.config import RunConfig
from triplicate.datasets import Dataset
from triplicate.errors import UserError, unknown_name
from triplicate.measures import ExampleMeasure
from triplicate.measures.shared.names import evaluated
from triplicate.parts import Part
from triplicate.sweeps.cost import Cost, memory, of_a_pass, of_products
from triplicate.training import devices
from triplicate.training.batches import seen_shape
from triplicate.training.build import build, stack_rules
from triplicate.training.counts import trained_on
from triplicate.training.network import Alone, Batched, has_own_forward, signature, why_alone
from triplicate.training.seeding import CPU, generator

_NUMPY = "NumPy computes it"
_ON_A_CPU = "on a CPU convolutions are faster one after the other"
_OTHER_NUMBERS = "stacked, its forward pass gives other numbers"
# Examples in a trial of a stack, and how near its numbers must come.
_EXAMPLES = 3
_TOLERANCE = {"float32": 1e-3, "float64": 1e-9}


@dataclass(frozen=True)
class Trial:
    """What is known of a run before it is trained.

    Attributes:
        alone: why it cannot train with others; None if it can.
        signature: what networks of one stack have in common.
        must_agree: its forward pass is code that no rule knows; `agree` tells whether it can be stacked.
    """

    cost: Cost
    alone: str | None
    signature: tuple[object, ...]
    must_agree: bool


def attempt(config: RunConfig, dataset: Dataset) -> Trial:
    """Build a run's network and look at it.

    Raises:
        UserError: the model, the loss, the batch size or what is traced does not fit.
    """
    if config.train.tf32 and devices.kind(config) == "cpu":
        raise UserError("train.tf32", "a CPU has no TensorFloat-32", "leave it out")
    shape = seen_shape(dataset.image_shape, config.dataset.upscale)
    model = _built(config, shape, len(dataset.classes))
    _check_memory(config, model)
    _check(config, dataset, model)
    _check_per_example(config, len(dataset.classes))
    _check_augmentation(config.augmentation, dataset.image_shape)
    rules = stack_rules(config)
    own_forward = has_own_forward(model, rules)
    alone = _why_alone(config, model)
    signed = signature(model)
    is_known = config.model.origin is None and not own_forward
    if not is_known or any(isinstance(module, nn.Conv2d) for module in model.modules()):
        forward = _a_pass(config, model, shape, len(dataset.classes))
    else:
        forward = of_products(model)
    return Trial(Cost.of(config, dataset, model, forward), alone, signed, own_forward and alone is None)


def _check_memory(config: RunConfig, model: nn.Module) -> None:
    """A network whose numbers alone are more than the machine holds is refused before anything is made of them."""
    needed = sum(parameter.numel() for parameter in model.parameters()) * getattr(torch, config.train.dtype).itemsize
    there = memory()
    if devices.kind(config) == "cpu" and needed > there:
        problem = f"its weights take {needed / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f}"
        raise UserError(f"model {config.model.name}", problem, "choose a smaller one")


def _built(config: RunConfig, shape: tuple[int, ...], classes: int) -> nn.Module:
    """The network by its shapes alone, without drawing a weight; one from outside as it is."""
    if config.model.origin is not None:
        with _Blamed(config):
            return build(config, shape, classes).to(getattr(torch, config.train.dtype))
    with torch.device("meta"):
        return config.model.build(shape, config.loss.outputs(classes), config.activation)


def _a_pass(config: RunConfig, model: nn.Module, shape: tuple[int, ...], classes: int) -> Any:
    """What a forward pass costs; that of a model from outside must give logits."""
    if next(model.parameters()).is_meta:
        # Memory that nobody has written: the numbers mean nothing, their count does. (A pass on the meta device would
        # tell the same, but imports torch's compiler for seconds.)
        return of_a_pass(model.to_empty(device="cpu"), shape)[0]
    with _Blamed(config):
        forward, logits = of_a_pass(model, shape)
    outputs = config.loss.outputs(classes)
    if not isinstance(logits, Tensor) or logits.shape != (1, outputs):
        got = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        problem = f"for one example it gives {got}, not logits [1, {outputs}]"
        raise UserError(f"model {config.model.name}", problem, "mend its build or forward")
    return forward


class _Blamed:
    """Inside, whatever a model from outside raises becomes one line."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, UserError):
            model = self._config.model
            problem = f"it fails on this data ({_in_short(error)})"
            raise UserError(f"model {model.name}", problem, f"mend it in {model.origin}") from error


def _in_short(error: Exception) -> str:
    """What a user's code raised, in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _why_alone(config: RunConfig, model: nn.Module) -> str | None:
    if config.model.uses_numpy:
        return _NUMPY
    if config.model.alone:
        return config.model.alone
    reason = why_alone(model, stack_rules(config))
    has_convolutions = any(isinstance(module, nn.Conv2d) for module in model.modules())
    return reason or (_ON_A_CPU if has_convolutions and devices.kind(config) == "cpu" else None)


def _check(config: RunConfig, dataset: Dataset, model: nn.Module) -> None:
    images = trained_on(len(dataset.train), config.dataset.validation)
    smallest = images % config.train.batch_size or config.train.batch_size
    if smallest == 1 and any(isinstance(module, nn.BatchNorm1d) for module in model.modules()):
        problem = "the last batch of an epoch has one image, and batch normalisation needs two"
        raise UserError("train.batch_size", problem, "choose another, or another dataset.limit")
    if config.model.uses_numpy:
        from triplicate.training.numpy_network import check  # only here: scipy takes half a second

        check(model, config.loss)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not names:
        raise UserError(f"model {config.model.name}", "it has nothing to train", "choose another model")
    for name in config.trace.only or ():
        if name not in names:
            raise unknown_name("trace.only", name, names)


def _check_per_example(config: RunConfig, classes: int) -> None:
    """A loss or a measure from outside gives a number for each example, whatever stands beside it."""
    rules: dict[Part, Callable[[Tensor, Tensor], Tensor]] = {config.loss: config.loss.per_example}
    measures = evaluated(config.measured).values()
    rules |= {part: part.per_example for part in measures if isinstance(part, ExampleMeasure)}
    draws = torch.Generator().manual_seed(0)
    logits = torch.randn(2, _EXAMPLES, config.loss.outputs(classes), generator=draws, dtype=torch.float64)
    labels = torch.arange(2 * _EXAMPLES).view(2, _EXAMPLES) % classes
    given = list(logits.shape)
    for part, rule in rules.items():
        if part.origin is None:
            continue
        subject, remedy = f"{part.kind} {part.name}", f"mend per_example in {part.origin}"
        try:
            whole, one = rule(logits, labels), rule(logits[1:, 1:2], labels[1:, 1:2])
        except Exception as error:  # a user's code may raise anything
            raise UserError(subject, f"it fails on logits {given} ({_in_short(error)})", remedy) from error
        if not isinstance(whole, Tensor) or whole.shape != labels.shape:
            got = list(whole.shape) if isinstance(whole, Tensor) else type(whole).__name__
            problem = f"for logits {given} it gives {got}, not a number for each example {list(labels.shape)}"
            raise UserError(subject, problem, remedy)
        if not torch.allclose(whole[1:, 1:2].double(), one.double()):
            raise UserError(subject, "the loss of one example depends on the other examples of the batch", remedy)


def _check_augmentation(augmentation: Augmentation, shape: tuple[int, ...]) -> None:
    """It is for images; one from outside gives images like those it is given, each by itself."""
    if augmentation.numbers == 0:
        return
    subject = f"augmentation {augmentation.name}"
    if len(shape) == 1:
        raise UserError(subject, "points are no images", "choose augmentation=none")
    if augmentation.origin is None:
        return
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(_EXAMPLES, *shape, generator=draws)
    numbers = torch.rand(_EXAMPLES, augmentation.numbers, generator=draws)
    remedy = f"mend augment in {augmentation.origin}"
    try:
        whole, one = augmentation.augment(images, numbers), augmentation.augment(images[1:2], numbers[1:2])
    except Exception as error:  # a user's code may raise anything
        raise UserError(subject, f"it fails on images {list(images.shape)} ({_in_short(error)})", remedy) from error
    if not isinstance(whole, Tensor) or whole.shape != images.shape or whole.dtype != images.dtype:
        got = f"{whole.dtype} {list(whole.shape)}" if isinstance(whole, Tensor) else type(whole).__name__
        problem = f"for images {list(images.shape)} it gives {got}, not images like them"
        raise UserError(subject, problem.replace("torch.", ""), remedy)
    if not torch.allclose(whole[1:2], one):
        raise UserError(subject, "what it makes of one image depends on the other images of the batch", remedy)


def agree(configs: Sequence[RunConfig], dataset: Dataset) -> str | None:
    """Whether runs whose forward pass is a user's own code compute in a stack what each computes alone.

    Returns:
        None if they do; else the reason why they train alone.
    """
    distinct = list({(config.model, config.activation): config for config in configs}.values())
    others = [*distinct, replace(distinct[0], seed=(distinct[0].seed + 1) % 2**32)]
    shape = seen_shape(dataset.image_shape, others[0].dataset.upscale)
    dtype = getattr(torch, others[0].train.dtype)
    draws = torch.Generator().manual_seed(0)
    inputs = torch.rand(len(others), _EXAMPLES, *shape, generator=draws, dtype=dtype)
    models = [build(config, shape, len(dataset.classes)).to(dtype) for config in others]
    try:
        stack = Batched(copy.deepcopy(models), [_masks(c) for c in others], stack_rules(others[0]))
        together = _passes(stack, inputs)
        for run, (config, model) in enumerate(zip(others, models, strict=True)):
            alone = _passes(Alone.of_torch(model, _masks(config), CPU), inputs[run : run + 1])
            if not all(_near(a[run], b[0], others[0].train.dtype) for a, b in zip(together, alone, strict=True)):
                return _OTHER_NUMBERS
    except Exception as error:  # a user's code may raise anything where it finds what it does not expect
        return f"stacked, its forward pass fails ({_in_short(error)})"
    return None


def _masks(config: RunConfig) -> torch.Generator:
    return generator(config.seed, "dropout")


def _passes(network: Batched | Alone, inputs: Tensor) -> list[Tensor]:
    """Logits in training and in evaluation, and the gradients in between, with an axis of runs in front."""
    network.train()
    logits = network(inputs)
    weights = torch.linspace(0.5, 1.5, logits[0].numel(), dtype=logits.dtype).view(logits.shape[1:])
    network.backward(logits, weights.expand_as(logits))
    gradients = [torch.stack(of_runs) for of_runs in zip(*network.gradient_rows(), strict=True)]
    network.eval()
    with torch.no_grad():
        return [logits.detach(), network(inputs), *gradients]


def _near(one: Tensor, other: Tensor, dtype: str) -> bool:
    scale = max(1e-6, float(other.abs().max())) if other.numel() else 1.0
    return one.shape == other.shape and bool(((one - other).abs() <= _TOLERANCE[dtype] * scale).all())
