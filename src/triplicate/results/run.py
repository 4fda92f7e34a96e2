"""A run: its configuration, its measures, and what it has learned."""

from __future__ import annotations

import copy
import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from triplicate.config import run_config
from triplicate.errors import UserError
from triplicate.lazy import pandas as pd
from triplicate.parts import find, names, outside
from triplicate.parts.origin import SCRIPT
from triplicate.records.run_folder import SUMMARY, Damaged, RunRecord, read_run
from triplicate.records.sweep_folder import Absent
from triplicate.reports.best import known
from triplicate.reports.plots.recorded import recorded
from triplicate.results import data
from triplicate.results.evaluated import Evaluated
from triplicate.results.images import examples
from triplicate.results.predictions import Predictions

if TYPE_CHECKING:
    from torch import Tensor

    from triplicate.results.images import Given
    from triplicate.training.restored import Restored, TrainedModel


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One run of a sweep. Those of `Sweep.runs` are made there.

    Attributes:
        folder: of the run.
        setting: what tells its row from the others: key → value as typed. The seed is no part of it.
    """

    folder: Path
    setting: Mapping[str, str]
    record: RunRecord | None
    absent: Absent | None
    parts: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """The name of its folder, such as 'optimizer.lr=0.1,seed=0'."""
        return self.folder.name

    @property
    def status(self) -> str:
        """finished, diverged, failed, damaged or missing."""
        return str(self.record.summary["status"]) if self.record is not None else self._absent.state

    @property
    def cause(self) -> str:
        """Why it failed or is damaged; empty where it did not, or nobody knows."""
        return "" if self.record is not None else self._absent.cause

    @property
    def seed(self) -> int:
        return int(self.record.summary["seed"]) if self.record is not None else self._absent.wanted.seed

    @property
    def overrides(self) -> dict[str, str]:
        """What the command set for it: key → value as typed."""
        given = self.record.summary["overrides"] if self.record is not None else self._absent.wanted.overrides
        return dict(given)

    @cached_property
    def config(self) -> DictConfig:
        """Its configuration, resolved, as config.yaml has it: `run.config.optimizer.lr`. It cannot be changed."""
        values = self.record.config if self.record is not None else self._absent.config
        config = OmegaConf.create(copy.deepcopy(dict(values)))
        OmegaConf.set_readonly(config, True)
        return config

    @property
    def summary(self) -> dict[str, Any]:
        """All that summary.json tells.

        Raises:
            UserError: the run has no result.
        """
        return copy.deepcopy(dict(self._finished.summary))

    @property
    def result(self) -> dict[str, float | None]:
        """Its measures by name, of the tested epoch and of the whole run.

        The tested epoch is the last one, or the best with stopping.keep=best. Accuracies are fractions. None where
        there is none, as after a divergence.
        """
        return dict(self._finished.summary["measures"])

    def measure(self, name: str) -> float | None:
        """A measure as `report.measures` names it; None where the run has none, failed or diverged."""
        if self.record is None or self.status != "finished":
            return None
        return known(self.record, name)

    @property
    def metrics(self) -> pd.DataFrame:
        """A row for each epoch, by `epoch`: losses, accuracies (fractions), seconds, as metrics.csv has them."""
        return self._finished.metrics.set_index("epoch")

    @property
    def gradients(self) -> pd.DataFrame:
        """A row for each traced step, layer and parameter: `mean`, `mean_absolute`, `l2`; none without a trace."""
        found = self._finished.gradients
        if found is None:
            return pd.DataFrame(columns=["step", "layer", "parameter", "mean", "mean_absolute", "l2"])
        return found.copy()

    @property
    def steps(self) -> pd.DataFrame:
        """A row for each training step, by `step`: loss and accuracy; none without trace.steps=true."""
        found = self._finished.steps
        return (pd.DataFrame(columns=["step", "loss", "accuracy"]) if found is None else found).set_index("step")

    @property
    def confusion(self) -> pd.DataFrame:
        """Counts over the test images in the tested epoch: a row for each true class, a column for each predicted."""
        return self._csv("confusion.csv")

    @property
    def classes(self) -> pd.DataFrame:
        """By class: precision, recall, f1 (fractions) and the number of test images."""
        return self._csv("classes.csv")

    def model(self) -> TrainedModel:
        """What it has learned, as a torch.nn.Module in evaluation mode on the CPU, with its preprocessing inside.

        It takes images as the data set holds them, uint8 [N, channels, height, width] from 0 to 255 (of points float32
        [N, features]), and gives logits [N, classes] in `train.dtype`; [N, 1] where the loss is for two classes. The
        weights are those of the last epoch, or of the best with stopping.keep=best. `model.network` is the network
        alone.

        Raises:
            UserError: the run diverged or has no result, the weights are missing or damaged, or a part from outside
                that it is made of is not here.

        >>> model = sweep.best().model()
        >>> model(torch.zeros(5, 1, 28, 28, dtype=torch.uint8)).shape
        torch.Size([5, 10])
        """
        with outside.loaded(self.parts):
            return self._restored().module()

    def predict(self, images: Given) -> Predictions:
        """The class of each image, computed as the sweep evaluates: in the same batches, stack, dtype and threads.

        Args:
            images: uint8 [N, channels, height, width], an array or tensor of the run's own shape (grey ones also
                [N, height, width]; of points float32 [N, features]); or a path, an image of Pillow's, or a list of
                these, which are converted to grey or RGB and scaled as the files of a data set are; or a folder, of
                which all images are taken, those in folders below too, by name.

        Returns:
            `probabilities` [N, classes], `labels` [N], and both as a `frame` with the names of the classes.

        Raises:
            UserError: images of another shape or kind, a file that cannot be read, or as `model`.

        >>> found = sweep.best().predict(torch.zeros(2, 28, 28, dtype=torch.uint8))
        >>> found.probabilities.shape
        (2, 10)
        """
        with outside.loaded(self.parts):
            restored = self._restored()
            given = examples(images, restored.shape)
            logits = restored.logits(given.pixels).unsqueeze(0)
            loss = restored.config.loss
            return Predictions(
                probabilities=loss.probabilities(logits)[0].numpy(),
                labels=loss.predictions(logits)[0].numpy(),
                classes=tuple(self._finished.summary["classes"]),
                names=given.names,
            )

    def evaluate(self, *overrides: str) -> Evaluated:
        """All measures on a test set, and the confusion matrix.

        On the sweep's own test set, without arguments, they equal those of the sweep: predictions, and what is counted
        of them, always; losses to the last bit on the CPU that trained it, and on another device but for rounding.

        Args:
            overrides: other data, as on the command line: "dataset=mnist", "dataset.limit=null", "data_dir=…". What
                the network sees of an image (`dataset.mean`, `std`, `upscale`) stays as it was trained.

        Raises:
            UserError: data of another shape or number of classes, data that is not there, or as `model`.

        >>> sweep.best().evaluate("dataset.limit=50").images
        50
        """
        with outside.loaded(self.parts):
            restored = self._restored()
            dataset = data.read(self._finished.config, overrides)
            data.check_fit(dataset, restored.shape, self._finished.summary["classes"], restored.config.dataset.upscale)
            found, further = restored.evaluate(dataset.test)
        measures = {"test_loss": float(found.loss[0]), "test_accuracy": float(found.accuracy()[0]), **further}
        return Evaluated.of(measures, found.confusion[0], dataset.classes)

    def _restored(self) -> Restored:
        """What is needed to compute with it. The parts from outside are loaded."""
        from triplicate.training.restored import Restored  # only here: it loads torch

        summary = self._finished.summary
        if self.status == "diverged":
            problem = f"it diverged in step {summary['diverged_step']}, and its weights mean nothing"
            raise UserError(str(self.folder), problem, "choose another run")
        self._check_parts()
        config = run_config(self._finished.config)
        return Restored(
            config=dataclasses.replace(config, model=config.model.restorable),
            shape=tuple(summary["image_shape"]),
            classes=len(summary["classes"]),
            weights=self._weights(),
            stacked=summary["runs_in_stack"] if summary.get("is_stacked", summary["runs_in_stack"] > 1) else 0,
            threads=summary.get("threads"),
        )

    def _check_parts(self) -> None:
        """Refuse to go on where a part from outside is not here; warn where its text is another one."""
        for what, origin in self._finished.summary.get("parts_from_outside", {}).items():
            kind, _, name = what.partition(" ")
            source = origin["source"]
            if name not in names(kind):
                raise UserError(what, f"it came from {source}, which is not loaded", _bring(source))
            here = find(kind, name).origin
            if here is None or here.version != origin["version"]:
                told = f"{what}: its text is not the one that {self.name} was trained with ({source})"
                warnings.warn(told, stacklevel=4)

    def _weights(self) -> dict[str, Tensor]:
        import safetensors.torch

        path = self._file("weights.safetensors")
        try:
            return safetensors.torch.load_file(path)
        except (OSError, safetensors.SafetensorError) as error:
            raise self._refused(path, f"it cannot be read ({error})") from error

    def _csv(self, name: str) -> pd.DataFrame:
        # A class may be called NA.
        return pd.read_csv(self._file(name), index_col=0, keep_default_na=False, dtype={0: str})

    def _file(self, name: str) -> Path:
        """A file of the run, as it was written.

        Raises:
            UserError: it is missing or damaged.
        """
        record = self._finished
        try:
            path = recorded(record, name)
        except Damaged as damage:
            raise self._refused(damage.path, damage.problem) from damage
        if path is None:
            raise self._refused(self.folder / name, "it is not there")
        return path

    def _refused(self, path: Path, problem: str) -> UserError:
        return UserError(str(path), problem, f"see triplicate check {self.folder.parent.parent}")

    @property
    def _finished(self) -> RunRecord:
        if self.record is None:
            told = f"it is {self.status}" if self.status != "failed" else f"it failed ({self.cause})"
            raise UserError(str(self.folder), told, "the same command again trains what is missing")
        return self.record

    @property
    def _absent(self) -> Absent:
        assert self.absent is not None
        return self.absent

    @staticmethod
    def open(folder: str | os.PathLike[str], parts: Sequence[str | os.PathLike[str]] = ()) -> Run:
        """A run that has finished, from its own folder. Its `setting` is what the command set for it.

        Args:
            parts: as in `triplicate.open`.

        Raises:
            UserError: no run is there, or its files are damaged.
        """
        path = Path(folder).expanduser().absolute()
        if not (path / SUMMARY).is_file():
            problem = "no finished run is in it" if path.is_dir() else "there is no such folder"
            raise UserError(str(path), problem, "name the folder of a run, below runs/ of its sweep")
        try:
            record = read_run(path)
        except Damaged as damage:
            remedy = f"see triplicate check {path.parent.parent}"
            raise UserError(str(damage.path), damage.problem, remedy) from damage
        setting = {key: value for key, value in record.summary["overrides"].items() if key != "seed"}
        return Run(path, setting, record, None, tuple(Path(file).expanduser() for file in parts))

    def __repr__(self) -> str:
        return f"Run({self.name!r}, {self.status})"


def _bring(source: str) -> str:
    """What to do so that a part is here."""
    if source == SCRIPT:
        return "register it first, as that does"
    if source.endswith(".py"):
        return f"name the file: parts=[…/{source}] in Python, --parts …/{source} on the command line"
    return f"install {source}"
