"""The runs of a stack as one network over inputs [R, B, …]; run r computes what its own module computes alone.

Networks of layers that can be stacked train together (`Batched`): each of their parameters is one block [R, …], and all
blocks lie in one buffer. Any other module is a stack of one (`Alone`).
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from triplicate.activations import Activation
from triplicate.training.chain import Chain
from triplicate.training.draws import Draws
from triplicate.training.stacked_layers import (
    RULES,
    SHARING,
    Channelwise,
    Examplewise,
    Inside,
    Rule,
    RunDropout,
    Spread,
    Stacked,
    StackedDropout,
    StackedLinear,
    unfit,
)

Rules = Mapping[type[nn.Module], Rule]


def why_alone(model: nn.Module, rules: Rules) -> str | None:
    """Why a module cannot be stacked; None if it can, as far as its layers tell.

    Args:
        rules: for layers that have none of ours.
    """
    parameters = list(model.named_parameters(remove_duplicate=False))
    if not parameters:
        return "it has nothing to train"
    if not all(parameter.requires_grad for _, parameter in parameters):
        return "some of its weights are frozen"
    if len({id(parameter) for _, parameter in parameters}) < len(parameters):
        return "some of its layers share their weights"
    reasons = (_why_not(module, {**RULES, **rules}) for module in model.modules())
    return next((reason for reason in reasons if reason is not None), None)


def _why_not(module: nn.Module, rules: Rules) -> str | None:
    kind = type(module).__name__
    made_by = getattr(module, "made_by", None)
    if isinstance(made_by, Activation) and made_by.alone:
        return made_by.alone
    if type(module) in rules:
        problem = unfit(module)
        return None if problem is None else f"{kind} has no rule for this: {problem}"
    own = [name for name, tensor in (*module._parameters.items(), *module._buffers.items()) if tensor is not None]
    if own:
        return f"no rule stacks {kind}, which has tensors of its own ({', '.join(own)})"
    if module._forward_hooks or module._forward_pre_hooks:
        return f"{kind} has hooks"
    return None


def has_own_forward(model: nn.Module, rules: Rules) -> bool:
    """Whether a part of a module computes in code that no rule knows: then it must be tried before it is trusted."""
    made_by = getattr(model, "made_by", None)
    if isinstance(made_by, Activation):
        return made_by.origin is not None
    if type(model) in RULES or type(model) in rules:
        return False
    children = list(model.children())
    if type(model) is nn.Sequential:
        return any(has_own_forward(child, rules) for child in children)
    return bool(children) or not type(model).__module__.startswith("torch.nn.")


def signature(model: nn.Module) -> tuple[object, ...]:
    """What the modules of a stack must have in common: layers, shapes and settings, but for the rates of dropout."""

    def one(name: str, module: nn.Module) -> tuple[object, ...]:
        tensors = {**module._parameters, **module._buffers}
        shapes = tuple((n, tuple(t.shape)) for n, t in tensors.items() if t is not None)
        settings = "" if isinstance(module, nn.Dropout) else module.extra_repr()
        return name, type(module), shapes, settings

    return tuple(one(name, module) for name, module in model.named_modules())


# Blocks of parameters begin at a multiple of so many numbers, so that whatever reads them can read many at once.
_ALIGNED = 16


class Batched(nn.Module):
    """R networks as one. Every parameter is a block [R, …] of one buffer, and its gradient of another.

    Attributes:
        evaluation_batch: images at once where no gradient is wanted: enough for fast products.
    """

    evaluation_batch = 500

    def __init__(
        self,
        models: Sequence[nn.Module],
        generators: Sequence[torch.Generator],
        rules: Rules | None = None,
        by_hand: bool = True,
    ) -> None:
        """
        Args:
            models: alike but for their numbers.
            generators: for each model the one of its dropout masks.
            rules: for layers that have none of ours.
            by_hand: the passes of layers in a row are called without a graph of torch's, which autocast wants.

        Raises:
            TypeError: a module that cannot be stacked.
        """
        super().__init__()
        if reason := why_alone(models[0], rules or {}):
            raise TypeError(reason)
        self._models, self.generators, self._rules = list(models), list(generators), {**RULES, **(rules or {})}
        self._draws = Draws(self.generators, next(models[0].parameters()).device)
        self._trainable = {name: nn.Parameter(block) for name, block in self._blocks().items()}
        self._gradient_of = self._blocks()
        for name, block in self._trainable.items():
            torch.stack([model.get_parameter(name).detach() for model in models], out=block.detach())
        self._rows = _rows([parameter.detach() for parameter in self._trainable.values()])
        self._gradient_rows = _rows(list(self._gradient_of.values()))
        self._statistics: dict[str, tuple[nn.Module, str]] = {}
        self._network = self._outside(models, "")
        modules = list(self._network.modules())
        # Not where a user's own code calls the layers, which may call them as it likes.
        self._draws_ahead = any(isinstance(m, StackedDropout) for m in modules) and not any(
            isinstance(m, Examplewise) for m in modules
        )
        self._by_hand = by_hand
        self._chain = Chain.of(self._network) if by_hand else None
        linear = [m for m in modules if isinstance(m, StackedLinear)] if self._chain is not None else []
        of_linear = {id(p) for layer in linear for p in layer.parameters()}
        self._others = [(p, self._gradient_of[name]) for name, p in self._trainable.items() if id(p) not in of_linear]

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits [R, B, outputs]. Inputs [S, B, …] may be shared by the runs that stand side by side, R/S each."""
        if self.training and self._draws_ahead:
            if not self._draws.is_ready:
                self._learn_draws(inputs[:, :1])
            self._draws.begin()
        if self._chain is not None and torch.is_grad_enabled():
            with torch.no_grad():
                return self._chain.forward(inputs).contiguous()
        logits: Tensor = self._network(inputs)
        return logits.contiguous()

    @torch.no_grad()
    def _learn_draws(self, example: Tensor) -> None:
        """Find out how many numbers the dropout layers take; nothing else is changed."""
        self._network.eval()
        self._draws.is_learning = True
        self._network(example)
        self._draws.is_learning = False
        self._network.train()

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters [R, …] by the names that they have in one run's own model."""
        return self._trainable

    def gradients(self) -> list[Tensor]:
        """Their gradients, in the same order."""
        return list(self._gradient_of.values())

    def rows(self) -> Sequence[Sequence[Tensor]]:
        """The parameters of each run, in their own shapes and where they are."""
        return self._rows

    def gradient_rows(self) -> Sequence[Sequence[Tensor]]:
        """Their gradients, in the same order."""
        return self._gradient_rows

    def backward(self, logits: Tensor, gradient: Tensor) -> None:
        """Write the gradients of all parameters, by that of the logits [R, B, outputs] of the last pass."""
        self._backward(logits, gradient, descends=False)
        for parameter, written in self._others:
            if parameter.grad is None:  # no output depends on it
                written.zero_()
                continue
            written.copy_(parameter.grad)
            parameter.grad = None

    def can_descend(self) -> bool:
        """Whether every parameter is of a linear layer in a row, so that `descend` can be used."""
        return not self._others

    def descend(self, logits: Tensor, gradient: Tensor) -> None:
        """Add the gradients of all parameters to them. They are left nowhere.

        The product that gives the gradient of a weight adds to the weight at once: the gradient is neither written
        nor read. The rates, negated, are in the gradient of the logits, from where everything is linear.
        """
        self._backward(logits, gradient, descends=True)

    def _backward(self, logits: Tensor, gradient: Tensor, descends: bool) -> None:
        if self._chain is None:
            torch.autograd.backward(logits, gradient)
            return
        with torch.no_grad():
            self._chain.backward(gradient, descends)

    def state(self, run: int) -> OrderedDict[str, Tensor]:
        """The state dict of one run's own network: what its plain model loads."""
        return OrderedDict((name, self._stacked_tensor(name)[run].clone()) for name in self._models[0].state_dict())

    def keep(self, runs: Sequence[int]) -> Batched:
        """The stack without all runs but these."""
        for run in runs:
            self._models[run].load_state_dict(self.state(run))
        models, generators = [self._models[run] for run in runs], [self.generators[run] for run in runs]
        return Batched(models, generators, self._rules, self._by_hand)

    def _stacked_tensor(self, name: str) -> Tensor:
        """A parameter or a running statistic of all runs, by its name in one run's own network."""
        if name in self._trainable:
            return self._trainable[name].detach()
        layer, own = self._statistics[name]
        tensor: Tensor = getattr(layer, own)
        return tensor

    def _blocks(self) -> dict[str, Tensor]:
        """Zeros for every parameter of all runs, [R, …] each, in one buffer."""
        runs, parameters = len(self._models), dict(self._models[0].named_parameters())
        sizes = {name: -(-runs * p.numel() // _ALIGNED) * _ALIGNED for name, p in parameters.items()}
        like = next(iter(parameters.values()))
        buffer = torch.zeros(sum(sizes.values()), dtype=like.dtype, device=like.device)
        pieces = zip(parameters.items(), torch.split(buffer, list(sizes.values())), strict=True)
        return {name: piece[: runs * p.numel()].view(runs, *p.shape) for (name, p), piece in pieces}

    def _outside(self, modules: Sequence[nn.Module], path: str) -> nn.Module:
        """The modules of all runs as one over [R, B, …]."""
        first = modules[0]
        made_by = getattr(first, "made_by", None)
        if type(first) in self._rules:
            return self._layer(modules, path)
        if isinstance(made_by, Activation) and made_by.stacked == "elementwise":
            return copy.deepcopy(first)
        if isinstance(made_by, Activation) and made_by.stacked == "channelwise":
            return Channelwise(copy.deepcopy(first))
        if type(first) is nn.Sequential:
            return nn.Sequential(
                OrderedDict((n, self._outside(children, _join(path, n))) for n, children in _children(modules))
            )
        return Spread(Examplewise(self._inside(modules, path)), len(modules))

    def _inside(self, modules: Sequence[nn.Module], path: str) -> nn.Module:
        """The modules of all runs as one over [R · B, …], for code of a user's own, which knows no axis of runs."""
        first = modules[0]
        if type(first) in self._rules:
            return Inside(self._layer(modules, path), len(modules))
        one: nn.Module = copy.copy(first)
        one._modules = {n: self._inside(children, _join(path, n)) for n, children in _children(modules)}
        return one

    def _layer(self, layers: Sequence[nn.Module], path: str) -> nn.Module:
        """The layers of all runs as one, by a rule."""
        own = {name: _join(path, name) for name, parameter in layers[0]._parameters.items() if parameter is not None}
        parameters = {name: self._trainable[whole] for name, whole in own.items()}
        gradients = {name: self._gradient_of[whole] for name, whole in own.items()}
        layer = self._rules[type(layers[0])](layers, Stacked(parameters, gradients, self._draws))
        self._statistics |= {_join(path, name): (layer, name) for name, _ in layers[0].named_buffers(recurse=False)}
        return layer if isinstance(layer, SHARING) else Spread(layer, len(layers))


def _rows(blocks: Sequence[Tensor]) -> list[list[Tensor]]:
    """Of blocks [R, …] what belongs to each run."""
    return [list(tensors) for tensors in zip(*(block.unbind() for block in blocks), strict=True)]


def _children(modules: Sequence[nn.Module]) -> list[tuple[str, list[nn.Module]]]:
    """Name → the children of that name of all modules. A child that stands at two places is there twice."""
    names = [name for name, child in modules[0]._modules.items() if child is not None]
    return [(name, [module.get_submodule(name) for module in modules]) for name in names]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


class Alone(nn.Module):
    """Any module as a stack of one: its parameters have no axis of runs.

    Attributes:
        evaluation_batch: images at once where no gradient is wanted: so few that what convolutions give stays in the
            cache.
    """

    evaluation_batch = 100

    def __init__(
        self,
        model: nn.Module,
        generator: torch.Generator,
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        """Args: `generator` draws the masks of dropout; `memory_format` is that of the images the model is given."""
        super().__init__()
        self._model = model
        self._format = memory_format
        self._trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self.generators = [generator]

    @staticmethod
    def of_torch(model: nn.Module, generator: torch.Generator, device: torch.device) -> Alone:
        """A module of torch.

        On a CPU images are kept channels_last, which convolutions are faster with.

        Args: `generator`, on the device, draws the masks of the model's dropout layers, which are replaced.
        """
        for module in list(model.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.Dropout):
                    setattr(module, name, RunDropout(child, generator, device))
        memory_format = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        if isinstance(model, nn.Sequential):
            model = _pooled_first(model)
        return Alone(model.to(memory_format=memory_format), generator, memory_format)

    def forward(self, inputs: Tensor) -> Tensor:
        images = inputs[0].contiguous(memory_format=self._format) if inputs.ndim == 5 else inputs[0]
        logits: Tensor = self._model(images)
        return logits.unsqueeze(0)

    def train(self, mode: bool = True) -> Alone:
        """Frozen batch normalisation keeps its running statistics."""
        super().train(mode)
        for module in self._model.modules():
            if isinstance(module, nn.BatchNorm2d) and not module.weight.requires_grad:
                module.eval()
        return self

    def trainable(self) -> dict[str, nn.Parameter]:
        """The parameters that are not frozen, by name."""
        return self._trainable

    def gradients(self) -> list[Tensor]:
        """Their gradients, in the same order."""
        return [torch.zeros_like(p) if p.grad is None else p.grad for p in self._trainable.values()]

    def rows(self) -> Sequence[Sequence[Tensor]]:
        """The parameters of the one run, where they are."""
        return [[p.detach() for p in self._trainable.values()]]

    def gradient_rows(self) -> Sequence[Sequence[Tensor]]:
        """Their gradients, in the same order."""
        return [self.gradients()]

    def backward(self, logits: Tensor, gradient: Tensor) -> None:
        """Write the gradients of all parameters, by that of the logits [1, B, outputs]."""
        self.zero_grad()
        torch.autograd.backward(logits, gradient)

    def can_descend(self) -> bool:
        """It cannot: the gradients are torch's."""
        return False

    def descend(self, logits: Tensor, gradient: Tensor) -> None:
        """Raises: TypeError, always."""
        raise TypeError("the gradients of a network that stands alone are torch's")

    def state(self, run: int) -> OrderedDict[str, Tensor]:
        """The state dict of the model."""
        parts = self._model.state_dict().items()
        return OrderedDict((name, tensor.detach().contiguous().clone()) for name, tensor in parts)

    def keep(self, runs: Sequence[int]) -> Alone:
        """The same: when its run leaves, the stack ends."""
        return self


def _pooled_first(model: nn.Sequential) -> nn.Sequential:
    """The same layers, with max pooling before the activation that precedes it.

    An activation that never falls keeps the greatest number the greatest, so that it gives the same from a quarter of
    the numbers.
    """
    layers = list(model.named_children())
    for place, ((_, layer), (_, following)) in enumerate(pairwise(layers)):
        if isinstance(layer, nn.ReLU | nn.LeakyReLU) and isinstance(following, nn.MaxPool2d):
            layers[place : place + 2] = layers[place + 1], layers[place]
    return nn.Sequential(OrderedDict(layers))


StackNetwork = Batched | Alone


def logits_of(network: StackNetwork, inputs: Tensor, autocast: torch.dtype | None) -> Tensor:
    """What a network gives, its products and convolutions in a dtype of their own; None: in that of the inputs."""
    if autocast is None:
        logits: Tensor = network(inputs)
        return logits
    with torch.autocast(inputs.device.type, autocast, cache_enabled=False):
        return network(inputs).to(inputs.dtype)  # type: ignore[no-any-return]
