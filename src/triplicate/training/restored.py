"""What a run has learned, outside its sweep: as the engine evaluates it, or as a module of its own."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from triplicate.config import RunConfig
from triplicate.datasets import Images
from triplicate.errors import UserError
from triplicate.measures import ConfusionMeasure, ExampleMeasure
from triplicate.measures.shared.names import evaluated
from triplicate.training import devices
from triplicate.training.batches import Preprocess, everything, seen_shape
from triplicate.training.build import autocast, build, network_of
from triplicate.training.evaluation import Evaluation, Evaluator, evaluation_batches
from triplicate.training.network import StackNetwork, logits_of
from triplicate.training.objective import Objective
from triplicate.training.seeding import generator


class TrainedModel(nn.Module):
    """The network of a run with its preprocessing, in evaluation mode.

    It takes what the data set holds: images as uint8 [N, channels, height, width] from 0 to 255, or points as float32
    [N, features]. They are divided by 255, normalised and scaled up as in the training (`dataset.mean`, `dataset.std`,
    `dataset.upscale`). It gives logits [N, outputs] in `train.dtype`: an output for each class, or one alone where the
    loss is for two classes.

    Attributes:
        network: the module of the run, from preprocessed inputs to logits, with the names of weights.safetensors.
    """

    mean: Tensor | None
    std: Tensor | None

    def __init__(self, config: RunConfig, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        preprocess = Preprocess.of(config.dataset, getattr(torch, config.train.dtype), torch.device("cpu"))
        self.register_buffer("mean", preprocess.mean, persistent=False)
        self.register_buffer("std", preprocess.std, persistent=False)
        self._dtype, self._side, self._autocast = preprocess.dtype, preprocess.side, autocast(config)

    def forward(self, inputs: Tensor) -> Tensor:
        seen = Preprocess(self._dtype, self.mean, self.std, self._side)(inputs)
        if self._autocast is None:
            logits: Tensor = self.network(seen)
            return logits
        with torch.autocast(seen.device.type, self._autocast, cache_enabled=False):
            return self.network(seen).to(seen.dtype)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Restored:
    """A run that has ended.

    Attributes:
        shape: of an example, as its data set holds it.
        weights: the state dict of its model.
        stacked: the runs that it trained with as a stack, itself among them; 0: it trained as a module alone.
        threads: that computed it on a CPU; None: nobody knows.
    """

    config: RunConfig
    shape: tuple[int, ...]
    classes: int
    weights: Mapping[str, Tensor]
    stacked: int
    threads: int | None

    def module(self) -> TrainedModel:
        """The network as a module of its own, on the CPU."""
        model = self._model()
        if self.config.model.uses_numpy:
            from triplicate.training.numpy_network import NumpyNetwork  # only here: scipy takes half a second

            model = NumpyNetwork(model, generator(self.config.seed, "dropout"))
        return TrainedModel(self.config, model).eval()

    def evaluate(self, images: Images) -> tuple[Evaluation, dict[str, float]]:
        """What its sweep would have measured on these images: all counts, and further measures by column."""
        measures: Mapping[str, ExampleMeasure | ConfusionMeasure] = evaluated(self.config.report.measured)
        means = {column: part for column, part in measures.items() if isinstance(part, ExampleMeasure)}
        with self._ready() as (device, network):
            selection = everything(images.to(device), self._preprocess(device), len(network.generators))
            objective = Objective.of(self.config)
            evaluator = Evaluator(network, selection, objective, self.classes, means, autocast(self.config))
            found = evaluator()
        return found, found.values(measures, 0)

    @torch.no_grad()
    def logits(self, pixels: Tensor) -> Tensor:
        """Examples as the data set holds them → logits [N, outputs] on the CPU."""
        images = Images(pixels, torch.zeros(len(pixels), dtype=torch.long))
        with self._ready() as (device, network):
            network.eval()
            selection = everything(images.to(device), self._preprocess(device), len(network.generators))
            dtype = autocast(self.config)
            batches = (selection.batch(chosen)[0] for chosen in evaluation_batches(network, selection))
            return torch.cat([logits_of(network, batch, dtype)[0].cpu() for batch in batches])

    @contextmanager
    def _ready(self) -> Iterator[tuple[torch.device, StackNetwork]]:
        """Inside, this process computes as the sweep did; on the CPU, where it had a GPU and there is none."""
        train = self.config.train
        is_here = devices.kind(self.config) == "cpu" or torch.cuda.is_available()
        with devices.settings_kept():
            device = devices.of(self.config) if is_here else torch.device("cpu")
            if device.type == "cuda":
                device = devices.begin(device, 0, train.tf32, train.deterministic)
            elif self.threads is not None:
                torch.set_num_threads(self.threads)
            yield device, self._network(device)

    def _network(self, device: torch.device) -> StackNetwork:
        """One of as many runs as trained together: other products would round otherwise."""
        model, runs = self._model().to(device), max(1, self.stacked)
        models = [model, *(copy.deepcopy(model) for _ in range(runs - 1))]
        return network_of(models, [self.config] * runs, device, stacked=self.stacked > 0)

    def _model(self) -> nn.Module:
        """Its model with its weights.

        Raises:
            UserError: they are not of this model.
        """
        model = build(self.config, seen_shape(self.shape, self.config.dataset.upscale), self.classes)
        model = model.to(getattr(torch, self.config.train.dtype))
        try:
            model.load_state_dict(self.weights)
        except RuntimeError as error:
            problem = f"its weights are not those of the model ({' '.join(str(error).split())[:200]})"
            remedy = "bring the part that it was trained with"
            raise UserError(f"model {self.config.model.name}", problem, remedy) from error
        return model

    def _preprocess(self, device: torch.device) -> Preprocess:
        return Preprocess.of(self.config.dataset, getattr(torch, self.config.train.dtype), device)
